#include "view.h"

#include "build.h"
#include "model/doc.h"

#define FIRST_SLICE 8 /* milliseconds: what is seen at once */
#define SLICE 4

struct _HearthMarkdownView {
    HearthMarkdownStack parent;
    HearthMarkdownDoc doc;
    guint built;  /* blocks that have their widgets */
    guint source; /* makes the others, when nothing else is to be done */
};

G_DEFINE_FINAL_TYPE(HearthMarkdownView, hearth_markdown_view, HEARTH_TYPE_MARKDOWN_STACK)

static void hearth_markdown_view_dispose(GObject *object)
{
    g_clear_handle_id(&HEARTH_MARKDOWN_VIEW(object)->source, g_source_remove);
    G_OBJECT_CLASS(hearth_markdown_view_parent_class)->dispose(object);
}

static void hearth_markdown_view_finalize(GObject *object)
{
    hearth_markdown_doc_clear(&HEARTH_MARKDOWN_VIEW(object)->doc);
    G_OBJECT_CLASS(hearth_markdown_view_parent_class)->finalize(object);
}

static void hearth_markdown_view_class_init(HearthMarkdownViewClass *class)
{
    GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(class);
    G_OBJECT_CLASS(class)->dispose = hearth_markdown_view_dispose;
    G_OBJECT_CLASS(class)->finalize = hearth_markdown_view_finalize;
    gtk_widget_class_set_css_name(widget_class, "markdown");
    gtk_widget_class_set_accessible_role(widget_class, GTK_ACCESSIBLE_ROLE_GROUP);
}

static void hearth_markdown_view_init(HearthMarkdownView *self)
{
    hearth_markdown_doc_init(&self->doc);
}

GtkWidget *hearth_markdown_view_new(void) { return g_object_new(HEARTH_TYPE_MARKDOWN_VIEW, NULL); }

static gboolean hearth_markdown_view_build(gpointer data)
{
    HearthMarkdownView *self = data;
    self->built =
        hearth_markdown_build_children(GTK_WIDGET(self), self->doc.blocks, self->built, SLICE);
    if (self->built < self->doc.blocks->len) return G_SOURCE_CONTINUE;
    self->source = 0;
    return G_SOURCE_REMOVE;
}

void hearth_markdown_view_set_text(HearthMarkdownView *self, const char *text, size_t len,
                                   bool complete)
{
    guint same = hearth_markdown_doc_set_text(&self->doc, text, len, complete);
    if (same < self->built || !self->doc.blocks->len) self->built = same;
    if (self->source) return; /* it will come to that */
    self->built = hearth_markdown_build_children(GTK_WIDGET(self), self->doc.blocks, self->built,
                                                 FIRST_SLICE);
    if (self->built < self->doc.blocks->len)
        self->source = g_idle_add(hearth_markdown_view_build, self);
}
