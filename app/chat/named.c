/* Folders and personas: a name, a text and an id. */
#include "chat/named.h"

#include <string.h>

#include "store/rows.h"

struct _HearthFolder {
    GObject parent_instance;
    gint64 id;
    char *name;
};

struct _HearthPersona {
    GObject parent_instance;
    gint64 id;
    char *name, *prompt;
};

G_DEFINE_FINAL_TYPE(HearthFolder, hearth_folder, G_TYPE_OBJECT)
G_DEFINE_FINAL_TYPE(HearthPersona, hearth_persona, G_TYPE_OBJECT)

enum { PROP_NAME = 1, PROP_PROMPT };

static void folder_get_property(GObject *object, guint id, GValue *value, GParamSpec *spec)
{
    if (id == PROP_NAME)
        g_value_set_string(value, HEARTH_FOLDER(object)->name);
    else
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
}

static void folder_finalize(GObject *object)
{
    g_free(HEARTH_FOLDER(object)->name);
    G_OBJECT_CLASS(hearth_folder_parent_class)->finalize(object);
}

static GParamSpec *text_property(const char *name)
{
    return g_param_spec_string(name, NULL, NULL, "",
                               G_PARAM_READABLE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY);
}

static void hearth_folder_class_init(HearthFolderClass *class)
{
    GObjectClass *object = G_OBJECT_CLASS(class);
    object->get_property = folder_get_property;
    object->finalize = folder_finalize;
    g_object_class_install_property(object, PROP_NAME, text_property("name"));
}

static void hearth_folder_init(HearthFolder *folder) { folder->name = NULL; }

static void persona_get_property(GObject *object, guint id, GValue *value, GParamSpec *spec)
{
    HearthPersona *persona = HEARTH_PERSONA(object);
    switch (id) {
    case PROP_NAME: g_value_set_string(value, persona->name); break;
    case PROP_PROMPT: g_value_set_string(value, persona->prompt); break;
    default: G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    }
}

static void persona_finalize(GObject *object)
{
    g_free(HEARTH_PERSONA(object)->name);
    g_free(HEARTH_PERSONA(object)->prompt);
    G_OBJECT_CLASS(hearth_persona_parent_class)->finalize(object);
}

static void hearth_persona_class_init(HearthPersonaClass *class)
{
    GObjectClass *object = G_OBJECT_CLASS(class);
    object->get_property = persona_get_property;
    object->finalize = persona_finalize;
    g_object_class_install_property(object, PROP_NAME, text_property("name"));
    g_object_class_install_property(object, PROP_PROMPT, text_property("prompt"));
}

static void hearth_persona_init(HearthPersona *persona) { persona->name = NULL; }

HearthFolder *hearth_named_folder_new(gint64 id, const char *name)
{
    HearthFolder *folder = g_object_new(HEARTH_TYPE_FOLDER, NULL);
    folder->id = id;
    folder->name = hearth_name_clean(name);
    return folder;
}

void hearth_named_folder_set(HearthFolder *folder, const char *name)
{
    char *old = folder->name; /* may be what is set */
    folder->name = hearth_name_clean(name);
    bool same = strcmp(old, folder->name) == 0;
    g_free(old);
    if (same) return;
    g_object_notify(G_OBJECT(folder), "name");
}

HearthPersona *hearth_named_persona_new(gint64 id, const char *name, const char *prompt)
{
    HearthPersona *persona = g_object_new(HEARTH_TYPE_PERSONA, NULL);
    persona->id = id;
    persona->name = hearth_name_clean(name);
    persona->prompt = g_strdup(prompt);
    return persona;
}

void hearth_named_persona_set(HearthPersona *persona, const char *name, const char *prompt)
{
    char *old_name = persona->name, *old_prompt = persona->prompt; /* may be what is set */
    persona->name = hearth_name_clean(name);
    persona->prompt = g_strdup(prompt);
    g_free(old_name);
    g_free(old_prompt);
    g_object_notify(G_OBJECT(persona), "name");
    g_object_notify(G_OBJECT(persona), "prompt");
}

gint64 hearth_folder_get_id(HearthFolder *folder) { return folder->id; }
const char *hearth_folder_get_name(HearthFolder *folder) { return folder->name; }
gint64 hearth_persona_get_id(HearthPersona *persona) { return persona->id; }
const char *hearth_persona_get_name(HearthPersona *persona) { return persona->name; }
const char *hearth_persona_get_prompt(HearthPersona *persona) { return persona->prompt; }
