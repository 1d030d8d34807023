#include "text.h"

#include <adwaita.h>
#include <string.h>

#include "model/block.h"
#include "model/parse.h"

#define GROUND_ROOM 3072 /* Pango units: the 2 px of a ground beside its text, and one more */

typedef struct {
    int start, end; /* bytes of the text */
    bool frame;
} Ground;

struct _HearthMarkdownText {
    GtkWidget parent;
    GtkLabel *label;
    GArray *grounds; /* of Ground; NULL: not asked for since the text changed */
    bool has_grounds;
};

G_DEFINE_FINAL_TYPE(HearthMarkdownText, hearth_markdown_text, GTK_TYPE_WIDGET)

static void hearth_markdown_text_dispose(GObject *object)
{
    HearthMarkdownText *self = HEARTH_MARKDOWN_TEXT(object);
    if (self->label) gtk_widget_unparent(GTK_WIDGET(self->label));
    self->label = NULL;
    g_clear_pointer(&self->grounds, g_array_unref);
    G_OBJECT_CLASS(hearth_markdown_text_parent_class)->dispose(object);
}

static gboolean hearth_markdown_text_activate_link(GtkLabel *label, const char *uri, gpointer data)
{
    (void)data;
    if (!hearth_markdown_parse_link_allowed(uri)) return TRUE;
    GdkAppLaunchContext *context =
        gdk_display_get_app_launch_context(gtk_widget_get_display(GTK_WIDGET(label)));
    g_app_info_launch_default_for_uri_async(uri, G_APP_LAUNCH_CONTEXT(context), NULL, NULL, NULL);
    g_object_unref(context);
    return TRUE;
}

/* ---- grounds ---- */

static gboolean is_ground(PangoAttribute *attribute, gpointer data)
{
    (void)data;
    PangoAttrString *family = pango_attribute_as_string(attribute);
    if (attribute->klass->type == PANGO_ATTR_FAMILY)
        return g_ascii_strcasecmp(family->value, "monospace") == 0;
    return attribute->klass->type == PANGO_ATTR_FALLBACK;
}

static void find_grounds(HearthMarkdownText *self, PangoLayout *layout)
{
    self->grounds = g_array_new(FALSE, FALSE, sizeof(Ground));
    PangoAttrList *list = pango_layout_get_attributes(layout);
    GSList *all = list ? pango_attr_list_get_attributes(list) : NULL;
    for (GSList *l = all; l; l = l->next) {
        PangoAttribute *attribute = l->data;
        Ground ground = {(int)attribute->start_index, (int)attribute->end_index,
                         attribute->klass->type == PANGO_ATTR_FALLBACK};
        if (is_ground(attribute, NULL)) g_array_append_val(self->grounds, ground);
        pango_attribute_destroy(attribute);
    }
    g_slist_free(all);
}

static void draw_ground(GtkSnapshot *snapshot, const graphene_rect_t *bounds, bool frame)
{
    bool dark = adw_style_manager_get_dark(adw_style_manager_get_default());
    bool contrast = adw_style_manager_get_high_contrast(adw_style_manager_get_default());
    float shade = dark ? 1 : 0;
    GskRoundedRect rect;
    gsk_rounded_rect_init_from_rect(&rect, bounds, 5);
    if (frame || contrast) {
        const float widths[4] = {1, 1, 1, 1};
        const GdkRGBA color = {shade, shade, shade, contrast ? 0.8f : 0.4f};
        const GdkRGBA colors[4] = {color, color, color, color};
        gtk_snapshot_append_border(snapshot, &rect, widths, colors);
    }
    if (frame) return;
    const GdkRGBA color = {shade, shade, shade, dark ? 0.1f : 0.07f};
    gtk_snapshot_push_rounded_clip(snapshot, &rect);
    gtk_snapshot_append_color(snapshot, &color, bounds);
    gtk_snapshot_pop(snapshot);
}

/* The part of `ground` in the iterator's line; (x, y): the layout's place in the widget. */
static void draw_in_line(GtkSnapshot *snapshot, PangoLayoutIter *iter, const Ground *ground,
                         graphene_point_t at, int height)
{
    PangoLayoutLine *line = pango_layout_iter_get_line_readonly(iter);
    int start = MAX(ground->start, line->start_index);
    int end = MIN(ground->end, line->start_index + line->length);
    if (start >= end) return;
    int *ranges, n;
    pango_layout_line_get_x_ranges(line, start, end, &ranges, &n);
    float baseline = (float)pango_layout_iter_get_baseline(iter) / PANGO_SCALE;
    float ascent = (float)height * 0.76f, pad = ground->frame ? 4 : 1;
    for (int i = 0; i < n;) {
        /* One range per run: those that touch are one ground. */
        int left = ranges[2 * i], right = ranges[2 * i + 1];
        for (i++; i < n && ABS(ranges[2 * i] - right) < PANGO_SCALE; i++) right = ranges[2 * i + 1];
        graphene_rect_t rect;
        graphene_rect_init(&rect, at.x + (float)left / PANGO_SCALE - 2,
                           at.y + baseline - ascent - pad, (float)(right - left) / PANGO_SCALE + 4,
                           (float)height + 2 * pad - 1);
        draw_ground(snapshot, &rect, ground->frame);
    }
    g_free(ranges);
}

static void draw_grounds(HearthMarkdownText *self, GtkSnapshot *snapshot)
{
    PangoLayout *layout = gtk_label_get_layout(self->label);
    if (!self->grounds) find_grounds(self, layout);
    int x, y;
    gtk_label_get_layout_offsets(self->label, &x, &y);
    graphene_point_t at = GRAPHENE_POINT_INIT((float)x, (float)y);
    if (!gtk_widget_compute_point(GTK_WIDGET(self->label), GTK_WIDGET(self), &at, &at)) return;
    PangoFontMetrics *metrics = pango_context_get_metrics(
        gtk_widget_get_pango_context(GTK_WIDGET(self->label)), NULL, NULL);
    int height = PANGO_PIXELS(pango_font_metrics_get_ascent(metrics) +
                              pango_font_metrics_get_descent(metrics));
    pango_font_metrics_unref(metrics);
    PangoLayoutIter *iter = pango_layout_get_iter(layout);
    guint first = 0; /* those before it end before this line */
    do {
        int line = pango_layout_iter_get_line_readonly(iter)->start_index;
        int end = line + pango_layout_iter_get_line_readonly(iter)->length;
        for (guint i = first; i < self->grounds->len; i++) {
            const Ground *ground = &g_array_index(self->grounds, Ground, i);
            if (ground->start >= end) break;
            if (ground->end <= line && i == first) first++;
            draw_in_line(snapshot, iter, ground, at, height);
        }
    } while (pango_layout_iter_next_line(iter));
    pango_layout_iter_free(iter);
}

static void hearth_markdown_text_snapshot(GtkWidget *widget, GtkSnapshot *snapshot)
{
    HearthMarkdownText *self = HEARTH_MARKDOWN_TEXT(widget);
    if (self->has_grounds) draw_grounds(self, snapshot);
    gtk_widget_snapshot_child(widget, GTK_WIDGET(self->label), snapshot);
}

static void hearth_markdown_text_class_init(HearthMarkdownTextClass *class)
{
    GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(class);
    G_OBJECT_CLASS(class)->dispose = hearth_markdown_text_dispose;
    widget_class->snapshot = hearth_markdown_text_snapshot;
    gtk_widget_class_set_layout_manager_type(widget_class, GTK_TYPE_BIN_LAYOUT);
    gtk_widget_class_set_css_name(widget_class, "markdowntext");
    gtk_widget_class_set_accessible_role(widget_class, GTK_ACCESSIBLE_ROLE_GROUP);
}

static void hearth_markdown_text_init(HearthMarkdownText *self) { (void)self; }

static bool is_right_to_left(gunichar c)
{
    switch (g_unichar_get_script(c)) {
    case G_UNICODE_SCRIPT_ARABIC:
    case G_UNICODE_SCRIPT_HEBREW:
    case G_UNICODE_SCRIPT_SYRIAC:
    case G_UNICODE_SCRIPT_THAANA:
    case G_UNICODE_SCRIPT_NKO:
    case G_UNICODE_SCRIPT_ADLAM:
    case G_UNICODE_SCRIPT_MANDAIC:
    case G_UNICODE_SCRIPT_SAMARITAN:
    case G_UNICODE_SCRIPT_HANIFI_ROHINGYA: return true;
    default: return false;
    }
}

GtkTextDirection hearth_markdown_text_direction(const char *markup)
{
    g_autofree char *plain = hearth_markdown_block_strip(markup);
    for (const char *p = plain; *p; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);
        if (!g_unichar_isalpha(c)) continue;
        return is_right_to_left(c) ? GTK_TEXT_DIR_RTL : GTK_TEXT_DIR_LTR;
    }
    return GTK_TEXT_DIR_NONE;
}

GtkWidget *hearth_markdown_text_new(const char *markup, int level)
{
    HearthMarkdownText *self = g_object_new(HEARTH_TYPE_MARKDOWN_TEXT, NULL);
    GtkAccessibleRole role = level ? GTK_ACCESSIBLE_ROLE_HEADING : GTK_ACCESSIBLE_ROLE_LABEL;
    self->label = g_object_new(GTK_TYPE_LABEL, "accessible-role", role, "wrap", TRUE, "wrap-mode",
                               PANGO_WRAP_WORD_CHAR, "selectable", TRUE, "xalign", 0.0, NULL);
    if (level)
        gtk_accessible_update_property(GTK_ACCESSIBLE(self->label), GTK_ACCESSIBLE_PROPERTY_LEVEL,
                                       level, -1);
    /* A hyphen in a broken address or name would be read as part of it. */
    PangoAttrList *attributes = pango_attr_list_new();
    pango_attr_list_insert(attributes, pango_attr_insert_hyphens_new(FALSE));
    gtk_label_set_attributes(self->label, attributes);
    pango_attr_list_unref(attributes);
    g_signal_connect(self->label, "activate-link", G_CALLBACK(hearth_markdown_text_activate_link),
                     NULL);
    gtk_widget_set_parent(GTK_WIDGET(self->label), GTK_WIDGET(self));
    hearth_markdown_text_set_markup(self, markup);
    return GTK_WIDGET(self);
}

/* A blank as wide as it looks beside text, since the ground covers a part of it. */
#define BLANK "<span letter_spacing=\"" G_STRINGIFY(GROUND_ROOM) "\"> </span>"

/* Past the tags that stand before `at`. */
static const char *before_tags(const char *markup, const char *at)
{
    while (at > markup && at[-1] == '>') {
        const char *tag = at - 1;
        while (tag > markup && *tag != '<') tag--;
        at = tag;
    }
    return at;
}

static const char *after_tags(const char *at)
{
    while (*at == '<') {
        const char *end = strchr(at, '>');
        if (!end) break;
        at = end + 1;
    }
    return at;
}

/* The markup with room for the grounds in the blanks beside code. */
static char *with_room(const char *markup)
{
    GString *out = g_string_new(NULL);
    const char *done = markup;
    for (const char *code = markup; (code = strstr(code, "<tt>")); code++) {
        const char *before = before_tags(markup, code);
        const char *end = strstr(code, "</tt>"), *after = end ? after_tags(end) : "";
        if (before > done && before[-1] == ' ') {
            g_string_append_len(out, done, before - 1 - done);
            g_string_append(out, BLANK);
            done = before;
        }
        if (*after == ' ') {
            g_string_append_len(out, done, after - done);
            g_string_append(out, BLANK);
            done = after + 1;
        }
    }
    g_string_append(out, done);
    return g_string_free(out, FALSE);
}

void hearth_markdown_text_set_markup(HearthMarkdownText *self, const char *markup)
{
    g_autofree char *roomy = strstr(markup, "<tt>") ? with_room(markup) : NULL;
    gtk_widget_set_direction(GTK_WIDGET(self->label), hearth_markdown_text_direction(markup));
    gtk_label_set_markup(self->label, roomy ? roomy : markup);
    g_clear_pointer(&self->grounds, g_array_unref);
    self->has_grounds = strstr(markup, "<tt>") || strstr(markup, "<span fallback");
}

GtkLabel *hearth_markdown_text_get_label(HearthMarkdownText *self) { return self->label; }
