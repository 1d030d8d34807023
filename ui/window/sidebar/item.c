#include "item.h"

struct _HearthItem {
    GObject parent_instance;
    HearthItemKind kind;
    char *text, *snippet, *excerpt;
    HearthFolder *folder;
    HearthConversation *conversation;
    gint64 message;
    guint count;
    bool expanded, inside;
};

G_DEFINE_FINAL_TYPE(HearthItem, hearth_item, G_TYPE_OBJECT)

enum { PROP_COUNT = 1, PROP_EXPANDED, N_PROPS };
static GParamSpec *props[N_PROPS];

static void hearth_item_get_property(GObject *object, guint id, GValue *value, GParamSpec *spec)
{
    HearthItem *self = HEARTH_ITEM(object);
    switch (id) {
    case PROP_COUNT: g_value_set_uint(value, self->count); break;
    case PROP_EXPANDED: g_value_set_boolean(value, self->expanded); break;
    default: G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    }
}

static void hearth_item_finalize(GObject *object)
{
    HearthItem *self = HEARTH_ITEM(object);
    g_free(self->text);
    g_free(self->snippet);
    g_free(self->excerpt);
    g_clear_object(&self->folder);
    g_clear_object(&self->conversation);
    G_OBJECT_CLASS(hearth_item_parent_class)->finalize(object);
}

static void hearth_item_class_init(HearthItemClass *class)
{
    GObjectClass *object_class = G_OBJECT_CLASS(class);
    object_class->get_property = hearth_item_get_property;
    object_class->finalize = hearth_item_finalize;
    props[PROP_COUNT] = g_param_spec_uint("count", NULL, NULL, 0, G_MAXUINT, 0,
                                          G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);
    props[PROP_EXPANDED] = g_param_spec_boolean("expanded", NULL, NULL, false,
                                                G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);
    g_object_class_install_properties(object_class, N_PROPS, props);
}

static void hearth_item_init(HearthItem *self) { (void)self; }

static HearthItem *item_new(HearthItemKind kind)
{
    HearthItem *self = g_object_new(HEARTH_TYPE_ITEM, NULL);
    self->kind = kind;
    return self;
}

HearthItem *hearth_item_new_heading(const char *text)
{
    HearthItem *self = item_new(HEARTH_ITEM_HEADING);
    self->text = g_strdup(text);
    return self;
}

HearthItem *hearth_item_new_folder(HearthFolder *folder)
{
    HearthItem *self = item_new(HEARTH_ITEM_FOLDER);
    self->folder = g_object_ref(folder);
    return self;
}

HearthItem *hearth_item_new_conversation(HearthConversation *conversation, bool inside)
{
    HearthItem *self = item_new(HEARTH_ITEM_CONVERSATION);
    self->conversation = g_object_ref(conversation);
    self->inside = inside;
    return self;
}

HearthItem *hearth_item_new_hit(HearthConversation *conversation, const HearthHit *hit)
{
    HearthItem *self = item_new(HEARTH_ITEM_HIT);
    self->conversation = g_object_ref(conversation);
    self->text = g_strdup(hit->title);
    self->snippet = g_strdup(hit->snippet);
    self->excerpt = g_strdup(hit->excerpt);
    self->message = hit->message;
    return self;
}

void hearth_item_set_count(HearthItem *self, guint count)
{
    if (self->count == count) return;
    self->count = count;
    g_object_notify_by_pspec(G_OBJECT(self), props[PROP_COUNT]);
}

void hearth_item_set_expanded(HearthItem *self, bool expanded)
{
    if (self->expanded == expanded) return;
    self->expanded = expanded;
    g_object_notify_by_pspec(G_OBJECT(self), props[PROP_EXPANDED]);
}

HearthItemKind hearth_item_get_kind(HearthItem *self) { return self->kind; }
const char *hearth_item_get_text(HearthItem *self) { return self->text; }
const char *hearth_item_get_snippet(HearthItem *self) { return self->snippet; }
const char *hearth_item_get_excerpt(HearthItem *self) { return self->excerpt; }
gint64 hearth_item_get_message(HearthItem *self) { return self->message; }
HearthFolder *hearth_item_get_folder(HearthItem *self) { return self->folder; }
HearthConversation *hearth_item_get_conversation(HearthItem *self) { return self->conversation; }
guint hearth_item_get_count(HearthItem *self) { return self->count; }
bool hearth_item_get_expanded(HearthItem *self) { return self->expanded; }
bool hearth_item_is_inside(HearthItem *self) { return self->inside; }
