#include <glib/gstdio.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "fixture.h"
#include "test.h"

/* Files of this process may not grow beyond this: writes fail as on a full disk. 0 = no limit. */
static void limit_files(rlim_t most)
{
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = most ? most : limit.rlim_max;
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void turn_loop(int ms)
{
    gint64 end = g_get_monotonic_time() + ms * 1000;
    while (g_get_monotonic_time() < end)
        if (!g_main_context_iteration(NULL, FALSE)) g_usleep(1000);
}

static void wait_for_number(const guint *number, guint want)
{
    for (int i = 0; i < 1000 && *number < want; i++) turn_loop(10);
    CHECK_INT(*number, want);
}

static const char *big_text(void)
{
    static char *text;
    if (!text) text = g_strnfill(300000, 'x');
    return text;
}

/* Ten messages of 300 KB, which do not fit. */
static gint64 overfill(Fixture *f, gint64 conversation)
{
    gint64 last = 0;
    for (int i = 0; i < 10; i++) last = fixture_message(f, conversation, last, i % 2, big_text());
    return last;
}

static void check_trouble(Fixture *f, void (*end_trouble)(void))
{
    gint64 c = fixture_conversation(f, "before");
    fixture_wait(f);
    CHECK_INT(f->n_trouble, 0);
    gint64 last = overfill(f, c);
    wait_for_number(&f->n_trouble, 1);
    CHECK_MSG(f->trouble && strlen(f->trouble) > 20, "the sentence is: %s", f->trouble);
    CHECK_INT(f->n_well, 0);
    /* everything goes on: what is not on the disk is read all the same, in its order */
    gint64 late = fixture_conversation(f, "late");
    HearthMessageRow answer = {.id = hearth_store_new_id(f->store), .conversation = late};
    hearth_store_put_message(f->store, &answer);
    for (int i = 0; i < 100; i++) {
        g_autofree char *text = g_strdup_printf("growing %d", i);
        hearth_store_write_partial(f->store, answer.id, HEARTH_STATE_ANSWERING, text, "");
        if (i % 10) continue;
        g_autoptr(GPtrArray) messages = fixture_messages(f, late);
        CHECK_INT(messages->len, 1);
        if (messages->len) CHECK_STR(find_message(messages, answer.id)->content, text);
    }
    g_autoptr(GPtrArray) messages = fixture_messages(f, c);
    CHECK_INT(messages->len, 10);
    turn_loop(2500); /* a try that fails again tells nothing new */
    CHECK_INT(f->n_trouble, 1);
    CHECK_INT(f->n_well, 0);
    end_trouble();
    wait_for_number(&f->n_well, 1);
    CHECK_INT(f->n_trouble, 1);
    fixture_wait(f);
    g_autofree char *sql = g_strdup_printf(
        "SELECT (SELECT count(*) FROM message) || (SELECT content FROM message WHERE id = "
        "%" G_GINT64_FORMAT ") || (SELECT count(*) FROM message WHERE id = %" G_GINT64_FORMAT ")",
        answer.id, last);
    g_autofree char *got = outside(f->path, sql);
    CHECK_STR(got, "11growing 991");
}

static void no_limit(void) { limit_files(0); }

static void tries_again_until_it_fits(void)
{
    Fixture f;
    fixture_init(&f);
    limit_files(1000000);
    check_trouble(&f, no_limit);
    fixture_clear(&f);
}

static char *mounted;

static void make_room(void)
{
    CHECK_INT(mount("tmpfs", mounted, "tmpfs", MS_REMOUNT, "size=64m"), 0);
}

/* A disk that is full in earnest. */
static void tries_again_on_a_full_disk(void)
{
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        test_skip("a file system of its own needs rights");
        return;
    }
    Fixture f = {.folder = g_dir_make_tmp("store-XXXXXX", NULL)};
    mounted = f.folder;
    if (mount("tmpfs", mounted, "tmpfs", 0, "size=1m") != 0) {
        test_skip("a file system of its own needs rights");
        fixture_clear(&f);
        return;
    }
    f.path = g_build_filename(f.folder, "history.db", NULL);
    fixture_open(&f);
    CHECK(!f.refusal);
    check_trouble(&f, make_room);
    CHECK_MSG(strstr(f.trouble, "full"), "the sentence is: %s", f.trouble);
    fixture_close(&f);
    CHECK_INT(umount(mounted), 0);
    fixture_clear(&f);
}

static void gives_up_at_the_end(void)
{
    Fixture f;
    fixture_init(&f);
    limit_files(1000000);
    gint64 c = fixture_conversation(&f, "c");
    overfill(&f, c);
    wait_for_number(&f.n_trouble, 1);
    gint64 began = g_get_monotonic_time();
    hearth_store_close(f.store, 1);
    int took = (int)((g_get_monotonic_time() - began) / 1000);
    CHECK_MSG(took >= 900 && took < 5000, "it took %d ms", took);
    limit_files(0);
    fixture_close(&f);
    fixture_open(&f);
    CHECK(!f.notice && !f.refusal);
    fixture_clear(&f);
}

/* The room comes while the program ends. */
static gpointer end_soon(gpointer unused)
{
    (void)unused;
    g_usleep(1000000);
    limit_files(0);
    return NULL;
}

static void saves_at_the_end(void)
{
    Fixture f;
    fixture_init(&f);
    limit_files(1000000);
    gint64 c = fixture_conversation(&f, "c");
    overfill(&f, c);
    wait_for_number(&f.n_trouble, 1);
    GThread *thread = g_thread_new("end", end_soon, NULL);
    hearth_store_close(f.store, 30);
    g_thread_join(thread);
    fixture_close(&f);
    fixture_open(&f);
    g_autoptr(GPtrArray) messages = fixture_messages(&f, c);
    CHECK_INT(messages->len, 10);
    fixture_clear(&f);
}

/* An import that finds no room leaves none of its rows, and the rest goes on. */
static void imports_nothing_without_room(void)
{
    Fixture from, f;
    fixture_init(&from);
    overfill(&from, fixture_conversation(&from, "big"));
    g_autofree char *path = g_build_filename(from.folder, "a.json", NULL);
    CHECK(fixture_export(&from, 0, HEARTH_EXPORT_JSON, path, NULL));
    fixture_init(&f);
    limit_files(1000000);
    g_autoptr(GError) error = NULL;
    CHECK(!fixture_import(&f, path, NULL, &error));
    CHECK_MSG(error && strlen(error->message) > 20, "%s", error ? error->message : "no error");
    gint64 c = fixture_conversation(&f, "after");
    g_autoptr(HearthOverview) overview = fixture_overview(&f);
    CHECK_INT(overview->conversations->len, 1);
    CHECK(find_conversation(overview, c));
    CHECK(!fixture_export(&from, 0, HEARTH_EXPORT_JSON, path, NULL));
    limit_files(0);
    fixture_clear(&from);
    fixture_clear(&f);
}

int main(int argc, char **argv)
{
    signal(SIGXFSZ, SIG_IGN);
    static const Test tests[] = {
        {"tries again until it fits", tries_again_until_it_fits},
        {"tries again on a full disk", tries_again_on_a_full_disk},
        {"gives up at the end", gives_up_at_the_end},
        {"saves at the end", saves_at_the_end},
        {"imports nothing without room", imports_nothing_without_room},
    };
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
