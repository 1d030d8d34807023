#include "sidebar.h"

#include "hardware/gauge_strip.h"
#include "trace.h"
#include "window/menus.h"
#include "window/sidebar/row.h"
#include "window/sidebar/sections.h"

#define HITS_PER_FRAME 12 /* about what a window of usual height shows */
#define FIRST_HITS 20     /* are looked for at first: many take ten times as long to find */
#define MOST_HITS 200

struct _HearthSidebar {
    GtkBox parent_instance;
    HearthApp *app;
    HearthHistory *history;
    GtkWidget *header, *menu_button, *search, *stack, *list, *foot;
    GtkWidget *menu; /* of a row, while it is open */
    HearthSections *sections;
    GListStore *hits;
    GPtrArray *waiting; /* hits that are not in the list yet, last first; or NULL */
    guint more_tick;
    GtkSingleSelection *selection;
    HearthConversation *current;
    GCancellable *searching; /* the search that runs, or NULL */
    guint limit;             /* of its hits */
    bool found;              /* the list shows hits */
    bool following;          /* the selection follows the program, not the person */
};

G_DEFINE_FINAL_TYPE(HearthSidebar, hearth_sidebar, GTK_TYPE_BOX)

static guint opened_signal, activated_signal;

/* ---- selection ------------------------------------------------------------------------------- */

static guint find_row(HearthSidebar *self, HearthConversation *conversation)
{
    if (!self->found) return hearth_sections_find(self->sections, conversation);
    guint n = g_list_model_get_n_items(G_LIST_MODEL(self->hits));
    for (guint i = 0; i < n; i++) {
        g_autoptr(HearthItem) item = g_list_model_get_item(G_LIST_MODEL(self->hits), i);
        if (hearth_item_get_conversation(item) == conversation) return i;
    }
    return GTK_INVALID_LIST_POSITION;
}

/* Back to the row of what is open. */
static void follow_current(HearthSidebar *self)
{
    guint at = self->current ? find_row(self, self->current) : GTK_INVALID_LIST_POSITION;
    if (at == gtk_single_selection_get_selected(self->selection)) return;
    self->following = true;
    gtk_single_selection_set_selected(self->selection, at);
    self->following = false;
}

static void on_selected(HearthSidebar *self)
{
    if (self->following) return;
    HearthItem *item = gtk_single_selection_get_selected_item(self->selection);
    HearthConversation *conversation = item ? hearth_item_get_conversation(item) : NULL;
    if (!conversation) { /* arrow keys pass over headings and folders */
        follow_current(self);
        return;
    }
    bool hit = hearth_item_get_kind(item) == HEARTH_ITEM_HIT;
    if (conversation == self->current && !hit) return;
    g_signal_emit(self, opened_signal, 0, conversation, hearth_item_get_message(item));
}

void hearth_sidebar_set_current(HearthSidebar *self, HearthConversation *conversation)
{
    g_set_object(&self->current, conversation);
    follow_current(self);
    guint at = gtk_single_selection_get_selected(self->selection);
    if (at != GTK_INVALID_LIST_POSITION)
        gtk_widget_activate_action(self->list, "list.scroll-to-item", "u", at);
}

static void on_activated(HearthSidebar *self, guint at)
{
    g_autoptr(HearthItem) item = g_list_model_get_item(G_LIST_MODEL(self->selection), at);
    if (!item) return;
    if (!hearth_item_get_conversation(item)) return;
    gtk_single_selection_set_selected(self->selection, at);
    g_signal_emit(self, activated_signal, 0);
}

HearthConversation *hearth_sidebar_step(HearthSidebar *self, int by)
{
    return hearth_sections_step(self->sections, self->current, by);
}

/* ---- which page ------------------------------------------------------------------------------ */

static void show_page(HearthSidebar *self)
{
    bool any = g_list_model_get_n_items(G_LIST_MODEL(self->sections)) > 0;
    bool hits = g_list_model_get_n_items(G_LIST_MODEL(self->hits)) > 0;
    const char *page = "list";
    if (self->found && !hits) page = "none";
    if (!self->found && !any && hearth_history_is_ready(self->history)) page = "empty";
    gtk_stack_set_visible_child_name(GTK_STACK(self->stack), page);
}

static void set_found(HearthSidebar *self, bool found)
{
    GListModel *model = found ? G_LIST_MODEL(self->hits) : G_LIST_MODEL(self->sections);
    self->found = found;
    if (gtk_single_selection_get_model(self->selection) != model) {
        self->following = true;
        gtk_single_selection_set_model(self->selection, model);
        self->following = false;
    }
    show_page(self);
    follow_current(self);
}

static void on_sections_changed(HearthSidebar *self)
{
    if (self->found) return;
    show_page(self);
    follow_current(self);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static HearthRow *row_within(GtkWidget *widget)
{
    if (!widget) return NULL;
    if (HEARTH_IS_ROW(widget)) return HEARTH_ROW(widget);
    GtkWidget *above = gtk_widget_get_ancestor(widget, HEARTH_TYPE_ROW);
    if (above) return HEARTH_ROW(above);
    GtkWidget *child = gtk_widget_get_first_child(widget); /* the list's own widget around a row */
    return HEARTH_IS_ROW(child) ? HEARTH_ROW(child) : NULL;
}

static HearthRow *row_at(HearthSidebar *self, double x, double y)
{
    return row_within(gtk_widget_pick(self->list, x, y, GTK_PICK_DEFAULT));
}

static HearthRow *focused_row(HearthSidebar *self)
{
    GtkRoot *root = gtk_widget_get_root(GTK_WIDGET(self));
    GtkWidget *focus = root ? gtk_root_get_focus(root) : NULL;
    return focus && gtk_widget_is_ancestor(focus, self->list) ? row_within(focus) : NULL;
}

/* The list's own widget around the row of a conversation or folder; NULL when it has none now. */
static GtkWidget *cell_of(HearthSidebar *self, gpointer thing)
{
    for (GtkWidget *cell = gtk_widget_get_first_child(self->list); cell;
         cell = gtk_widget_get_next_sibling(cell)) {
        HearthRow *row = row_within(cell);
        HearthItem *item = row ? hearth_row_get_item(row) : NULL;
        if (item && gtk_widget_get_mapped(cell) &&
            ((gpointer)hearth_item_get_conversation(item) == thing ||
             (gpointer)hearth_item_get_folder(item) == thing))
            return cell;
    }
    return NULL;
}

bool hearth_sidebar_locate(HearthSidebar *self, gpointer thing, GdkRectangle *ret)
{
    GtkWidget *cell = cell_of(self, thing);
    graphene_rect_t at;
    if (!cell || !gtk_widget_compute_bounds(cell, GTK_WIDGET(self), &at)) return false;
    *ret =
        (GdkRectangle){(int)at.origin.x, (int)at.origin.y, (int)at.size.width, (int)at.size.height};
    int middle = ret->y + ret->height / 2;
    return middle > 0 && middle < gtk_widget_get_height(GTK_WIDGET(self));
}

/* On the row of what is open, when it is in view: left to itself, the list begins at its top. */
static gboolean focus_list(HearthSidebar *self)
{
    GtkWidget *cell = self->current ? cell_of(self, self->current) : NULL;
    return gtk_widget_grab_focus(cell ? cell : self->list);
}

/* ---- search ---------------------------------------------------------------------------------- */

/* Behind those of the first `kept`. */
static void put_hits(HearthSidebar *self, guint kept)
{
    g_autoptr(GPtrArray) items = g_ptr_array_new_with_free_func(g_object_unref);
    while (self->waiting->len && items->len < HITS_PER_FRAME)
        g_ptr_array_add(items, g_ptr_array_steal_index(self->waiting, self->waiting->len - 1));
    self->following = true;
    g_list_store_splice(self->hits, kept, g_list_model_get_n_items(G_LIST_MODEL(self->hits)) - kept,
                        items->pdata, items->len);
    self->following = false;
}

static gboolean add_more(GtkWidget *widget, GdkFrameClock *clock, void *data)
{
    HearthSidebar *self = HEARTH_SIDEBAR(widget);
    (void)clock;
    (void)data;
    put_hits(self, g_list_model_get_n_items(G_LIST_MODEL(self->hits)));
    if (self->waiting->len) return G_SOURCE_CONTINUE;
    self->more_tick = 0;
    return G_SOURCE_REMOVE;
}

static void add_no_more(HearthSidebar *self)
{
    if (self->more_tick) gtk_widget_remove_tick_callback(GTK_WIDGET(self), self->more_tick);
    self->more_tick = 0;
    g_clear_pointer(&self->waiting, g_ptr_array_unref);
}

/* How many of the first hits are in the list already, of the same search. */
static guint n_shown(HearthSidebar *self, GPtrArray *hits)
{
    guint n = MIN(g_list_model_get_n_items(G_LIST_MODEL(self->hits)), hits->len);
    for (guint i = 0; i < n; i++) {
        const HearthHit *hit = hits->pdata[i];
        g_autoptr(HearthItem) item = g_list_model_get_item(G_LIST_MODEL(self->hits), i);
        if (hearth_conversation_get_id(hearth_item_get_conversation(item)) != hit->conversation ||
            hearth_item_get_message(item) != hit->message)
            return i;
    }
    return n;
}

/* The list makes widgets of all that it has up to 200 rows, in view or not, which takes longer than
 * the search: it gets the first ones now and the others frame by frame. */
static void take_hits(HearthSidebar *self, GPtrArray *hits)
{
    guint kept = self->limit == MOST_HITS ? n_shown(self, hits) : 0;
    add_no_more(self);
    self->waiting = g_ptr_array_new_with_free_func(g_object_unref);
    for (guint i = hits->len; i-- > kept;) {
        const HearthHit *hit = hits->pdata[i];
        HearthConversation *conversation = hearth_history_find(self->history, hit->conversation);
        if (conversation) g_ptr_array_add(self->waiting, hearth_item_new_hit(conversation, hit));
    }
    put_hits(self, kept);
    set_found(self, true);
    if (self->waiting->len)
        self->more_tick = gtk_widget_add_tick_callback(GTK_WIDGET(self), add_more, NULL, NULL);
}

static void search(HearthSidebar *self, guint limit);

static void on_found(GObject *source, GAsyncResult *result, gpointer data)
{
    g_autoptr(HearthSidebar) self = data;
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) hits =
        hearth_history_search_finish(HEARTH_HISTORY(source), result, &error);
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) return;
    g_clear_object(&self->searching);
    if (!hits) {
        gtk_widget_activate_action(GTK_WIDGET(self), "win.notice", "s", error->message);
        return;
    }
    if (self->limit == FIRST_HITS) hearth_trace_frame(GTK_WIDGET(self), "search");
    take_hits(self, hits);
    if (self->limit == FIRST_HITS && hits->len == FIRST_HITS) search(self, MOST_HITS);
}

static char *searched_text(HearthSidebar *self)
{
    return g_strstrip(g_strdup(gtk_editable_get_text(GTK_EDITABLE(self->search))));
}

static void search(HearthSidebar *self, guint limit)
{
    g_autofree char *text = searched_text(self);
    self->limit = limit;
    self->searching = g_cancellable_new();
    hearth_history_search_async(self->history, text, limit, self->searching, on_found,
                                g_object_ref(self));
}

static void start_search(HearthSidebar *self)
{
    g_autofree char *text = searched_text(self);
    if (self->searching) g_cancellable_cancel(self->searching);
    g_clear_object(&self->searching);
    if (!*text) {
        add_no_more(self);
        set_found(self, false);
        return;
    }
    search(self, FIRST_HITS);
}

/* A conversation came or went while hits are shown. */
static void on_history_changed(HearthSidebar *self)
{
    if (self->found) start_search(self);
}

static void leave_search(HearthSidebar *self)
{
    gtk_editable_set_text(GTK_EDITABLE(self->search), "");
    start_search(self);
    focus_list(self);
}

/* Enter in the entry: the first hit, written to at once. */
static void on_search_accepted(HearthSidebar *self)
{
    if (self->found && g_list_model_get_n_items(G_LIST_MODEL(self->hits))) on_activated(self, 0);
}

static gboolean on_search_key(HearthSidebar *self, guint key, guint code, GdkModifierType state)
{
    (void)code;
    if (key != GDK_KEY_Down || (state & gtk_accelerator_get_default_mod_mask()))
        return GDK_EVENT_PROPAGATE;
    focus_list(self);
    return GDK_EVENT_STOP;
}

void hearth_sidebar_focus_search(HearthSidebar *self)
{
    gtk_widget_grab_focus(self->search);
    gtk_editable_select_region(GTK_EDITABLE(self->search), 0, -1);
}

/* ---- the menu of a row --------------------------------------------------------------------- */

static gboolean drop_menu(gpointer data)
{
    gtk_widget_unparent(data);
    return G_SOURCE_REMOVE;
}

/* Not at once: the chosen action is looked for from the menu upwards after it has closed. */
static void on_menu_closed(HearthSidebar *self)
{
    if (!self->menu) return;
    /* The window may go before: by the same key. */
    g_idle_add_full(G_PRIORITY_DEFAULT_IDLE, drop_menu, g_object_ref(g_steal_pointer(&self->menu)),
                    g_object_unref);
    focus_list(self);
}

static void show_menu(HearthSidebar *self, HearthRow *row, const GdkRectangle *at)
{
    HearthItem *item = hearth_row_get_item(row);
    g_autoptr(GMenuModel) model = NULL;
    if (hearth_item_get_conversation(item))
        model =
            hearth_menus_new_conversation(self->history, hearth_item_get_conversation(item), false);
    else if (hearth_item_get_folder(item))
        model = hearth_menus_new_folder(hearth_item_get_folder(item));
    if (!model || self->menu) return;
    self->menu = gtk_popover_menu_new_from_model(model);
    gtk_widget_set_parent(self->menu, GTK_WIDGET(self));
    gtk_popover_set_has_arrow(GTK_POPOVER(self->menu), false);
    gtk_popover_set_pointing_to(GTK_POPOVER(self->menu), at);
    gtk_widget_set_halign(self->menu, GTK_ALIGN_START);
    g_signal_connect_swapped(self->menu, "closed", G_CALLBACK(on_menu_closed), self);
    gtk_popover_popup(GTK_POPOVER(self->menu));
}

static void show_menu_at(HearthSidebar *self, double x, double y)
{
    HearthRow *row = row_at(self, x, y);
    graphene_point_t to;
    if (!row || !gtk_widget_compute_point(self->list, GTK_WIDGET(self),
                                          &GRAPHENE_POINT_INIT((float)x, (float)y), &to))
        return;
    show_menu(self, row, &(GdkRectangle){(int)to.x, (int)to.y, 1, 1});
}

static void on_right_pressed(GtkGestureClick *click, int n, double x, double y, HearthSidebar *self)
{
    (void)n;
    gtk_gesture_set_state(GTK_GESTURE(click), GTK_EVENT_SEQUENCE_CLAIMED);
    show_menu_at(self, x, y);
}

static void on_long_pressed(GtkGestureLongPress *press, double x, double y, HearthSidebar *self)
{
    gtk_gesture_set_state(GTK_GESTURE(press), GTK_EVENT_SEQUENCE_CLAIMED);
    show_menu_at(self, x, y);
}

/* The row that was scrolled to last stays in its place: that of the folder, so that what it unfolds
 * to comes into view. */
static void toggle_folder(HearthSidebar *self, HearthRow *row)
{
    g_autoptr(HearthItem) item = g_object_ref(hearth_row_get_item(row));
    GListModel *rows = G_LIST_MODEL(self->selection);
    guint at = 0, n = g_list_model_get_n_items(rows);
    for (; at < n; at++) {
        g_autoptr(HearthItem) one = g_list_model_get_item(rows, at);
        if (one == item) break;
    }
    gtk_widget_grab_focus(gtk_widget_get_parent(GTK_WIDGET(row)));
    gtk_widget_activate_action(self->list, "list.scroll-to-item", "u", at);
    hearth_sections_set_expanded(self->sections, hearth_item_get_folder(item),
                                 !hearth_item_get_expanded(item));
    g_settings_set_value(hearth_app_get_settings(self->app), "open-folders",
                         hearth_sections_get_open(self->sections));
}

/* A folder opens by one click; GtkListView activates by two. */
static void on_released(GtkGestureClick *click, int n, double x, double y, HearthSidebar *self)
{
    HearthRow *row = n == 1 ? row_at(self, x, y) : NULL;
    HearthItem *item = row ? hearth_row_get_item(row) : NULL;
    (void)click;
    if (item && hearth_item_get_kind(item) == HEARTH_ITEM_FOLDER) toggle_folder(self, row);
}

static bool list_key_on_row(HearthSidebar *self, HearthRow *row, guint key, bool shift)
{
    HearthItem *item = hearth_row_get_item(row);
    HearthConversation *conversation = hearth_item_get_conversation(item);
    bool rtl = gtk_widget_get_direction(self->list) == GTK_TEXT_DIR_RTL;
    graphene_rect_t at;
    if (key == GDK_KEY_Menu || (key == GDK_KEY_F10 && shift)) {
        if (!gtk_widget_compute_bounds(GTK_WIDGET(row), GTK_WIDGET(self), &at)) return false;
        show_menu(self, row,
                  &(GdkRectangle){(int)(at.origin.x + at.size.width / 2),
                                  (int)(at.origin.y + at.size.height), 1, 1});
        return true;
    }
    if ((key == GDK_KEY_Delete || key == GDK_KEY_KP_Delete) && conversation) {
        gtk_widget_activate_action(GTK_WIDGET(self), "win.delete-conversation", "x",
                                   hearth_conversation_get_id(conversation));
        return true;
    }
    if (hearth_item_get_kind(item) != HEARTH_ITEM_FOLDER) return false;
    if (key == GDK_KEY_Left || key == GDK_KEY_Right) {
        if (hearth_item_get_expanded(item) != ((key == GDK_KEY_Right) != rtl))
            toggle_folder(self, row);
        return true;
    }
    if (key == GDK_KEY_Return || key == GDK_KEY_KP_Enter || key == GDK_KEY_space) {
        toggle_folder(self, row);
        return true;
    }
    return false;
}

/* Whether nothing but headings is above it. */
static bool is_first(HearthSidebar *self, HearthRow *row)
{
    guint n = g_list_model_get_n_items(G_LIST_MODEL(self->selection));
    for (guint i = 0; i < n; i++) {
        g_autoptr(HearthItem) item = g_list_model_get_item(G_LIST_MODEL(self->selection), i);
        if (item == hearth_row_get_item(row)) return true;
        if (hearth_item_get_kind(item) != HEARTH_ITEM_HEADING) return false;
    }
    return true;
}

static gboolean on_list_key(HearthSidebar *self, guint key, guint code, GdkModifierType state)
{
    HearthRow *row = focused_row(self);
    GdkModifierType held = state & gtk_accelerator_get_default_mod_mask();
    (void)code;
    if (held & ~GDK_SHIFT_MASK) return GDK_EVENT_PROPAGATE;
    if (row && list_key_on_row(self, row, key, held & GDK_SHIFT_MASK)) return GDK_EVENT_STOP;
    if (row && !held && key == GDK_KEY_Up && is_first(self, row)) {
        hearth_sidebar_focus_search(self);
        return GDK_EVENT_STOP;
    }
    if (key == GDK_KEY_Escape && *gtk_editable_get_text(GTK_EDITABLE(self->search))) {
        leave_search(self);
        return GDK_EVENT_STOP;
    }
    return GDK_EVENT_PROPAGATE;
}

static void on_row_setup(GtkSignalListItemFactory *factory, GtkListItem *cell)
{
    (void)factory;
    gtk_list_item_set_child(cell, hearth_row_new());
}

static void on_row_bind(GtkSignalListItemFactory *factory, GtkListItem *cell)
{
    HearthItem *item = gtk_list_item_get_item(cell);
    HearthItemKind kind = hearth_item_get_kind(item);
    (void)factory;
    /* All of them can be selected, though on_selected undoes it for headings and folders: what
     * cannot be selected gets no focus either, and the arrow keys stop before it. */
    gtk_list_item_set_activatable(cell,
                                  kind == HEARTH_ITEM_CONVERSATION || kind == HEARTH_ITEM_HIT);
    hearth_row_set_item(HEARTH_ROW(gtk_list_item_get_child(cell)), item);
}

static void on_row_unbind(GtkSignalListItemFactory *factory, GtkListItem *cell)
{
    (void)factory;
    hearth_row_set_item(HEARTH_ROW(gtk_list_item_get_child(cell)), NULL);
}

/* ---- the widget ------------------------------------------------------------------------------ */

void hearth_sidebar_open_main_menu(HearthSidebar *self)
{
    gtk_menu_button_popup(GTK_MENU_BUTTON(self->menu_button));
}

GtkWidget *hearth_sidebar_get_menu_button(HearthSidebar *self) { return self->menu_button; }

/* Of the sidebar as a whole: the list. */
static gboolean hearth_sidebar_grab_focus(GtkWidget *widget)
{
    return focus_list(HEARTH_SIDEBAR(widget));
}

static bool list_has_focus(HearthSidebar *self)
{
    GtkRoot *root = gtk_widget_get_root(GTK_WIDGET(self));
    GtkWidget *focus = root ? gtk_root_get_focus(root) : NULL;
    return focus && gtk_widget_is_ancestor(focus, self->list);
}

/* The list is one stop of the Tab key, at the row of what is open; the arrow keys go on from there.
 * GTK offers that from 4.12 on, and before stops at every row. */
static gboolean hearth_sidebar_focus(GtkWidget *widget, GtkDirectionType direction)
{
    HearthSidebar *self = HEARTH_SIDEBAR(widget);
    bool forward = direction == GTK_DIR_TAB_FORWARD, back = direction == GTK_DIR_TAB_BACKWARD;
    bool inside = list_has_focus(self);
    if (!inside || !(forward || back)) {
        gboolean moved = GTK_WIDGET_CLASS(hearth_sidebar_parent_class)->focus(widget, direction);
        if (moved && !inside && (forward || back) && list_has_focus(self)) focus_list(self);
        return moved;
    }
    GtkWidget *next = self->stack;
    do {
        next = forward ? gtk_widget_get_next_sibling(next) : gtk_widget_get_prev_sibling(next);
    } while (next && !gtk_widget_child_focus(next, direction));
    return next != NULL;
}

static void hearth_sidebar_dispose(GObject *object)
{
    HearthSidebar *self = HEARTH_SIDEBAR(object);
    if (self->searching) g_cancellable_cancel(self->searching);
    g_clear_object(&self->searching);
    g_clear_pointer(&self->menu, gtk_widget_unparent);
    g_clear_object(&self->current);
    g_clear_object(&self->selection);
    g_clear_object(&self->sections);
    add_no_more(self);
    g_clear_object(&self->hits);
    g_clear_object(&self->app);
    G_OBJECT_CLASS(hearth_sidebar_parent_class)->dispose(object);
}

static void hearth_sidebar_class_init(HearthSidebarClass *class)
{
    GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(class);
    G_OBJECT_CLASS(class)->dispose = hearth_sidebar_dispose;
    widget_class->grab_focus = hearth_sidebar_grab_focus;
    widget_class->focus = hearth_sidebar_focus;
    gtk_widget_class_set_template_from_resource(widget_class,
                                                "/io/github/hearth_ai/Hearth/window/sidebar.ui");
    gtk_widget_class_bind_template_child(widget_class, HearthSidebar, header);
    gtk_widget_class_bind_template_child(widget_class, HearthSidebar, menu_button);
    gtk_widget_class_bind_template_child(widget_class, HearthSidebar, search);
    gtk_widget_class_bind_template_child(widget_class, HearthSidebar, stack);
    gtk_widget_class_bind_template_child(widget_class, HearthSidebar, list);
    gtk_widget_class_bind_template_child(widget_class, HearthSidebar, foot);
    opened_signal = g_signal_new("opened", HEARTH_TYPE_SIDEBAR, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                 NULL, G_TYPE_NONE, 2, HEARTH_TYPE_CONVERSATION, G_TYPE_INT64);
    activated_signal = g_signal_new("activated", HEARTH_TYPE_SIDEBAR, G_SIGNAL_RUN_LAST, 0, NULL,
                                    NULL, NULL, G_TYPE_NONE, 0);
}

static void add_keys(GtkWidget *widget, GCallback pressed, HearthSidebar *self)
{
    GtkEventController *keys = gtk_event_controller_key_new();
    gtk_event_controller_set_propagation_phase(keys, GTK_PHASE_CAPTURE);
    g_signal_connect_swapped(keys, "key-pressed", pressed, self);
    gtk_widget_add_controller(widget, keys);
}

static void add_gestures(HearthSidebar *self)
{
    GtkGesture *right = gtk_gesture_click_new();
    GtkGesture *left = gtk_gesture_click_new();
    GtkGesture *hold = gtk_gesture_long_press_new();
    gtk_gesture_single_set_button(GTK_GESTURE_SINGLE(right), GDK_BUTTON_SECONDARY);
    gtk_gesture_single_set_touch_only(GTK_GESTURE_SINGLE(hold), true);
    g_signal_connect(right, "pressed", G_CALLBACK(on_right_pressed), self);
    g_signal_connect(left, "released", G_CALLBACK(on_released), self);
    g_signal_connect(hold, "pressed", G_CALLBACK(on_long_pressed), self);
    /* Before the rows see it: they claim what they are pressed with. */
    gtk_event_controller_set_propagation_phase(GTK_EVENT_CONTROLLER(left), GTK_PHASE_CAPTURE);
    gtk_event_controller_set_propagation_phase(GTK_EVENT_CONTROLLER(hold), GTK_PHASE_CAPTURE);
    gtk_widget_add_controller(self->list, GTK_EVENT_CONTROLLER(right));
    gtk_widget_add_controller(self->list, GTK_EVENT_CONTROLLER(left));
    gtk_widget_add_controller(self->list, GTK_EVENT_CONTROLLER(hold));
}

static void hearth_sidebar_init(HearthSidebar *self)
{
    gtk_widget_init_template(GTK_WIDGET(self));
    g_autoptr(GtkListItemFactory) factory = gtk_signal_list_item_factory_new();
    g_autoptr(GMenuModel) menu = hearth_menus_new_main();
    g_signal_connect(factory, "setup", G_CALLBACK(on_row_setup), NULL);
    g_signal_connect(factory, "bind", G_CALLBACK(on_row_bind), NULL);
    g_signal_connect(factory, "unbind", G_CALLBACK(on_row_unbind), NULL);
    gtk_list_view_set_factory(GTK_LIST_VIEW(self->list), factory);
    gtk_menu_button_set_menu_model(GTK_MENU_BUTTON(self->menu_button), menu);
    self->hits = g_list_store_new(HEARTH_TYPE_ITEM);
    self->selection = gtk_single_selection_new(NULL);
    gtk_single_selection_set_autoselect(self->selection, false);
    gtk_single_selection_set_can_unselect(self->selection, true);
    g_signal_connect_swapped(self->selection, "notify::selected", G_CALLBACK(on_selected), self);
    g_signal_connect_swapped(self->list, "activate", G_CALLBACK(on_activated), self);
    g_signal_connect_swapped(self->search, "search-changed", G_CALLBACK(start_search), self);
    g_signal_connect_swapped(self->search, "stop-search", G_CALLBACK(leave_search), self);
    g_signal_connect_swapped(self->search, "activate", G_CALLBACK(on_search_accepted), self);
    add_keys(self->search, G_CALLBACK(on_search_key), self);
    add_keys(self->list, G_CALLBACK(on_list_key), self);
    add_gestures(self);
}

GtkWidget *hearth_sidebar_new(HearthApp *app)
{
    HearthSidebar *self = g_object_new(HEARTH_TYPE_SIDEBAR, NULL);
    self->app = g_object_ref(app);
    self->history = hearth_app_get_history(app);
    self->sections =
        hearth_sections_new(G_LIST_MODEL(self->history), hearth_history_get_folders(self->history));
    g_autoptr(GVariant) open = g_settings_get_value(hearth_app_get_settings(app), "open-folders");
    hearth_sections_set_open(self->sections, open);
    gtk_single_selection_set_model(self->selection, G_LIST_MODEL(self->sections));
    gtk_list_view_set_model(GTK_LIST_VIEW(self->list), GTK_SELECTION_MODEL(self->selection));
    /* After the selection has followed the change by itself. */
    g_signal_connect_object(self->sections, "items-changed", G_CALLBACK(on_sections_changed), self,
                            G_CONNECT_SWAPPED | G_CONNECT_AFTER);
    g_signal_connect_object(self->history, "items-changed", G_CALLBACK(on_history_changed), self,
                            G_CONNECT_SWAPPED);
    g_signal_connect_object(self->history, "notify::ready", G_CALLBACK(show_page), self,
                            G_CONNECT_SWAPPED);
    GtkWidget *gauges = hearth_gauge_strip_new(app);
    adw_bin_set_child(ADW_BIN(self->foot), gauges);
    g_settings_bind(hearth_app_get_settings(app), "gauges-visible", gauges, "visible",
                    G_SETTINGS_BIND_GET);
    show_page(self);
    return GTK_WIDGET(self);
}
