#include "code.h"

#include <adwaita.h>
#include <glib/gi18n.h>
#include <string.h>

#include "language.h"

#define FOLD_LINES 40
#define MAX_LINE 4000 /* bytes of a line that are shown: Pango is slow on what is longer */
#define MAX_HIGHLIGHT (200 * 1024)

struct _HearthMarkdownCode {
    GtkWidget parent;
    HearthMarkdownBlock *block;
    GtkLabel *language, *plain;
    GtkWidget *copy, *wrap, *scroller, *more;
    GtkSourceView *view; /* NULL: `plain` is shown */
    GString *shown;
    bool expanded;
    GtkAdjustment *scrolling; /* of the window around it all, while `plain` is shown */
    guint copied;             /* source that turns the check mark back */
    guint settling;           /* source that asks for the height once more */
    bool changed;             /* since that source began to wait */
};

G_DEFINE_FINAL_TYPE(HearthMarkdownCode, hearth_markdown_code, GTK_TYPE_WIDGET)

static GSettings *settings; /* or NULL */

/* Those that wait for their source view; one at a time, when idle. */
static GQueue waiting = G_QUEUE_INIT;
static guint waiting_source;

static void watch_scrolling(HearthMarkdownCode *self, bool watch);

static void cancel_wait(HearthMarkdownCode *self) { g_queue_remove(&waiting, self); }

static void hearth_markdown_code_dispose(GObject *object)
{
    HearthMarkdownCode *self = HEARTH_MARKDOWN_CODE(object);
    GtkWidget *child;
    cancel_wait(self);
    watch_scrolling(self, false);
    g_clear_handle_id(&self->copied, g_source_remove);
    g_clear_handle_id(&self->settling, g_source_remove);
    while ((child = gtk_widget_get_first_child(GTK_WIDGET(self)))) gtk_widget_unparent(child);
    self->view = NULL;
    self->plain = NULL;
    g_clear_pointer(&self->block, hearth_markdown_block_unref);
    G_OBJECT_CLASS(hearth_markdown_code_parent_class)->dispose(object);
}

static void hearth_markdown_code_finalize(GObject *object)
{
    g_string_free(HEARTH_MARKDOWN_CODE(object)->shown, TRUE);
    G_OBJECT_CLASS(hearth_markdown_code_parent_class)->finalize(object);
}

/* ---- the text ---- */

static guint count_lines(const HearthMarkdownBlock *block)
{
    guint n = 0;
    for (const char *p = block->text; (p = memchr(p, '\n', block->text_len - (p - block->text)));
         p++)
        n++;
    return n;
}

/* What is shown of the block's text: no last line break, no endless lines, no folded ones. */
static GString *shown_text(const HearthMarkdownBlock *block, bool expanded)
{
    GString *out = g_string_sized_new(block->text_len + 1);
    const char *end = block->text + block->text_len;
    if (end > block->text && end[-1] == '\n') end--;
    guint lines = 0;
    for (const char *p = block->text; p <= end && (expanded || lines < FOLD_LINES); lines++) {
        const char *line_break = memchr(p, '\n', (gsize)(end - p));
        const char *line_end = line_break ? line_break : end;
        if (lines) g_string_append_c(out, '\n');
        if (line_end - p > MAX_LINE) {
            const char *cut = p + MAX_LINE;
            while (((guchar)*cut & 0xc0) == 0x80) cut--;
            g_string_append_len(out, p, cut - p);
            g_string_append(out, "…");
        } else {
            g_string_append_len(out, p, line_end - p);
        }
        p = line_end + 1;
    }
    return out;
}

static gboolean hearth_markdown_code_settled(gpointer data)
{
    HearthMarkdownCode *self = data;
    if (self->view) gtk_widget_queue_resize(GTK_WIDGET(self->view));
    if (self->changed) {
        self->changed = false;
        return G_SOURCE_CONTINUE;
    }
    self->settling = 0;
    return G_SOURCE_REMOVE;
}

/* A text view lays its lines out bit by bit and counts those to come as nothing. What it asks for
 * when it has them all is lost where that happens while sizes are being given out, and the block
 * stays cut off; so it is asked once more, after a frame or two and its own idle sources. */
static void settle_height(HearthMarkdownCode *self)
{
    self->changed = self->settling != 0;
    if (!self->settling)
        self->settling =
            g_timeout_add_full(G_PRIORITY_LOW, 50, hearth_markdown_code_settled, self, NULL);
}

static void show_text(HearthMarkdownCode *self)
{
    GString *text = shown_text(self->block, self->expanded);
    GString *old = self->shown;
    if (self->view) {
        GtkTextBuffer *buffer = gtk_text_view_get_buffer(GTK_TEXT_VIEW(self->view));
        gsize same = 0, limit = MIN(old->len, text->len);
        if (old->len <= text->len && memcmp(old->str, text->str, old->len) == 0)
            same = old->len;
        else
            while (same < limit && old->str[same] == text->str[same]) same++;
        while (same && ((guchar)text->str[same] & 0xc0) == 0x80) same--;
        GtkTextIter start, end;
        gtk_text_buffer_get_end_iter(buffer, &end);
        if (same < old->len) {
            glong chars = g_utf8_strlen(old->str, (gssize)same);
            gtk_text_buffer_get_iter_at_offset(buffer, &start, (int)chars);
            gtk_text_buffer_delete(buffer, &start, &end);
        }
        if (same < text->len) {
            gtk_text_buffer_get_end_iter(buffer, &end);
            gtk_text_buffer_insert(buffer, &end, text->str + same, (int)(text->len - same));
        }
        settle_height(self);
    } else {
        gtk_label_set_text(self->plain, text->str);
    }
    g_string_free(old, TRUE);
    self->shown = text;
}

static void show_more_button(HearthMarkdownCode *self)
{
    guint lines = count_lines(self->block);
    bool visible = lines > FOLD_LINES;
    gtk_widget_set_visible(self->more, visible);
    if (!visible) return;
    g_autofree char *label =
        self->expanded
            ? g_strdup(_("Show Less"))
            : g_strdup_printf(ngettext("Show All %u Line", "Show All %u Lines", lines), lines);
    gtk_button_set_label(GTK_BUTTON(self->more), label);
}

/* ---- the source view ---- */

static void hearth_markdown_code_use_scheme(HearthMarkdownCode *self)
{
    if (!self->view) return;
    bool dark = adw_style_manager_get_dark(adw_style_manager_get_default());
    GtkSourceStyleScheme *scheme = gtk_source_style_scheme_manager_get_scheme(
        gtk_source_style_scheme_manager_get_default(), dark ? "Adwaita-dark" : "Adwaita");
    gtk_source_buffer_set_style_scheme(
        GTK_SOURCE_BUFFER(gtk_text_view_get_buffer(GTK_TEXT_VIEW(self->view))), scheme);
}

static void use_language(HearthMarkdownCode *self)
{
    g_autofree char *label = hearth_markdown_language_label(self->block->info);
    gtk_label_set_label(self->language, label);
    gtk_accessible_update_property(GTK_ACCESSIBLE(self), GTK_ACCESSIBLE_PROPERTY_LABEL, label, -1);
    if (!self->view) return;
    GtkSourceBuffer *buffer = hearth_markdown_code_get_buffer(self);
    gtk_source_buffer_set_language(buffer, hearth_markdown_language(self->block->info));
    gtk_source_buffer_set_highlight_syntax(buffer, self->block->text_len < MAX_HIGHLIGHT);
    gtk_accessible_update_property(GTK_ACCESSIBLE(self->view), GTK_ACCESSIBLE_PROPERTY_LABEL, label,
                                   -1);
}

static void hearth_markdown_code_wrap(HearthMarkdownCode *self)
{
    bool wrap = gtk_toggle_button_get_active(GTK_TOGGLE_BUTTON(self->wrap));
    if (self->view)
        gtk_text_view_set_wrap_mode(GTK_TEXT_VIEW(self->view),
                                    wrap ? GTK_WRAP_WORD_CHAR : GTK_WRAP_NONE);
    else
        gtk_label_set_wrap(self->plain, wrap);
}

static void make_view(HearthMarkdownCode *self)
{
    GtkSourceBuffer *buffer = gtk_source_buffer_new(NULL);
    gtk_source_buffer_set_highlight_matching_brackets(buffer, FALSE);
    gtk_text_buffer_set_enable_undo(GTK_TEXT_BUFFER(buffer), FALSE);
    gtk_text_buffer_set_text(GTK_TEXT_BUFFER(buffer), self->shown->str, (int)self->shown->len);
    self->view =
        g_object_new(GTK_SOURCE_TYPE_VIEW, "buffer", buffer, "editable", FALSE, "cursor-visible",
                     FALSE, "monospace", TRUE, "accepts-tab", FALSE, "left-margin", 12,
                     "right-margin", 12, "top-margin", 4, "bottom-margin", 12, NULL);
    g_object_unref(buffer);
    gtk_widget_set_direction(GTK_WIDGET(self->view), GTK_TEXT_DIR_LTR);
    self->plain = NULL;
    watch_scrolling(self, false);
    gtk_scrolled_window_set_child(GTK_SCROLLED_WINDOW(self->scroller), GTK_WIDGET(self->view));
    use_language(self);
    hearth_markdown_code_use_scheme(self);
    hearth_markdown_code_wrap(self);
    settle_height(self);
}

/* Within a screen of what the window shows? */
static bool is_near(HearthMarkdownCode *self)
{
    GtkWidget *root = GTK_WIDGET(gtk_widget_get_root(GTK_WIDGET(self)));
    graphene_rect_t bounds;
    if (!root || !gtk_widget_compute_bounds(GTK_WIDGET(self), root, &bounds)) return false;
    float height = (float)gtk_widget_get_height(root);
    return bounds.origin.y < 2 * height && bounds.origin.y + bounds.size.height > -height;
}

static gboolean make_next_view(gpointer data)
{
    (void)data;
    HearthMarkdownCode *self = g_queue_pop_head(&waiting);
    if (self && is_near(self)) make_view(self);
    if (!g_queue_is_empty(&waiting)) return G_SOURCE_CONTINUE;
    waiting_source = 0;
    return G_SOURCE_REMOVE;
}

static void hearth_markdown_code_wait(HearthMarkdownCode *self)
{
    if (self->view || !self->plain || g_queue_find(&waiting, self)) return;
    g_queue_push_tail(&waiting, self);
    if (!waiting_source)
        waiting_source = g_idle_add_full(G_PRIORITY_LOW, make_next_view, NULL, NULL);
}

static void hearth_markdown_code_scrolled(HearthMarkdownCode *self)
{
    if (!self->view && is_near(self)) hearth_markdown_code_wait(self);
}

static void watch_scrolling(HearthMarkdownCode *self, bool watch)
{
    if (self->scrolling)
        g_signal_handlers_disconnect_by_func(self->scrolling, hearth_markdown_code_scrolled, self);
    g_clear_object(&self->scrolling);
    GtkWidget *parent = watch ? gtk_widget_get_parent(GTK_WIDGET(self)) : NULL;
    GtkWidget *outer = parent ? gtk_widget_get_ancestor(parent, GTK_TYPE_SCROLLED_WINDOW) : NULL;
    if (!outer) return;
    self->scrolling = g_object_ref(gtk_scrolled_window_get_vadjustment(GTK_SCROLLED_WINDOW(outer)));
    g_signal_connect_swapped(self->scrolling, "value-changed",
                             G_CALLBACK(hearth_markdown_code_scrolled), self);
}

static void hearth_markdown_code_map(GtkWidget *widget)
{
    GTK_WIDGET_CLASS(hearth_markdown_code_parent_class)->map(widget);
    HearthMarkdownCode *self = HEARTH_MARKDOWN_CODE(widget);
    if (self->view) return;
    watch_scrolling(self, true);
    hearth_markdown_code_wait(self);
}

static void hearth_markdown_code_unmap(GtkWidget *widget)
{
    HearthMarkdownCode *self = HEARTH_MARKDOWN_CODE(widget);
    cancel_wait(self);
    watch_scrolling(self, false);
    GTK_WIDGET_CLASS(hearth_markdown_code_parent_class)->unmap(widget);
}

/* ---- buttons ---- */

static void show_copied(HearthMarkdownCode *self, bool copied)
{
    gtk_button_set_icon_name(GTK_BUTTON(self->copy),
                             copied ? "object-select-symbolic" : "edit-copy-symbolic");
    const char *name = copied ? _("Copied") : _("Copy Code");
    gtk_widget_set_tooltip_text(self->copy, name);
    gtk_accessible_update_property(GTK_ACCESSIBLE(self->copy), GTK_ACCESSIBLE_PROPERTY_LABEL, name,
                                   -1);
}

static gboolean hearth_markdown_code_copied_end(gpointer data)
{
    HearthMarkdownCode *self = data;
    self->copied = 0;
    show_copied(self, false);
    return G_SOURCE_REMOVE;
}

static void hearth_markdown_code_copy(HearthMarkdownCode *self)
{
    gdk_clipboard_set_text(gtk_widget_get_clipboard(GTK_WIDGET(self)), self->block->text);
    show_copied(self, true);
    g_clear_handle_id(&self->copied, g_source_remove);
    self->copied = g_timeout_add(1500, hearth_markdown_code_copied_end, self);
}

static void hearth_markdown_code_toggle_more(HearthMarkdownCode *self)
{
    self->expanded = !self->expanded;
    show_text(self);
    show_more_button(self);
}

/* ---- the widget ---- */

static void hearth_markdown_code_class_init(HearthMarkdownCodeClass *class)
{
    GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(class);
    G_OBJECT_CLASS(class)->dispose = hearth_markdown_code_dispose;
    G_OBJECT_CLASS(class)->finalize = hearth_markdown_code_finalize;
    widget_class->map = hearth_markdown_code_map;
    widget_class->unmap = hearth_markdown_code_unmap;
    gtk_widget_class_set_layout_manager_type(widget_class, GTK_TYPE_BOX_LAYOUT);
    gtk_widget_class_set_css_name(widget_class, "markdowncode");
    gtk_widget_class_set_accessible_role(widget_class, GTK_ACCESSIBLE_ROLE_GROUP);
}

static GtkWidget *make_header(HearthMarkdownCode *self)
{
    GtkWidget *header = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 0);
    gtk_widget_add_css_class(header, "md-header");
    self->language = g_object_new(GTK_TYPE_LABEL, "xalign", 0.0, "hexpand", TRUE, "ellipsize",
                                  PANGO_ELLIPSIZE_END, NULL);
    self->wrap = g_object_new(GTK_TYPE_TOGGLE_BUTTON, "icon-name", "hearth-wrap-symbolic",
                              "tooltip-text", _("Wrap Lines"), NULL);
    gtk_accessible_update_property(GTK_ACCESSIBLE(self->wrap), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                   _("Wrap Lines"), -1);
    self->copy = gtk_button_new();
    show_copied(self, false);
    g_signal_connect_swapped(self->wrap, "toggled", G_CALLBACK(hearth_markdown_code_wrap), self);
    g_signal_connect_swapped(self->copy, "clicked", G_CALLBACK(hearth_markdown_code_copy), self);
    gtk_box_append(GTK_BOX(header), GTK_WIDGET(self->language));
    gtk_widget_add_css_class(self->wrap, "flat");
    gtk_widget_add_css_class(self->copy, "flat");
    if (settings) g_settings_bind(settings, "wrap-code", self->wrap, "active", G_SETTINGS_BIND_GET);
    gtk_box_append(GTK_BOX(header), self->wrap);
    gtk_box_append(GTK_BOX(header), self->copy);
    return header;
}

static void hearth_markdown_code_init(HearthMarkdownCode *self)
{
    gtk_orientable_set_orientation(GTK_ORIENTABLE(gtk_widget_get_layout_manager(GTK_WIDGET(self))),
                                   GTK_ORIENTATION_VERTICAL);
    gtk_widget_set_overflow(GTK_WIDGET(self), GTK_OVERFLOW_HIDDEN);
    self->shown = g_string_new(NULL);
    self->plain = g_object_new(GTK_TYPE_LABEL, "xalign", 0.0, "yalign", 0.0, "selectable", TRUE,
                               "wrap-mode", PANGO_WRAP_WORD_CHAR, "margin-start", 12, "margin-end",
                               12, "margin-top", 4, "margin-bottom", 12, NULL);
    gtk_widget_add_css_class(GTK_WIDGET(self->plain), "monospace");
    gtk_widget_set_direction(GTK_WIDGET(self->plain), GTK_TEXT_DIR_LTR);
    self->scroller = gtk_scrolled_window_new();
    gtk_scrolled_window_set_policy(GTK_SCROLLED_WINDOW(self->scroller), GTK_POLICY_AUTOMATIC,
                                   GTK_POLICY_NEVER);
    gtk_scrolled_window_set_child(GTK_SCROLLED_WINDOW(self->scroller), GTK_WIDGET(self->plain));
    self->more = gtk_button_new();
    gtk_widget_add_css_class(self->more, "flat");
    gtk_widget_add_css_class(self->more, "md-more");
    g_signal_connect_swapped(self->more, "clicked", G_CALLBACK(hearth_markdown_code_toggle_more),
                             self);
    gtk_widget_set_parent(make_header(self), GTK_WIDGET(self));
    gtk_widget_set_parent(self->scroller, GTK_WIDGET(self));
    gtk_widget_set_parent(self->more, GTK_WIDGET(self));
    g_signal_connect_object(adw_style_manager_get_default(), "notify::dark",
                            G_CALLBACK(hearth_markdown_code_use_scheme), self, G_CONNECT_SWAPPED);
}

void hearth_markdown_code_set_settings(GSettings *chosen) { g_set_object(&settings, chosen); }

GtkWidget *hearth_markdown_code_new(HearthMarkdownBlock *block)
{
    HearthMarkdownCode *self = g_object_new(HEARTH_TYPE_MARKDOWN_CODE, NULL);
    self->block = hearth_markdown_block_ref(block);
    use_language(self);
    show_text(self);
    show_more_button(self);
    return GTK_WIDGET(self);
}

void hearth_markdown_code_update(HearthMarkdownCode *self, HearthMarkdownBlock *block)
{
    bool other_language = g_strcmp0(self->block->info, block->info) != 0;
    bool was_short = count_lines(self->block) <= FOLD_LINES;
    hearth_markdown_block_ref(block);
    hearth_markdown_block_unref(self->block);
    self->block = block;
    if (was_short && count_lines(block) > FOLD_LINES) self->expanded = true;
    if (other_language) use_language(self);
    show_text(self);
    show_more_button(self);
}

GtkSourceBuffer *hearth_markdown_code_get_buffer(HearthMarkdownCode *self)
{
    if (!self->view) return NULL;
    return GTK_SOURCE_BUFFER(gtk_text_view_get_buffer(GTK_TEXT_VIEW(self->view)));
}
