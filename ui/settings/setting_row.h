/* A row of the preferences over one key: a number, a choice or a switch, applied at once, with a
 * button that resets it when it is touched. What a row is like comes from a table, so that the
 * program's settings and a conversation's are the same rows. */
#ifndef HEARTH_SETTING_ROW_H
#define HEARTH_SETTING_ROW_H

#include <adwaita.h>

#include "settings/setting.h"

typedef enum {
    HEARTH_ROW_NUMBER, /* spin button */
    HEARTH_ROW_SCALE,  /* slider: for small ranges where the figure matters less */
    HEARTH_ROW_CHOICE,
    HEARTH_ROW_SWITCH
} HearthRowKind;

typedef struct {
    const char *value, *label;
} HearthRowChoice;

/* All strings untranslated, N_(). */
typedef struct {
    const char *key;
    HearthRowKind kind;
    const char *title, *subtitle;
    double lower, upper, step;
    int digits;
    const char *special_text; /* what the number `special` is called; NULL = none */
    double special;
    const HearthRowChoice *choices; /* to a NULL value */
    bool special_last;              /* a number's `special` lies behind the largest, not in order */
} HearthRowSpec;

#define HEARTH_TYPE_SETTING_ROW (hearth_setting_row_get_type())
G_DECLARE_FINAL_TYPE(HearthSettingRow, hearth_setting_row, HEARTH, SETTING_ROW, AdwActionRow)

/* `spec` is static. */
GtkWidget *hearth_setting_row_new(const HearthRowSpec *spec, GSettings *own, GSettings *defaults);

/* Instead of the table's; translated. */
void hearth_setting_row_set_explanation(HearthSettingRow *row, const char *text);

/* The largest number, when it is known later than the table; a value beyond it is shown, too. */
void hearth_setting_row_set_upper(HearthSettingRow *row, double upper);

/* A button that resets a setting, shown while it is touched; for other rows over a setting too. */
GtkWidget *hearth_setting_row_new_reset(HearthSetting *setting, const char *title);

/* For a GtkDropDown in a row whose activatable widget it is. */
void hearth_setting_row_name_drop_down(GtkWidget *drop_down, const char *name);

/* Scrolling the page must not change the number under the pointer. */
void hearth_setting_row_ignore_scroll(GtkWidget *control);

#endif
