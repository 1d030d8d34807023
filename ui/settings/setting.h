/* One key of settings that may follow another: the program's own settings follow the schema, a
 * conversation's follow the program's. Touched means: has a value of its own.
 *
 * Signal "changed": the value, the default or touched is another one, by whomever. */
#ifndef HEARTH_SETTING_H
#define HEARTH_SETTING_H

#include <gio/gio.h>
#include <stdbool.h>

#define HEARTH_TYPE_SETTING (hearth_setting_get_type())
G_DECLARE_FINAL_TYPE(HearthSetting, hearth_setting, HEARTH, SETTING, GObject)

/* `defaults`: what `own` follows; NULL = the schema. */
HearthSetting *hearth_setting_new(GSettings *own, GSettings *defaults, const char *key);

bool hearth_setting_is_touched(HearthSetting *setting);
bool hearth_setting_follows(HearthSetting *setting);          /* has `defaults` */
GVariant *hearth_setting_get_value(HearthSetting *setting);   /* that counts; g_variant_unref() */
GVariant *hearth_setting_get_default(HearthSetting *setting); /* untouched; g_variant_unref() */

/* No-op when it is the value already. Takes a floating reference. */
void hearth_setting_set_value(HearthSetting *setting, GVariant *value);
void hearth_setting_reset(HearthSetting *setting);

/* A default that comes before `defaults`: a persona's prompt. NULL = none. */
void hearth_setting_set_fallback(HearthSetting *setting, GVariant *fallback);

/* Numbers of any type the schemas use. */
double hearth_setting_number(GVariant *value);
void hearth_setting_set_number(HearthSetting *setting, double number);

#endif
