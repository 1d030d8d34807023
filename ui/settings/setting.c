#include "settings/setting.h"

#include <math.h>

struct _HearthSetting {
    GObject parent;
    GSettings *own, *defaults;
    char *key;
    GVariant *fallback;
};

G_DEFINE_FINAL_TYPE(HearthSetting, hearth_setting, G_TYPE_OBJECT)

static guint changed_signal;

static void changed(HearthSetting *setting) { g_signal_emit(setting, changed_signal, 0); }

/* GObject */

static void hearth_setting_dispose(GObject *object)
{
    HearthSetting *setting = HEARTH_SETTING(object);
    g_clear_object(&setting->own);
    g_clear_object(&setting->defaults);
    g_clear_pointer(&setting->key, g_free);
    g_clear_pointer(&setting->fallback, g_variant_unref);
    G_OBJECT_CLASS(hearth_setting_parent_class)->dispose(object);
}

static void hearth_setting_class_init(HearthSettingClass *class)
{
    G_OBJECT_CLASS(class)->dispose = hearth_setting_dispose;
    changed_signal = g_signal_new("changed", HEARTH_TYPE_SETTING, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                  NULL, G_TYPE_NONE, 0);
}

static void hearth_setting_init(HearthSetting *setting) { (void)setting; }

HearthSetting *hearth_setting_new(GSettings *own, GSettings *defaults, const char *key)
{
    HearthSetting *setting = g_object_new(HEARTH_TYPE_SETTING, NULL);
    g_autofree char *detailed = g_strconcat("changed::", key, NULL);
    setting->own = g_object_ref(own);
    setting->key = g_strdup(key);
    g_signal_connect_object(own, detailed, G_CALLBACK(changed), setting, G_CONNECT_SWAPPED);
    if (defaults) {
        setting->defaults = g_object_ref(defaults);
        g_signal_connect_object(defaults, detailed, G_CALLBACK(changed), setting,
                                G_CONNECT_SWAPPED);
    }
    /* GSettings tells of changes of keys that were read once. */
    g_variant_unref(hearth_setting_get_value(setting));
    g_variant_unref(hearth_setting_get_default(setting));
    return setting;
}

bool hearth_setting_follows(HearthSetting *setting) { return setting->defaults != NULL; }

bool hearth_setting_is_touched(HearthSetting *setting)
{
    g_autoptr(GVariant) value = g_settings_get_user_value(setting->own, setting->key);
    return value != NULL;
}

GVariant *hearth_setting_get_value(HearthSetting *setting)
{
    GVariant *value = g_settings_get_user_value(setting->own, setting->key);
    return value ? value : hearth_setting_get_default(setting);
}

GVariant *hearth_setting_get_default(HearthSetting *setting)
{
    if (setting->fallback) return g_variant_ref(setting->fallback);
    if (setting->defaults) return g_settings_get_value(setting->defaults, setting->key);
    return g_settings_get_default_value(setting->own, setting->key);
}

void hearth_setting_set_value(HearthSetting *setting, GVariant *value)
{
    g_autoptr(GVariant) wanted = g_variant_ref_sink(value);
    g_autoptr(GVariant) now = hearth_setting_get_value(setting);
    if (!g_variant_equal(now, wanted)) g_settings_set_value(setting->own, setting->key, wanted);
}

void hearth_setting_reset(HearthSetting *setting) { g_settings_reset(setting->own, setting->key); }

void hearth_setting_set_fallback(HearthSetting *setting, GVariant *fallback)
{
    if (fallback) g_variant_ref_sink(fallback);
    g_clear_pointer(&setting->fallback, g_variant_unref);
    setting->fallback = fallback;
    changed(setting);
}

double hearth_setting_number(GVariant *value)
{
    if (g_variant_is_of_type(value, G_VARIANT_TYPE_DOUBLE)) return g_variant_get_double(value);
    if (g_variant_is_of_type(value, G_VARIANT_TYPE_INT64))
        return (double)g_variant_get_int64(value);
    return g_variant_get_int32(value);
}

void hearth_setting_set_number(HearthSetting *setting, double number)
{
    g_autoptr(GVariant) now = hearth_setting_get_value(setting);
    GVariant *value = g_variant_is_of_type(now, G_VARIANT_TYPE_DOUBLE)
                          ? g_variant_new_double(number)
                      : g_variant_is_of_type(now, G_VARIANT_TYPE_INT64)
                          ? g_variant_new_int64((gint64)llround(number))
                          : g_variant_new_int32((gint32)lround(number));
    hearth_setting_set_value(setting, value);
}
