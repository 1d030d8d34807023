#include "measure.h"

#define COLUMN 760 /* px at the usual size of text */
#define USUAL_DPI (96 * 1024)

int hearth_chat_measure_column(GtkWidget *widget)
{
    int dpi = -1;
    g_object_get(gtk_widget_get_settings(widget), "gtk-xft-dpi", &dpi, NULL);
    return dpi > USUAL_DPI ? (int)((double)COLUMN * dpi / USUAL_DPI) : COLUMN;
}

int hearth_chat_measure_line(GtkWidget *widget)
{
    PangoFontMetrics *metrics =
        pango_context_get_metrics(gtk_widget_get_pango_context(widget), NULL, NULL);
    int height = PANGO_PIXELS_CEIL(pango_font_metrics_get_height(metrics));
    pango_font_metrics_unref(metrics);
    return height;
}
