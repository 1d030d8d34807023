#include "peek.h"

#include "../measure.h"

#define LINES 3
#define DESCENDERS 2 /* px of the line above that would be seen */
#define TAIL 700     /* bytes of text: more than three lines of it, even wide ones */

struct _HearthMessagePeek {
    GtkWidget parent_instance;
    GtkWidget *label;
};

G_DEFINE_TYPE(HearthMessagePeek, hearth_message_peek, GTK_TYPE_WIDGET)

/* The label has its full height and stands on the ground of a box that is three lines high. */
static void measure(GtkWidget *widget, GtkOrientation orientation, int for_size, int *ret_min,
                    int *ret_natural, int *ret_min_baseline, int *ret_natural_baseline)
{
    GtkWidget *label = HEARTH_MESSAGE_PEEK(widget)->label;
    gtk_widget_measure(label, orientation, for_size, ret_min, ret_natural, NULL, NULL);
    *ret_min_baseline = *ret_natural_baseline = -1;
    if (orientation == GTK_ORIENTATION_VERTICAL)
        *ret_min = *ret_natural =
            MIN(*ret_min, hearth_chat_measure_lines(label, LINES) - DESCENDERS);
}

static void size_allocate(GtkWidget *widget, int width, int height, int baseline G_GNUC_UNUSED)
{
    GtkWidget *label = HEARTH_MESSAGE_PEEK(widget)->label;
    int whole;
    gtk_widget_measure(label, GTK_ORIENTATION_VERTICAL, width, &whole, NULL, NULL, NULL);
    whole = MAX(whole, height);
    gtk_widget_size_allocate(label, &(GtkAllocation){0, height - whole, width, whole}, -1);
}

static void dispose(GObject *object)
{
    g_clear_pointer(&HEARTH_MESSAGE_PEEK(object)->label, gtk_widget_unparent);
    G_OBJECT_CLASS(hearth_message_peek_parent_class)->dispose(object);
}

static void hearth_message_peek_class_init(HearthMessagePeekClass *klass)
{
    GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(klass);
    G_OBJECT_CLASS(klass)->dispose = dispose;
    widget_class->measure = measure;
    widget_class->size_allocate = size_allocate;
    gtk_widget_class_set_css_name(widget_class, "peek");
}

static void hearth_message_peek_init(HearthMessagePeek *self)
{
    self->label = gtk_label_new(NULL);
    gtk_label_set_wrap(GTK_LABEL(self->label), TRUE);
    gtk_label_set_wrap_mode(GTK_LABEL(self->label), PANGO_WRAP_WORD_CHAR);
    gtk_label_set_xalign(GTK_LABEL(self->label), 0);
    gtk_label_set_yalign(GTK_LABEL(self->label), 1);
    gtk_widget_set_parent(self->label, GTK_WIDGET(self));
    gtk_widget_set_overflow(GTK_WIDGET(self), GTK_OVERFLOW_HIDDEN);
}

GtkWidget *hearth_message_peek_new(void) { return g_object_new(HEARTH_TYPE_MESSAGE_PEEK, NULL); }

/* The cut moves on by 256 bytes at once, to where a word begins, so that the lines do not dance. */
static size_t cut(const char *text, size_t len)
{
    if (len <= TAIL) return 0;
    size_t from = (len - TAIL + 255) / 256 * 256, word = from;
    while (word < from + 40 && !g_ascii_isspace(text[word])) word++;
    if (word < from + 40) return word + 1;
    while (((unsigned char)text[from] & 0xc0) == 0x80) from++;
    return from;
}

void hearth_message_peek_set_text(HearthMessagePeek *peek, const char *text, size_t len)
{
    while (len && g_ascii_isspace(text[len - 1])) len--;
    size_t from = cut(text, len);
    g_autofree char *tail = g_strndup(text + from, len - from);
    /* Empty lines would waste the little room. */
    char *to = tail;
    for (const char *at = tail; *at; at++)
        if (*at != '\n' || at[1] != '\n') *to++ = *at;
    *to = '\0';
    gtk_label_set_text(GTK_LABEL(peek->label), tail);
}
