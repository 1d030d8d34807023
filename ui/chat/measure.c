#include "measure.h"

#define COLUMN 760 /* px at the usual size of text */
#define USUAL_DPI (96 * 1024)

int hearth_chat_measure_column(GtkWidget *widget)
{
    int dpi = -1;
    g_object_get(gtk_widget_get_settings(widget), "gtk-xft-dpi", &dpi, NULL);
    return dpi > USUAL_DPI ? (int)((double)COLUMN * dpi / USUAL_DPI) : COLUMN;
}

/* Of a text, since the font's metrics say other than its lines have. */
int hearth_chat_measure_lines(GtkWidget *widget, int lines)
{
    g_autoptr(GString) text = g_string_new("X");
    for (int i = 1; i < lines; i++) g_string_append(text, "\nX");
    g_autoptr(PangoLayout) layout = gtk_widget_create_pango_layout(widget, text->str);
    int height;
    pango_layout_get_pixel_size(layout, NULL, &height);
    return height;
}
