#include "chat/tree.h"

typedef struct Node Node;
struct Node {
    HearthMessage *message; /* NULL: the root, above all first messages */
    gint64 id, parent;
    GPtrArray *children; /* of Node, by id; NULL = none */
    gint64 followed;     /* child that was shown last; 0 = none */
    bool hidden;
};

struct HearthTree {
    GHashTable *nodes; /* &id → Node */
    Node *root;
};

static void node_free(void *data)
{
    Node *node = data;
    g_clear_object(&node->message);
    g_clear_pointer(&node->children, g_ptr_array_unref);
    g_free(node);
}

static void add_root(HearthTree *t)
{
    t->root = g_new0(Node, 1);
    g_hash_table_insert(t->nodes, &t->root->id, t->root);
}

HearthTree *hearth_tree_new(void)
{
    HearthTree *t = g_new0(HearthTree, 1);
    t->nodes = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, node_free);
    add_root(t);
    return t;
}

void hearth_tree_free(HearthTree *t)
{
    if (!t) return;
    g_hash_table_unref(t->nodes);
    g_free(t);
}

void hearth_tree_clear(HearthTree *t)
{
    g_hash_table_remove_all(t->nodes);
    add_root(t);
}

/* A parent that is not there yet gets a node without a message, which its message fills later. */
static Node *node_of(HearthTree *t, gint64 id)
{
    Node *node = g_hash_table_lookup(t->nodes, &id);
    if (node) return node;
    node = g_new0(Node, 1);
    node->id = id;
    g_hash_table_insert(t->nodes, &node->id, node);
    return node;
}

void hearth_tree_add(HearthTree *t, HearthMessage *message)
{
    const HearthMessageRow *row = hearth_message_get_row(message);
    Node *node = node_of(t, row->id);
    if (node->message || node == t->root) return;
    node->message = g_object_ref(message);
    node->parent = row->parent;
    Node *parent = node_of(t, row->parent);
    if (!parent->children) parent->children = g_ptr_array_new();
    guint at = parent->children->len;
    while (at > 0 && ((Node *)parent->children->pdata[at - 1])->id > node->id) at--;
    g_ptr_array_insert(parent->children, (gint)at, node);
}

HearthMessage *hearth_tree_find(HearthTree *t, gint64 id)
{
    Node *node = g_hash_table_lookup(t->nodes, &id);
    return node ? node->message : NULL;
}

void hearth_tree_hide(HearthTree *t, gint64 id, bool hidden)
{
    Node *node = g_hash_table_lookup(t->nodes, &id);
    if (node && node != t->root) node->hidden = hidden;
}

/* Whether the way up from the node ends at the root. A loop is longer than the tree. */
static bool reachable(HearthTree *t, Node *node)
{
    guint steps = 0, most = g_hash_table_size(t->nodes);
    while (node && node != t->root && node->message && !node->hidden && steps++ < most)
        node = g_hash_table_lookup(t->nodes, &node->parent);
    return node == t->root;
}

/* Down from the root, so that neither loops nor hidden branches are entered. */
static Node *newest(HearthTree *t)
{
    g_autoptr(GPtrArray) open = g_ptr_array_new();
    Node *best = NULL;
    g_ptr_array_add(open, t->root);
    while (open->len) {
        Node *node = g_ptr_array_steal_index_fast(open, open->len - 1);
        if (node->message && (!best || node->id > best->id)) best = node;
        for (guint i = 0; node->children && i < node->children->len; i++) {
            Node *child = node->children->pdata[i];
            if (child->message && !child->hidden) g_ptr_array_add(open, child);
        }
    }
    return best;
}

static Node *follow(Node *node)
{
    Node *last = NULL;
    for (guint i = 0; node->children && i < node->children->len; i++) {
        Node *child = node->children->pdata[i];
        if (!child->message || child->hidden) continue;
        last = child;
        if (child->id == node->followed) return child;
    }
    return last;
}

static int count_siblings(Node *parent, const Node *node, int *ret_place)
{
    int n = 0;
    for (guint i = 0; i < parent->children->len; i++) {
        const Node *child = parent->children->pdata[i];
        if (!child->message || child->hidden) continue;
        n++;
        if (child == node) *ret_place = n;
    }
    return n;
}

GPtrArray *hearth_tree_branch(HearthTree *t, gint64 id)
{
    GPtrArray *branch = g_ptr_array_new_with_free_func(g_object_unref);
    Node *node = id ? g_hash_table_lookup(t->nodes, &id) : NULL;
    if (!node || node == t->root || !reachable(t, node)) node = newest(t);
    if (!node) return branch;
    for (Node *up = node; up != t->root;) {
        Node *parent = g_hash_table_lookup(t->nodes, &up->parent);
        parent->followed = up->id;
        up = parent;
    }
    for (Node *parent = t->root; (node = follow(parent)); parent = node) {
        int place = 1, n = count_siblings(parent, node, &place);
        parent->followed = node->id;
        hearth_message_set_version(node->message, place, n);
        g_ptr_array_add(branch, g_object_ref(node->message));
    }
    return branch;
}

HearthMessage *hearth_tree_sibling(HearthTree *t, HearthMessage *message, int by)
{
    const HearthMessageRow *row = hearth_message_get_row(message);
    Node *parent = g_hash_table_lookup(t->nodes, &row->parent);
    if (!parent || !parent->children) return NULL;
    GPtrArray *all = parent->children;
    int at = -1, step = by < 0 ? -1 : 1;
    for (guint i = 0; i < all->len && at < 0; i++)
        if (((Node *)all->pdata[i])->id == row->id) at = (int)i;
    for (int i = at + step; at >= 0 && i >= 0 && i < (int)all->len; i += step) {
        Node *node = all->pdata[i];
        if (node->message && !node->hidden && (by -= step) == 0) return node->message;
    }
    return NULL;
}
