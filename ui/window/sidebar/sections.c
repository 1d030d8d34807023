#include "sections.h"

#include <glib/gi18n-lib.h>

struct _HearthSections {
    GObject parent_instance;
    GListModel *conversations, *folders;
    GPtrArray *items;    /* of HearthItem: what the model has said so far */
    GPtrArray *followed; /* of HearthConversation, in the order of `conversations` */
    /* Rows by what they show, kept from one rebuild to the next. */
    GHashTable *by_conversation, *by_folder, *by_heading;
    GHashTable *open; /* ids of folders that are expanded, also of those that are yet to come */
    gint64 now;       /* 0 = the clock */
    guint idle, timer;
};

static void list_model_init(GListModelInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE(HearthSections, hearth_sections, G_TYPE_OBJECT,
                              G_IMPLEMENT_INTERFACE(G_TYPE_LIST_MODEL, list_model_init))

static GType get_item_type(GListModel *list)
{
    (void)list;
    return HEARTH_TYPE_ITEM;
}

static guint get_n_items(GListModel *list) { return HEARTH_SECTIONS(list)->items->len; }

static gpointer get_item(GListModel *list, guint at)
{
    GPtrArray *items = HEARTH_SECTIONS(list)->items;
    return at < items->len ? g_object_ref(items->pdata[at]) : NULL;
}

static void list_model_init(GListModelInterface *iface)
{
    iface->get_item_type = get_item_type;
    iface->get_n_items = get_n_items;
    iface->get_item = get_item;
}

/* ---- dates ----------------------------------------------------------------------------------- */

/* Where the newest conversation that is still unsorted belongs; the list goes back in time, so each
 * boundary is computed once. */
typedef struct {
    gint64 today, yesterday, week, month; /* µs: where these days begin */
    int year;
    gint64 begin; /* µs: of the section `label` */
    char *label;
} Dates;

static gint64 day_start(GDateTime *day, int days_before)
{
    g_autoptr(GDateTime) midnight =
        g_date_time_new_local(g_date_time_get_year(day), g_date_time_get_month(day),
                              g_date_time_get_day_of_month(day), 0, 0, 0);
    g_autoptr(GDateTime) then = g_date_time_add_days(midnight, -days_before);
    return g_date_time_to_unix(then) * G_USEC_PER_SEC;
}

static void dates_init(Dates *dates, gint64 now)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(now / G_USEC_PER_SEC);
    *dates = (Dates){.today = day_start(time, 0),
                     .yesterday = day_start(time, 1),
                     .week = day_start(time, 7),
                     .month = day_start(time, 30),
                     .year = g_date_time_get_year(time),
                     .begin = G_MAXINT64};
}

static void dates_month(Dates *dates, gint64 updated)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(updated / G_USEC_PER_SEC);
    int year = g_date_time_get_year(time);
    g_autoptr(GDateTime) first =
        g_date_time_new_local(year, g_date_time_get_month(time), 1, 0, 0, 0);
    dates->begin = g_date_time_to_unix(first) * G_USEC_PER_SEC;
    /* Translators: headings of the sidebar, for conversations of a month of this year and of
     * another one. */
    dates->label = g_date_time_format(first, year == dates->year ? C_("heading", "%OB")
                                                                 : C_("heading", "%OB %Y"));
}

/* True when a new section begins; its label is then `dates->label`. */
static bool dates_enter(Dates *dates, gint64 updated)
{
    if (updated >= dates->begin) return false;
    g_clear_pointer(&dates->label, g_free);
    if (updated >= dates->today) {
        dates->begin = dates->today;
        dates->label = g_strdup(_("Today"));
    } else if (updated >= dates->yesterday) {
        dates->begin = dates->yesterday;
        dates->label = g_strdup(_("Yesterday"));
    } else if (updated >= dates->week) {
        dates->begin = dates->week;
        dates->label = g_strdup(_("Previous 7 Days"));
    } else if (updated >= dates->month) {
        dates->begin = dates->month;
        dates->label = g_strdup(_("Previous 30 Days"));
    } else {
        dates_month(dates, updated);
    }
    return true;
}

/* ---- building the list ----------------------------------------------------------------------- */

/* A rebuild: the new list, and the rows that are still in use. */
typedef struct {
    HearthSections *self;
    GPtrArray *items;
    GHashTable *by_conversation, *by_folder, *by_heading;
} Build;

/* Takes the row of `key` over from the rebuild before; NULL when there was none. */
static HearthItem *take_over(GHashTable *old, GHashTable *fresh, gconstpointer key)
{
    gpointer kept_key, item;
    if (!g_hash_table_steal_extended(old, key, &kept_key, &item)) return NULL;
    g_hash_table_insert(fresh, kept_key, item);
    return item;
}

static void add_heading(Build *build, const char *text)
{
    HearthItem *item = take_over(build->self->by_heading, build->by_heading, text);
    if (!item) {
        item = hearth_item_new_heading(text);
        g_hash_table_insert(build->by_heading, g_strdup(text), item);
    }
    g_ptr_array_add(build->items, g_object_ref(item));
}

static void add_conversation(Build *build, HearthConversation *conversation, bool inside)
{
    HearthItem *item =
        take_over(build->self->by_conversation, build->by_conversation, conversation);
    if (item && hearth_item_is_inside(item) != inside) item = NULL;
    if (!item) {
        item = hearth_item_new_conversation(conversation, inside);
        g_hash_table_insert(build->by_conversation, conversation, item);
    }
    g_ptr_array_add(build->items, g_object_ref(item));
}

static void add_folder(Build *build, HearthFolder *folder, GPtrArray *within)
{
    HearthItem *item = take_over(build->self->by_folder, build->by_folder, folder);
    if (!item) {
        gint64 id = hearth_folder_get_id(folder);
        item = hearth_item_new_folder(folder);
        hearth_item_set_expanded(item, g_hash_table_contains(build->self->open, &id));
        g_hash_table_insert(build->by_folder, folder, item);
    }
    hearth_item_set_count(item, within->len);
    g_ptr_array_add(build->items, g_object_ref(item));
    for (guint i = 0; hearth_item_get_expanded(item) && i < within->len; i++)
        add_conversation(build, within->pdata[i], true);
}

/* Folder id → GPtrArray of its conversations (borrowed). */
static GHashTable *by_folder_id(HearthSections *self)
{
    GHashTable *filed = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free,
                                              (GDestroyNotify)g_ptr_array_unref);
    guint n = g_list_model_get_n_items(self->folders);
    for (guint i = 0; i < n; i++) {
        g_autoptr(HearthFolder) folder = g_list_model_get_item(self->folders, i);
        gint64 *id = g_new(gint64, 1);
        *id = hearth_folder_get_id(folder);
        g_hash_table_insert(filed, id, g_ptr_array_new());
    }
    return filed;
}

static void add_pinned(Build *build, GPtrArray *pinned)
{
    if (pinned->len) add_heading(build, _("Pinned"));
    for (guint i = 0; i < pinned->len; i++) add_conversation(build, pinned->pdata[i], false);
}

static void add_folders(Build *build, GHashTable *filed)
{
    GListModel *folders = build->self->folders;
    guint n = g_list_model_get_n_items(folders);
    if (n) add_heading(build, _("Folders"));
    for (guint i = 0; i < n; i++) {
        g_autoptr(HearthFolder) folder = g_list_model_get_item(folders, i);
        gint64 id = hearth_folder_get_id(folder);
        add_folder(build, folder, g_hash_table_lookup(filed, &id));
    }
}

static void add_by_date(Build *build, GPtrArray *dated)
{
    Dates dates;
    dates_init(&dates, build->self->now ? build->self->now : g_get_real_time());
    for (guint i = 0; i < dated->len; i++) {
        HearthConversation *conversation = dated->pdata[i];
        if (dates_enter(&dates, hearth_conversation_get_updated(conversation)))
            add_heading(build, dates.label);
        add_conversation(build, conversation, false);
    }
    g_free(dates.label);
}

static GHashTable *conversation_rows(void)
{
    return g_hash_table_new_full(NULL, NULL, NULL, g_object_unref);
}

static GHashTable *heading_rows(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_object_unref);
}

static void replace_rows(GHashTable **rows, GHashTable *fresh)
{
    g_hash_table_unref(*rows);
    *rows = fresh;
}

static GPtrArray *build_items(HearthSections *self)
{
    Build build = {self, g_ptr_array_new_with_free_func(g_object_unref), conversation_rows(),
                   conversation_rows(), heading_rows()};
    g_autoptr(GHashTable) filed = by_folder_id(self);
    g_autoptr(GPtrArray) pinned = g_ptr_array_new();
    g_autoptr(GPtrArray) dated = g_ptr_array_new();
    for (guint i = 0; i < self->followed->len; i++) {
        HearthConversation *conversation = self->followed->pdata[i];
        gint64 folder = hearth_conversation_get_folder(conversation);
        GPtrArray *within = folder ? g_hash_table_lookup(filed, &folder) : NULL;
        bool is_pinned = hearth_conversation_get_pinned(conversation);
        g_ptr_array_add(is_pinned ? pinned : within ? within : dated, conversation);
    }
    add_pinned(&build, pinned);
    add_folders(&build, filed);
    add_by_date(&build, dated);
    replace_rows(&self->by_conversation, build.by_conversation);
    replace_rows(&self->by_folder, build.by_folder);
    replace_rows(&self->by_heading, build.by_heading);
    return build.items;
}

/* ---- saying what changed --------------------------------------------------------------------- */

static void splice(HearthSections *self, guint at, guint n_removed, GPtrArray *from, guint from_at,
                   guint n_added)
{
    if (!n_removed && !n_added) return;
    if (n_removed) g_ptr_array_remove_range(self->items, at, n_removed);
    for (guint i = 0; i < n_added; i++)
        g_ptr_array_insert(self->items, (int)(at + i), g_object_ref(from->pdata[from_at + i]));
    g_list_model_items_changed(G_LIST_MODEL(self), at, n_removed, n_added);
}

static bool same(gpointer *a, gpointer *b, guint n)
{
    for (guint i = 0; i < n; i++)
        if (a[i] != b[i]) return false;
    return true;
}

/* Equal ends are left alone. Of the middle two shapes are told in two small changes, since they are
 * what using the program does: the last row goes and rows come before the others (an old
 * conversation is written to), and the mirror image of it (one is unpinned). */
static void become(HearthSections *self, GPtrArray *fresh)
{
    GPtrArray *old = self->items;
    guint head = 0, tail = 0, least = MIN(old->len, fresh->len);
    while (head < least && old->pdata[head] == fresh->pdata[head]) head++;
    while (tail < least - head &&
           old->pdata[old->len - 1 - tail] == fresh->pdata[fresh->len - 1 - tail])
        tail++;
    guint n_old = old->len - head - tail, n_new = fresh->len - head - tail;
    gpointer *a = old->pdata + head, *b = fresh->pdata + head;
    if (n_old > 1 && n_new >= n_old - 1 && same(a, b + n_new - (n_old - 1), n_old - 1)) {
        splice(self, head + n_old - 1, 1, NULL, 0, 0);
        splice(self, head, 0, fresh, head, n_new - (n_old - 1));
    } else if (n_old > 1 && n_new >= n_old - 1 && same(a + 1, b, n_old - 1)) {
        splice(self, head, 1, NULL, 0, 0);
        splice(self, head + n_old - 1, 0, fresh, head + n_old - 1, n_new - (n_old - 1));
    } else {
        splice(self, head, n_old, fresh, head, n_new);
    }
}

static gboolean on_day(gpointer data)
{
    HearthSections *self = data;
    self->timer = 0;
    hearth_sections_refresh(self);
    return G_SOURCE_REMOVE;
}

/* Timers do not count while the machine sleeps, so midnight is looked for a few times on the way.
 */
static void await_midnight(HearthSections *self)
{
    g_autoptr(GDateTime) now = g_date_time_new_now_local();
    gint64 seconds = (day_start(now, -1) - g_get_real_time()) / G_USEC_PER_SEC + 1;
    g_clear_handle_id(&self->timer, g_source_remove);
    self->timer = g_timeout_add_seconds((guint)CLAMP(seconds, 1, 600), on_day, self);
}

void hearth_sections_refresh(HearthSections *self)
{
    g_clear_handle_id(&self->idle, g_source_remove);
    g_autoptr(GPtrArray) fresh = build_items(self);
    become(self, fresh);
    await_midnight(self);
}

static gboolean on_idle(gpointer data)
{
    HearthSections *self = data;
    self->idle = 0;
    hearth_sections_refresh(self);
    return G_SOURCE_REMOVE;
}

/* Before the next frame is drawn. */
static void refresh_soon(HearthSections *self)
{
    if (!self->idle) self->idle = g_idle_add_full(G_PRIORITY_HIGH_IDLE, on_idle, self, NULL);
}

/* ---- following ------------------------------------------------------------------------------- */

static void on_conversation_changed(HearthSections *self, GParamSpec *spec)
{
    static const char *const matter[] = {"pinned", "folder", "updated", NULL};
    if (g_strv_contains(matter, spec->name)) refresh_soon(self);
}

static void unfollow(gpointer conversation, gpointer self)
{
    g_signal_handlers_disconnect_by_func(conversation, on_conversation_changed, self);
}

static void on_conversations_changed(HearthSections *self, guint at, guint n_removed, guint n_added)
{
    for (guint i = 0; i < n_removed; i++) unfollow(self->followed->pdata[at + i], self);
    if (n_removed) g_ptr_array_remove_range(self->followed, at, n_removed);
    for (guint i = 0; i < n_added; i++) {
        HearthConversation *conversation = g_list_model_get_item(self->conversations, at + i);
        g_ptr_array_insert(self->followed, (int)(at + i), conversation);
        g_signal_connect_swapped(conversation, "notify", G_CALLBACK(on_conversation_changed), self);
    }
    refresh_soon(self);
}

static void hearth_sections_dispose(GObject *object)
{
    HearthSections *self = HEARTH_SECTIONS(object);
    g_clear_handle_id(&self->idle, g_source_remove);
    g_clear_handle_id(&self->timer, g_source_remove);
    if (self->followed) g_ptr_array_foreach(self->followed, unfollow, self);
    g_clear_pointer(&self->followed, g_ptr_array_unref);
    g_clear_pointer(&self->by_conversation, g_hash_table_unref);
    g_clear_pointer(&self->by_folder, g_hash_table_unref);
    g_clear_pointer(&self->by_heading, g_hash_table_unref);
    g_clear_object(&self->conversations);
    g_clear_object(&self->folders);
    G_OBJECT_CLASS(hearth_sections_parent_class)->dispose(object);
}

static void hearth_sections_finalize(GObject *object)
{
    g_ptr_array_unref(HEARTH_SECTIONS(object)->items);
    g_hash_table_unref(HEARTH_SECTIONS(object)->open);
    G_OBJECT_CLASS(hearth_sections_parent_class)->finalize(object);
}

static void hearth_sections_class_init(HearthSectionsClass *class)
{
    G_OBJECT_CLASS(class)->dispose = hearth_sections_dispose;
    G_OBJECT_CLASS(class)->finalize = hearth_sections_finalize;
}

static void hearth_sections_init(HearthSections *self)
{
    self->items = g_ptr_array_new_with_free_func(g_object_unref);
    self->followed = g_ptr_array_new_with_free_func(g_object_unref);
    self->by_conversation = conversation_rows();
    self->by_folder = conversation_rows();
    self->by_heading = heading_rows();
    self->open = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
}

HearthSections *hearth_sections_new(GListModel *conversations, GListModel *folders)
{
    HearthSections *self = g_object_new(HEARTH_TYPE_SECTIONS, NULL);
    self->conversations = g_object_ref(conversations);
    self->folders = g_object_ref(folders);
    g_signal_connect_object(conversations, "items-changed", G_CALLBACK(on_conversations_changed),
                            self, G_CONNECT_SWAPPED);
    g_signal_connect_object(folders, "items-changed", G_CALLBACK(refresh_soon), self,
                            G_CONNECT_SWAPPED);
    on_conversations_changed(self, 0, 0, g_list_model_get_n_items(conversations));
    hearth_sections_refresh(self);
    return self;
}

void hearth_sections_set_now(HearthSections *self, gint64 now)
{
    self->now = now;
    hearth_sections_refresh(self);
}

void hearth_sections_set_expanded(HearthSections *self, HearthFolder *folder, bool expanded)
{
    HearthItem *item = g_hash_table_lookup(self->by_folder, folder);
    gint64 id = hearth_folder_get_id(folder);
    if (!item) return;
    if (expanded)
        g_hash_table_add(self->open, g_memdup2(&id, sizeof id));
    else
        g_hash_table_remove(self->open, &id);
    hearth_item_set_expanded(item, expanded);
    hearth_sections_refresh(self);
}

GVariant *hearth_sections_get_open(HearthSections *self)
{
    GVariantBuilder ids;
    g_variant_builder_init(&ids, G_VARIANT_TYPE("ax"));
    for (guint i = 0; i < g_list_model_get_n_items(self->folders); i++) {
        g_autoptr(HearthFolder) folder = g_list_model_get_item(self->folders, i);
        gint64 id = hearth_folder_get_id(folder);
        if (g_hash_table_contains(self->open, &id)) g_variant_builder_add(&ids, "x", id);
    }
    return g_variant_builder_end(&ids);
}

void hearth_sections_set_open(HearthSections *self, GVariant *ids)
{
    for (gsize i = 0; i < g_variant_n_children(ids); i++) {
        gint64 id;
        g_variant_get_child(ids, i, "x", &id);
        g_hash_table_add(self->open, g_memdup2(&id, sizeof id));
    }
    GHashTableIter iter;
    gpointer folder, item;
    g_hash_table_iter_init(&iter, self->by_folder);
    while (g_hash_table_iter_next(&iter, &folder, &item)) {
        gint64 id = hearth_folder_get_id(folder);
        hearth_item_set_expanded(item, g_hash_table_contains(self->open, &id));
    }
    hearth_sections_refresh(self);
}

guint hearth_sections_find(HearthSections *self, HearthConversation *conversation)
{
    for (guint i = 0; i < self->items->len; i++)
        if (hearth_item_get_conversation(self->items->pdata[i]) == conversation) return i;
    return G_MAXUINT;
}

HearthConversation *hearth_sections_step(HearthSections *self, HearthConversation *conversation,
                                         int by)
{
    if (self->idle) hearth_sections_refresh(self);
    guint at = conversation ? hearth_sections_find(self, conversation) : G_MAXUINT;
    int i = at == G_MAXUINT ? 0 : (int)at + by;
    if (at == G_MAXUINT) by = 1;
    for (; i >= 0 && i < (int)self->items->len; i += by) {
        HearthConversation *found = hearth_item_get_conversation(self->items->pdata[i]);
        if (found) return found;
    }
    return NULL;
}
