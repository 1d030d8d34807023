#include "application.h"

#include "app.h"

struct _HearthApplication {
    AdwApplication parent;
};

G_DEFINE_FINAL_TYPE(HearthApplication, hearth_application, ADW_TYPE_APPLICATION)

static void hearth_application_activate(GApplication *application)
{
    GtkWidget *window = adw_application_window_new(GTK_APPLICATION(application));
    gtk_window_set_title(GTK_WINDOW(window), "Hearth");
    gtk_window_present(GTK_WINDOW(window));
}

static void hearth_application_class_init(HearthApplicationClass *class)
{
    G_APPLICATION_CLASS(class)->activate = hearth_application_activate;
}

static void hearth_application_init(HearthApplication *self) { (void)self; }

HearthApplication *hearth_application_new(void)
{
    return g_object_new(HEARTH_TYPE_APPLICATION, "application-id", HEARTH_APP_ID,
                        "resource-base-path", "/io/github/hearth_ai/Hearth", NULL);
}
