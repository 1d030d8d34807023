/* The store at the size that it must bear: 1,000,000 messages in 2,000 conversations, English and
 * Chinese, words as frequent as in a language. Prints from each call to its answer the median of
 * the wall clock and of the processor time.
 *
 *   bench-store [--messages N] [--at-most MS] [FILE]
 *
 * FILE is made when missing and kept; without one a temporary file is made and removed.
 * --at-most: exit status 1 when a search takes more than that. */
#include <glib/gstdio.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/store.h"

#define CONVERSATIONS 2000
#define ACTIVE 4 /* conversations that take turns */
#define ROUNDS 15

static guint64 random_state = 1;

static guint64 next_random(void) /* splitmix64 */
{
    guint64 z = (random_state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* 0 … n-1, k as often as 1/(k+1): Zipf's law. */
static guint zipf(guint n)
{
    double u = (double)(next_random() >> 11) * 0x1p-53;
    return MIN((guint)pow(n, u) - 1, n - 1);
}

/* ---- texts ----------------------------------------------------------------------------------- */

#define ENGLISH 20000
#define CHINESE 8000

static char *english[ENGLISH], *chinese[CHINESE];

static const char english_first[] =
    "the of and to in is that for it with as was on be by this are from or have an they which "
    "you one were all her she there would their we him been has when who will no more if out so "
    "what up said its about than into them can only other time new some could these two may first "
    "then do any like my now over such our man me even most made after also did many must before";
static const char chinese_first[] = "我们 你们 这个 可以 没有 什么 一个 他们 如果 自己 因为 知道 "
                                    "现在 就是 时候 问题 工作 使用 需要 已经 "
                                    "但是 所以 中国 数据 程序 文件 系统 模型 函数 代码 运行 结果 "
                                    "方法 时间 生活 学习 开始 今天 非常 可能";

static void append_letter(GString *word)
{
    g_string_append_c(word, "aeiotnsrlhdcum"[next_random() % 14]);
}

static void make_words(void)
{
    g_auto(GStrv) first = g_strsplit(english_first, " ", -1);
    guint n = g_strv_length(first);
    for (guint i = 0; i < ENGLISH; i++) {
        g_autoptr(GString) word = g_string_new(i < n ? first[i] : "");
        if (i >= n)
            for (int k = 4 + (int)(next_random() % 7); k > 0; k--) append_letter(word);
        english[i] = g_string_free(g_steal_pointer(&word), FALSE);
    }
    g_auto(GStrv) words = g_strsplit(chinese_first, " ", -1);
    n = g_strv_length(words);
    for (guint i = 0; i < CHINESE; i++) {
        g_autoptr(GString) word = g_string_new(i < n ? words[i] : "");
        if (i >= n)
            for (int k = 0; k < 2; k++) g_string_append_unichar(word, 0x4e00 + zipf(3000));
        chinese[i] = g_string_free(g_steal_pointer(&word), FALSE);
    }
}

static char *make_text(void)
{
    g_autoptr(GString) text = g_string_new(NULL);
    gsize length = 40 + next_random() % 160; /* bytes: 120 on average */
    bool is_chinese = next_random() % 2;
    while (text->len < length) {
        if (is_chinese) {
            g_string_append(text, chinese[zipf(CHINESE)]);
            if (next_random() % 8 == 0) g_string_append(text, "，");
        } else {
            g_string_append(text, english[zipf(ENGLISH)]);
            g_string_append(text, next_random() % 10 ? " " : ", ");
        }
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* ---- waiting --------------------------------------------------------------------------------- */

static GAsyncResult *answer;

static void on_answer(GObject *source, GAsyncResult *result, void *data)
{
    (void)source, (void)data;
    answer = g_object_ref(result);
}

static GAsyncResult *wait_for_answer(void)
{
    while (!answer) g_main_context_iteration(NULL, TRUE);
    return g_steal_pointer(&answer);
}

static void check(bool ok, const char *what)
{
    if (ok) return;
    fprintf(stderr, "bench-store: %s failed\n", what);
    exit(1);
}

static HearthStore *open_store(const char *path)
{
    HearthStore *store = hearth_store_new(path);
    hearth_store_open_async(store, on_answer, NULL);
    g_autoptr(GAsyncResult) result = wait_for_answer();
    g_autofree char *notice = NULL;
    check(hearth_store_open_finish(store, result, &notice, NULL) && !notice, "opening");
    return store;
}

static guint overview(HearthStore *store, const char *unused)
{
    (void)unused;
    hearth_store_overview_async(store, NULL, on_answer, NULL);
    g_autoptr(GAsyncResult) result = wait_for_answer();
    g_autoptr(HearthOverview) got = hearth_store_overview_finish(store, result, NULL);
    check(got, "the overview");
    return got->conversations->len;
}

static gint64 largest; /* conversation */

static guint messages(HearthStore *store, const char *unused)
{
    (void)unused;
    hearth_store_messages_async(store, largest, NULL, on_answer, NULL);
    g_autoptr(GAsyncResult) result = wait_for_answer();
    g_autoptr(GPtrArray) got = hearth_store_messages_finish(store, result, NULL);
    check(got && got->len > 0, "reading messages");
    return got->len;
}

/* The first that was made, as fill does. */
static gint64 find_largest(HearthStore *store)
{
    hearth_store_overview_async(store, NULL, on_answer, NULL);
    g_autoptr(GAsyncResult) result = wait_for_answer();
    g_autoptr(HearthOverview) got = hearth_store_overview_finish(store, result, NULL);
    check(got, "the overview");
    gint64 first = G_MAXINT64;
    for (guint i = 0; i < got->conversations->len; i++)
        first = MIN(first, ((const HearthConversationRow *)got->conversations->pdata[i])->id);
    return first;
}

static guint search(HearthStore *store, const char *text)
{
    hearth_store_search_async(store, text, 200, NULL, on_answer, NULL);
    g_autoptr(GAsyncResult) result = wait_for_answer();
    g_autoptr(GPtrArray) got = hearth_store_search_finish(store, result, NULL);
    check(got, "a search");
    return got->len;
}

static guint reopen(HearthStore *unused, const char *path)
{
    (void)unused;
    g_autoptr(HearthStore) store = open_store(path);
    hearth_store_close(store, 10);
    return 1;
}

/* ---- making ---------------------------------------------------------------------------------- */

static void put_conversation(HearthStore *store, gint64 id, guint n)
{
    g_autofree char *title =
        g_strdup_printf("%s %s %u", english[zipf(ENGLISH)], chinese[zipf(CHINESE)], n);
    HearthConversationRow row = {
        .id = id, .title = title, .created = 1000000 * (gint64)n, .updated = 1000000 * (gint64)n};
    hearth_store_put_conversation(store, &row);
}

/* The first conversation gets one message of a hundred; four others take turns until each has its
 * share. */
static void fill(HearthStore *store, guint n)
{
    gint64 turn[ACTIVE] = {0}, parent[ACTIVE] = {0}, last = 0;
    guint left[ACTIVE] = {0}, n_conversations = 1, share = MAX(1, n / CONVERSATIONS);
    largest = hearth_store_new_id(store);
    put_conversation(store, largest, 0);
    for (guint i = 0; i < n; i++) {
        guint a = (guint)(next_random() % ACTIVE);
        bool first = i % 100 == 0;
        if (!first && !left[a]) {
            turn[a] = hearth_store_new_id(store);
            left[a] = share;
            parent[a] = 0;
            put_conversation(store, turn[a], n_conversations++);
        }
        if (!first) left[a]--;
        g_autofree char *text = make_text();
        HearthMessageRow row = {.id = hearth_store_new_id(store),
                                .conversation = first ? largest : turn[a],
                                .parent = first ? last : parent[a],
                                .role = i % 2,
                                .state = HEARTH_STATE_DONE,
                                .content = text,
                                .model = i % 2 ? "Ember" : "",
                                .created = 1000 * (gint64)i};
        hearth_store_put_message(store, &row);
        *(first ? &last : &parent[a]) = row.id;
        if (i % 20000 == 0) overview(store, NULL); /* the queue lies in memory */
    }
    overview(store, NULL);
}

/* ---- measuring ------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double processor_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Returns the median of the wall clock, ms. */
static double measure(const char *name, guint (*call)(HearthStore *, const char *),
                      HearthStore *store, const char *text)
{
    double wall[ROUNDS], processor[ROUNDS];
    guint n = 0;
    for (int i = 0; i < ROUNDS; i++) {
        gint64 began = g_get_monotonic_time();
        processor[i] = processor_ms();
        n = call(store, text);
        processor[i] = processor_ms() - processor[i];
        wall[i] = (double)(g_get_monotonic_time() - began) / 1e3;
    }
    double first = wall[0];
    qsort(wall, ROUNDS, sizeof *wall, compare);
    qsort(processor, ROUNDS, sizeof *processor, compare);
    printf("%-34s %8.1f ms  processor %8.1f ms  first %8.1f ms  %6u found\n", name,
           wall[ROUNDS / 2], processor[ROUNDS / 2], first, n);
    return wall[ROUNDS / 2];
}

static double measure_searches(HearthStore *store)
{
    static const struct {
        const char *name, *text;
    } searches[] = {
        {"search: common word", "the "},
        {"search: prefix of one letter", "t"},
        {"search: prefix of two letters", "wh"},
        {"search: prefix of three letters", "mor"},
        {"search: prefix of four letters", "with"},
        {"search: two common words", "that which "},
        {"search: common and prefix", "that wo"},
        {"search: nothing", "xyzzyx"},
        {"search: 中国", "中国"},
        {"search: 我们", "我们"},
        {"search: rare pair", "问中"},
        {"search: 的 (rare here)", "的"},
        {"search: 我", "我"},
        {"search: 我们可以", "我们可以"},
        {"search: 数据 程序", "数据 程序"},
        {"search: English and Chinese", "the 我们"},
    };
    double worst = 0;
    for (gsize i = 0; i < G_N_ELEMENTS(searches); i++)
        worst = fmax(worst, measure(searches[i].name, search, store, searches[i].text));
    g_autofree char *rare = g_strdup_printf("%s ", english[ENGLISH - 7]);
    worst = fmax(worst, measure("search: rare word", search, store, rare));
    g_autofree char *two = g_strdup_printf("the %s", english[ENGLISH / 3]);
    worst = fmax(worst, measure("search: common and rare word", search, store, two));
    g_autofree char *middle = g_strdup_printf("%s %s", english[300], english[500]);
    return fmax(worst, measure("search: two words of the middle", search, store, middle));
}

int main(int argc, char **argv)
{
    guint n = 1000000;
    double at_most = INFINITY;
    const char *file = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--messages") == 0 && i + 1 < argc)
            n = (guint)atoi(argv[++i]);
        else if (strcmp(argv[i], "--at-most") == 0 && i + 1 < argc)
            at_most = atof(argv[++i]);
        else
            file = argv[i];
    }
    g_autofree char *folder = file ? NULL : g_dir_make_tmp("bench-store-XXXXXX", NULL);
    g_autofree char *path = file ? g_strdup(file) : g_build_filename(folder, "history.db", NULL);
    make_words();
    bool is_new = !g_file_test(path, G_FILE_TEST_EXISTS);
    HearthStore *store = open_store(path);
    double began = processor_ms();
    if (is_new) fill(store, n);
    if (is_new) printf("made in %.0f s of processor time\n", (processor_ms() - began) / 1e3);
    hearth_store_close(store, 60);
    g_object_unref(store);
    measure("open and close", reopen, NULL, path);
    store = open_store(path);
    largest = find_largest(store);
    measure("overview", overview, store, NULL);
    measure("messages of the largest", messages, store, NULL);
    double worst = measure_searches(store);
    hearth_store_close(store, 10);
    g_object_unref(store);
    if (folder) g_remove(path);
    if (folder) g_rmdir(folder);
    return worst <= at_most ? 0 : 1;
}
