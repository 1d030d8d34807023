/* The tree of a conversation's messages: which branch is shown, and what odd rows do to it. */
#include "chat/tree.h"

#include "test.h"

static HearthMessage *add(HearthTree *tree, gint64 id, gint64 parent)
{
    HearthMessageRow row = {.id = id, .parent = parent, .content = (char *)"text"};
    g_autoptr(HearthMessage) message = hearth_message_new(&row);
    hearth_tree_add(tree, message);
    return message;
}

/* "1 2 5" of the branch through `id`; g_free(). */
static char *branch(HearthTree *tree, gint64 id)
{
    g_autoptr(GPtrArray) all = hearth_tree_branch(tree, id);
    GString *out = g_string_new(NULL);
    for (guint i = 0; i < all->len; i++) {
        HearthMessage *m = all->pdata[i];
        g_string_append_printf(out, "%s%" G_GINT64_FORMAT, i ? " " : "", hearth_message_get_id(m));
        if (hearth_message_get_n_versions(m) > 1)
            g_string_append_printf(out, "(%d/%d)", hearth_message_get_version(m),
                                   hearth_message_get_n_versions(m));
    }
    return g_string_free(out, FALSE);
}

#define CHECK_BRANCH(tree, id, want)                                                               \
    do {                                                                                           \
        g_autofree char *got_branch = branch(tree, id);                                            \
        CHECK_STR(got_branch, want);                                                               \
    } while (0)

static void branches(void)
{
    HearthTree *tree = hearth_tree_new();
    CHECK_BRANCH(tree, 0, "");
    CHECK_BRANCH(tree, 17, "");
    add(tree, 1, 0);
    add(tree, 2, 1);
    add(tree, 3, 2);
    add(tree, 4, 3);
    CHECK_BRANCH(tree, 0, "1 2 3 4");
    add(tree, 5, 1); /* another answer to 1 */
    CHECK_BRANCH(tree, 5, "1 5(2/2)");
    CHECK_BRANCH(tree, 2, "1 2(1/2) 3 4");
    HearthMessage *two = hearth_tree_find(tree, 2);
    CHECK(hearth_tree_sibling(tree, two, 1) == hearth_tree_find(tree, 5));
    CHECK(!hearth_tree_sibling(tree, two, -1));
    CHECK(!hearth_tree_sibling(tree, two, 2));
    add(tree, 6, 3); /* another answer to 3, then the first one is looked at again */
    CHECK_BRANCH(tree, 6, "1 2(1/2) 3 6(2/2)");
    CHECK_BRANCH(tree, 5, "1 5(2/2)");
    CHECK_BRANCH(tree, 2, "1 2(1/2) 3 6(2/2)"); /* with what followed it last */
    add(tree, 7, 0);                            /* the first message, edited */
    CHECK_BRANCH(tree, 7, "7(2/2)");
    CHECK_BRANCH(tree, 1, "1(1/2) 2(1/2) 3 6(2/2)");
    hearth_tree_free(tree);
}

static void hidden(void)
{
    HearthTree *tree = hearth_tree_new();
    add(tree, 1, 0);
    add(tree, 2, 1);
    add(tree, 3, 2);
    add(tree, 4, 1);
    hearth_tree_hide(tree, 4, true);
    CHECK_BRANCH(tree, 4, "1 2 3");
    CHECK(!hearth_tree_sibling(tree, hearth_tree_find(tree, 2), 1));
    hearth_tree_hide(tree, 4, false);
    CHECK_BRANCH(tree, 4, "1 4(2/2)");
    hearth_tree_hide(tree, 1, true);
    CHECK_BRANCH(tree, 3, "");
    CHECK_BRANCH(tree, 0, "");
    hearth_tree_hide(tree, 0, true); /* there is no message 0 */
    hearth_tree_hide(tree, 99, true);
    hearth_tree_hide(tree, 1, false);
    CHECK_BRANCH(tree, 3, "1 2(1/2) 3");
    hearth_tree_clear(tree);
    CHECK_BRANCH(tree, 3, "");
    hearth_tree_free(tree);
}

/* Rows in any order, parents that are not there, and parents that go in a circle. */
static void odd_rows(void)
{
    HearthTree *tree = hearth_tree_new();
    add(tree, 3, 2);
    add(tree, 2, 1);
    add(tree, 1, 0);
    add(tree, 2, 0); /* an id that is there already changes nothing */
    CHECK_BRANCH(tree, 3, "1 2 3");
    add(tree, 20, 21);
    add(tree, 21, 20);
    add(tree, 22, 22);
    add(tree, 31, 30);
    add(tree, 0, 0);
    CHECK_BRANCH(tree, 20, "1 2 3");
    CHECK_BRANCH(tree, 22, "1 2 3");
    CHECK_BRANCH(tree, 31, "1 2 3");
    CHECK_BRANCH(tree, 0, "1 2 3");
    hearth_tree_free(tree);
}

/* Random trees: a branch holds what it was asked for, each message follows its parent, and it ends
 * where nothing follows. */
static void random_trees(void)
{
    for (int round = 0; round < 200; round++) {
        HearthTree *tree = hearth_tree_new();
        int n = test_range(1, 60);
        gint64 parents[61] = {0};
        for (int id = 1; id <= n; id++)
            add(tree, id, parents[id] = test_range(0, 2) ? id - 1 : test_range(0, id - 1));
        for (int probe = 0; probe < 10; probe++) {
            gint64 want = test_range(1, n), above = 0;
            g_autoptr(GPtrArray) all = hearth_tree_branch(tree, want);
            bool found = false;
            for (guint i = 0; i < all->len; i++) {
                gint64 id = hearth_message_get_id(all->pdata[i]);
                CHECK_INT(parents[id], above);
                found |= id == want;
                above = id;
            }
            CHECK(found);
            for (int id = 1; id <= n; id++) CHECK(parents[id] != above);
        }
        hearth_tree_free(tree);
    }
}

static void long_chain(void)
{
    HearthTree *tree = hearth_tree_new();
    for (int id = 1; id <= 10000; id++) add(tree, id, id - 1);
    gint64 start = g_get_monotonic_time();
    for (int i = 0; i < 100; i++) {
        g_autoptr(GPtrArray) all = hearth_tree_branch(tree, 0);
        CHECK_INT(all->len, 10000);
    }
    CHECK_MSG(g_get_monotonic_time() - start < 5 * G_USEC_PER_SEC, "a hundred branches took seconds");
    hearth_tree_free(tree);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"branches and versions", branches},
        {"hidden messages", hidden},
        {"odd rows", odd_rows},
        {"random trees", random_trees},
        {"a chain of 10,000", long_chain},
    };
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
