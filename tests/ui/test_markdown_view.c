/* The Markdown view on a display: what streaming touches, what a block offers, and how little room
 * and time it takes. */
#include <gtksourceview/gtksource.h>

#include "markdown/build.h"
#include "markdown/code.h"
#include "markdown/text.h"
#include "markdown/view.h"
#include "test.h"

static void set(GtkWidget *view, const char *text, bool complete)
{
    hearth_markdown_view_set_text(HEARTH_MARKDOWN_VIEW(view), text, strlen(text), complete);
}

static void settle(void)
{
    /* Also the sources that run when nothing else does. */
    for (int quiet = 0; quiet < 3;) quiet = g_main_context_iteration(NULL, FALSE) ? 0 : quiet + 1;
}

static void wait_for(bool (*done)(void *), void *data)
{
    gint64 end = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;
    while (!done(data) && g_get_monotonic_time() < end) {
        g_main_context_iteration(NULL, FALSE);
        g_usleep(500);
    }
}

static GtkWidget *new_view(void)
{
    GtkWidget *view = hearth_markdown_view_new();
    return g_object_ref_sink(view);
}

static void drop_view(GtkWidget *view)
{
    g_object_add_weak_pointer(G_OBJECT(view), (gpointer *)&view);
    g_object_unref(view);
    CHECK_MSG(!view, "somebody keeps a reference");
}

static GtkWidget *show_in_window(GtkWidget *view)
{
    GtkWidget *window = gtk_window_new(), *scroller = gtk_scrolled_window_new();
    gtk_window_set_default_size(GTK_WINDOW(window), 600, 500);
    gtk_scrolled_window_set_child(GTK_SCROLLED_WINDOW(scroller), view);
    gtk_window_set_child(GTK_WINDOW(window), scroller);
    gtk_window_present(GTK_WINDOW(window));
    settle();
    return window;
}

/* A block of the view, whose pages are not to be noticed. */
static GtkWidget *nth_block(GtkWidget *view, int n)
{
    for (GtkWidget *page = gtk_widget_get_first_child(view); HEARTH_IS_MARKDOWN_STACK(page);
         page = gtk_widget_get_next_sibling(page))
        for (GtkWidget *block = gtk_widget_get_first_child(page); block;
             block = gtk_widget_get_next_sibling(block))
            if (!n--) return block;
    return NULL;
}

static int n_blocks(GtkWidget *view)
{
    int n = 0;
    while (nth_block(view, n)) n++;
    return n;
}

/* The first widget of the type, in reading order. */
static GtkWidget *find(GtkWidget *widget, GType type)
{
    if (g_type_is_a(G_OBJECT_TYPE(widget), type)) return widget;
    for (GtkWidget *child = gtk_widget_get_first_child(widget); child;
         child = gtk_widget_get_next_sibling(child)) {
        GtkWidget *found = find(child, type);
        if (found) return found;
    }
    return NULL;
}

static int count(GtkWidget *widget, GType type)
{
    int n = g_type_is_a(G_OBJECT_TYPE(widget), type);
    for (GtkWidget *child = gtk_widget_get_first_child(widget); child;
         child = gtk_widget_get_next_sibling(child))
        n += count(child, type);
    return n;
}

static GtkWidget *find_button(GtkWidget *widget, const char *tooltip)
{
    if (GTK_IS_BUTTON(widget) && g_strcmp0(gtk_widget_get_tooltip_text(widget), tooltip) == 0)
        return widget;
    for (GtkWidget *child = gtk_widget_get_first_child(widget); child;
         child = gtk_widget_get_next_sibling(child)) {
        GtkWidget *found = find_button(child, tooltip);
        if (found) return found;
    }
    return NULL;
}

/* The tree with what it says. */
static void describe(GtkWidget *widget, int depth, GString *out)
{
    g_auto(GStrv) css = gtk_widget_get_css_classes(widget);
    g_autofree char *classes = g_strjoinv(" ", css);
    g_string_append_printf(out, "%*s%s .%s", depth, "", G_OBJECT_TYPE_NAME(widget), classes);
    if (GTK_IS_LABEL(widget)) {
        g_string_append_printf(out, " \"%s\" %d", gtk_label_get_label(GTK_LABEL(widget)),
                               gtk_label_get_width_chars(GTK_LABEL(widget)));
        g_string_append_printf(out, " dir %d", gtk_widget_get_direction(widget));
    }
    g_string_append_c(out, '\n');
    for (GtkWidget *child = gtk_widget_get_first_child(widget); child;
         child = gtk_widget_get_next_sibling(child))
        describe(child, depth + 1, out);
}

static const char sample[] =
    "# Head *line*\n\nA paragraph with `code` and a [link](https://a.b).\n\n1. one\n2. two\n   - "
    "deep\n"
    "     - deeper\n3. three\n\n> quote\n> > in quote\n\n```python\nprint(1)\n\nprint(2)\n```\n\n"
    "| a | b |\n|:--|--:|\n| 1 | 2 |\n| 3 | `4` |\n\n---\n\n\\[\nx = \\boxed{42}\n\\]\n\n"
    "- [ ] open\n- [x] done\n\nنص عربي\n\nThe end of it.\n";

/* ---- streaming ---- */

static void leaves_finished_blocks_alone(void)
{
    GtkWidget *view = new_view();
    guint before = hearth_markdown_build_count();
    GPtrArray *seen = g_ptr_array_new();
    for (gsize i = 1; i <= strlen(sample); i++) {
        if (((guchar)sample[i] & 0xc0) == 0x80) continue;
        hearth_markdown_view_set_text(HEARTH_MARKDOWN_VIEW(view), sample, i, false);
        settle();
        /* All but the last two, once there, stay what they are. */
        guint n = (guint)n_blocks(view);
        for (guint k = 0; k < MIN(n, seen->len); k++)
            CHECK(seen->pdata[k] == nth_block(view, (int)k));
        for (guint k = seen->len; k + 2 < n; k++) g_ptr_array_add(seen, nth_block(view, (int)k));
    }
    CHECK_INT(seen->len, 9);
    guint built = hearth_markdown_build_count() - before;
    CHECK_MSG(built < 70, "%u widgets were made for 24 blocks", built);
    g_ptr_array_unref(seen);
    drop_view(view);
}

static void ends_as_if_at_once(void)
{
    GtkWidget *streamed = new_view(), *whole = new_view();
    set(whole, sample, true);
    settle();
    g_autoptr(GString) want = g_string_new(NULL);
    describe(whole, 0, want);
    for (int round = 0; round < 20; round++) {
        for (gsize i = 0; i < strlen(sample);) {
            i += 1 + (gsize)(test_random() % 60);
            i = MIN(i, strlen(sample));
            while (((guchar)sample[i] & 0xc0) == 0x80) i++;
            hearth_markdown_view_set_text(HEARTH_MARKDOWN_VIEW(streamed), sample, i, false);
        }
        set(streamed, sample, true);
        settle();
        g_autoptr(GString) got = g_string_new(NULL);
        describe(streamed, 0, got);
        CHECK_STR(got->str, want->str);
        set(streamed, "", false);
        CHECK(!gtk_widget_get_first_child(streamed));
    }
    drop_view(streamed);
    drop_view(whole);
}

/* "1", "2", … each a paragraph; every tenth a heading. */
static GString *numbers(int n)
{
    GString *text = g_string_new(NULL);
    for (int i = 0; i < n; i++) g_string_append_printf(text, i % 10 ? "%d\n\n" : "# %d\n\n", i);
    return text;
}

static void holds_numbers(GtkWidget *view, int n)
{
    CHECK_INT(n_blocks(view), n);
    for (int i = 0; i < n; i++) {
        g_autofree char *want = g_strdup_printf("%d", i);
        GtkWidget *label = find(nth_block(view, i), GTK_TYPE_LABEL);
        CHECK_STR(gtk_label_get_text(GTK_LABEL(label)), want);
    }
}

static void grows_and_shrinks_over_pages(void)
{
    GtkWidget *view = new_view();
    for (int round = 0; round < 60; round++) {
        int n = (int)(test_random() % 70);
        g_autoptr(GString) text = numbers(n);
        set(view, text->str, test_random() % 2);
        settle();
        holds_numbers(view, n);
    }
    drop_view(view);
}

static bool is_laid_out(void *block) { return gtk_widget_get_height(block) > 0; }

/* What stands between two blocks does not depend on whether a page ends there. */
static void spaces_blocks_alike(void)
{
    GtkCssProvider *style = gtk_css_provider_new();
    gtk_css_provider_load_from_resource(style, "/io/github/hearth_ai/Hearth/markdown/style.css");
    gtk_style_context_add_provider_for_display(gdk_display_get_default(), GTK_STYLE_PROVIDER(style),
                                               GTK_STYLE_PROVIDER_PRIORITY_APPLICATION);
    GtkWidget *view = new_view(), *window = show_in_window(view);
    g_autoptr(GString) text = numbers(90);
    set(view, text->str, true);
    settle();
    wait_for(is_laid_out, nth_block(view, 89));
    double gaps[2] = {0}, bottom = 0; /* above a paragraph, a heading */
    for (int i = 0; i < 90; i++) {
        graphene_rect_t at;
        CHECK(gtk_widget_compute_bounds(nth_block(view, i), view, &at));
        double gap = at.origin.y - bottom, *wanted = &gaps[i % 10 == 0];
        bottom = at.origin.y + at.size.height;
        if (i == 0) CHECK_INT((int)gap, 0);
        if (i == 0) continue;
        if (!*wanted) *wanted = gap;
        CHECK_MSG(gap == *wanted, "%g px above block %d, not %g", gap, i, *wanted);
    }
    CHECK(gaps[0] > 0 && gaps[1] > gaps[0]);
    gtk_window_destroy(GTK_WINDOW(window));
    settle();
    drop_view(view);
    gtk_style_context_remove_provider_for_display(gdk_display_get_default(),
                                                  GTK_STYLE_PROVIDER(style));
    g_object_unref(style);
}

static void shows_more_on_demand(void)
{
    GtkWidget *view = new_view();
    g_autoptr(GString) text = g_string_new(NULL);
    for (int i = 0; i < 5040; i++) g_string_append(text, "a\n\n");
    set(view, text->str, true);
    settle();
    CHECK_INT(count(view, HEARTH_TYPE_MARKDOWN_TEXT), 5000);
    GtkWidget *more = gtk_widget_get_last_child(view);
    CHECK(GTK_IS_BUTTON(more));
    CHECK_STR(gtk_button_get_label(GTK_BUTTON(more)), "Show More");
    g_signal_emit_by_name(more, "clicked");
    CHECK_INT(count(view, HEARTH_TYPE_MARKDOWN_TEXT), 5040);
    CHECK(HEARTH_IS_MARKDOWN_STACK(gtk_widget_get_last_child(view)));
    drop_view(view);
}

static bool has_buffer(void *code)
{
    return hearth_markdown_code_get_buffer(HEARTH_MARKDOWN_CODE(code)) != NULL;
}

static void appends_to_open_code(void)
{
    GtkWidget *view = new_view(), *window = show_in_window(view);
    g_autoptr(GString) text = g_string_new("Look:\n\n```py\nfirst = 1\n");
    set(view, text->str, false);
    GtkWidget *code = find(view, HEARTH_TYPE_MARKDOWN_CODE);
    CHECK(code != NULL);
    wait_for(has_buffer, code);
    GtkSourceBuffer *buffer = hearth_markdown_code_get_buffer(HEARTH_MARKDOWN_CODE(code));
    CHECK(buffer != NULL);
    if (!buffer) return;
    GtkTextIter start, end;
    gtk_text_buffer_get_start_iter(GTK_TEXT_BUFFER(buffer), &start);
    GtkTextMark *mark = gtk_text_buffer_create_mark(GTK_TEXT_BUFFER(buffer), NULL, &start, FALSE);
    gtk_text_iter_forward_chars(&start, 5);
    gtk_text_buffer_move_mark(GTK_TEXT_BUFFER(buffer), mark, &start);
    for (int i = 0; i < 60; i++) {
        g_string_append_printf(text, "line%d = \"ü\"\n\n", i);
        set(view, text->str, false);
    }
    g_string_append(text, "``");
    set(view, text->str, false);
    g_string_append(text, "`\n\nDone.\n");
    set(view, text->str, true);
    settle();
    CHECK(find(view, HEARTH_TYPE_MARKDOWN_CODE) == code);
    CHECK(hearth_markdown_code_get_buffer(HEARTH_MARKDOWN_CODE(code)) == buffer);
    gtk_text_buffer_get_iter_at_mark(GTK_TEXT_BUFFER(buffer), &start, mark);
    CHECK_INT(gtk_text_iter_get_offset(&start), 5); /* nothing before it was written anew */
    gtk_text_buffer_get_bounds(GTK_TEXT_BUFFER(buffer), &start, &end);
    g_autofree char *shown = gtk_text_buffer_get_text(GTK_TEXT_BUFFER(buffer), &start, &end, FALSE);
    const char *from = strchr(text->str, '`') + 6, *to = strstr(text->str, "\n```\n\nDone");
    g_autofree char *want = g_strndup(from, (gsize)(to - from));
    CHECK_STR(shown, want);
    CHECK_STR(gtk_source_language_get_id(gtk_source_buffer_get_language(buffer)), "python3");
    g_object_ref(view);
    gtk_window_destroy(GTK_WINDOW(window));
    settle();
    g_object_unref(view);
    drop_view(view);
}

/* ---- blocks ---- */

static void code_block_offers(void)
{
    g_autoptr(GString) text = g_string_new("```c++\n");
    for (int i = 0; i < 60; i++) g_string_append_printf(text, "int i%d;\n", i);
    g_string_append(text, "```\n");
    GtkWidget *view = new_view(), *window = show_in_window(view);
    set(view, text->str, true);
    GtkWidget *code = find(view, HEARTH_TYPE_MARKDOWN_CODE);
    wait_for(has_buffer, code);
    char *wrong = gtk_test_accessible_check_property(GTK_ACCESSIBLE(code),
                                                     GTK_ACCESSIBLE_PROPERTY_LABEL, "C++");
    CHECK_MSG(!wrong, "the block's name is %s", wrong);
    g_free(wrong);
    GtkTextBuffer *buffer =
        GTK_TEXT_BUFFER(hearth_markdown_code_get_buffer(HEARTH_MARKDOWN_CODE(code)));
    CHECK_INT(gtk_text_buffer_get_line_count(buffer), 40);
    GtkWidget *more = gtk_widget_get_last_child(code);
    CHECK_STR(gtk_button_get_label(GTK_BUTTON(more)), "Show All 60 Lines");
    g_signal_emit_by_name(more, "clicked");
    CHECK_INT(gtk_text_buffer_get_line_count(buffer), 60);
    CHECK_STR(gtk_button_get_label(GTK_BUTTON(more)), "Show Less");

    GtkWidget *copy = find_button(code, "Copy Code");
    CHECK(copy != NULL);
    g_signal_emit_by_name(copy, "clicked");
    CHECK(find_button(code, "Copied") == copy);
    GValue value = G_VALUE_INIT;
    g_value_init(&value, G_TYPE_STRING);
    GdkContentProvider *content = gdk_clipboard_get_content(gtk_widget_get_clipboard(view));
    CHECK(content && gdk_content_provider_get_value(content, &value, NULL));
    g_autofree char *want = g_strndup(text->str + 7, text->len - 11);
    CHECK_STR(g_value_get_string(&value), want);
    g_value_unset(&value);
    GtkWidget *wrap = find_button(code, "Wrap Lines");
    CHECK(wrap != NULL);
    gtk_toggle_button_set_active(GTK_TOGGLE_BUTTON(wrap), TRUE);
    GtkWidget *source = find(code, GTK_SOURCE_TYPE_VIEW);
    CHECK_INT(gtk_text_view_get_wrap_mode(GTK_TEXT_VIEW(source)), GTK_WRAP_WORD_CHAR);
    gtk_window_destroy(GTK_WINDOW(window));
    settle();
    drop_view(view);
}

static void long_table_folds(void)
{
    g_autoptr(GString) text = g_string_new("|a|b|\n|---|---|\n");
    GtkWidget *view = new_view(), *grown = new_view();
    for (int i = 0; i < 500; i++) {
        g_string_append_printf(text, "|%d|x|\n", i);
        if (i % 20 == 0) set(grown, text->str, false);
    }
    set(view, text->str, true);
    set(grown, text->str, true);
    CHECK_INT(count(view, HEARTH_TYPE_MARKDOWN_TEXT), 240);
    CHECK_INT(count(grown, HEARTH_TYPE_MARKDOWN_TEXT), 1002);
    g_string_append(text, "|last|x|\n");
    set(view, text->str, true);
    CHECK_INT(count(view, HEARTH_TYPE_MARKDOWN_TEXT), 240);
    GtkWidget *more = gtk_widget_get_last_child(nth_block(view, 0));
    CHECK_STR(gtk_button_get_label(GTK_BUTTON(more)), "Show All 501 Rows");
    g_signal_emit_by_name(more, "clicked");
    CHECK_INT(count(view, HEARTH_TYPE_MARKDOWN_TEXT), 1004);
    drop_view(view);
    drop_view(grown);
}

/* px, of the character at a byte of the text. */
static double width_at(GtkWidget *label, int at)
{
    PangoRectangle rect;
    PangoLayout *layout = gtk_label_get_layout(GTK_LABEL(label));
    pango_layout_set_width(layout, -1); /* on one line: the label has no place on a display */
    pango_layout_index_to_pos(layout, at, &rect);
    return (double)rect.width / PANGO_SCALE;
}

/* The ground of code reaches into the blanks beside it: they are wider by that. */
static void leaves_room_beside_code(void)
{
    GtkWidget *view = new_view();
    set(view, "a a `c` a **`d` b** e`f`", true);
    GtkWidget *label = find(view, GTK_TYPE_LABEL);
    CHECK_STR(gtk_label_get_text(GTK_LABEL(label)), "a a c a d b e"
                                                    "f");
    double blank = width_at(label, 1), plain = width_at(label, 11);
    CHECK(blank > 0 && plain < blank + 2);
    for (int at = 3; at < 11; at += 2)
        CHECK_MSG(width_at(label, at) >= blank + 2, "the blank at %d is narrow", at);
    drop_view(view);
}

static void refuses_links(void)
{
    GtkWidget *view = new_view();
    set(view, "[a](https://a.b) and [b](javascript:x) and [c](file:///etc/passwd)", true);
    GtkWidget *label = find(view, GTK_TYPE_LABEL);
    CHECK_STR(gtk_label_get_text(GTK_LABEL(label)), "a and b and c");
    CHECK_INT(strstr(gtk_label_get_label(GTK_LABEL(label)), "javascript") != NULL, false);
    gboolean handled = FALSE;
    g_signal_emit_by_name(label, "activate-link", "file:///etc/passwd", &handled);
    CHECK(handled); /* and nothing was opened: GTK would have asked for a handler */
    drop_view(view);
}

static void reads_right_to_left(void)
{
    GtkWidget *view = new_view();
    set(view, "نص عربي\n\n- عنصر\n\nlatin\n\n**123**\n", true);
    settle();
    CHECK_INT(gtk_widget_get_direction(find(nth_block(view, 0), GTK_TYPE_LABEL)), GTK_TEXT_DIR_RTL);
    CHECK_INT(gtk_widget_get_direction(gtk_widget_get_first_child(nth_block(view, 1))),
              GTK_TEXT_DIR_RTL);
    CHECK_INT(gtk_widget_get_direction(find(nth_block(view, 2), GTK_TYPE_LABEL)), GTK_TEXT_DIR_LTR);
    drop_view(view);
}

/* ---- room and time ---- */

static void needs_little_width(void)
{
    g_autoptr(GString) text = g_string_new(sample);
    for (int i = 0; i < 500; i++) g_string_append(text, "unbreakable");
    g_string_append(text, "\n\n`");
    for (int i = 0; i < 500; i++) g_string_append(text, "code");
    g_string_append(text, "`\n\n# ");
    for (int i = 0; i < 500; i++) g_string_append(text, "heading");
    g_string_append(text, "\n\n```a_long_name_of_a_language\n");
    for (int i = 0; i < 500; i++) g_string_append(text, "code");
    g_string_append(text, "\n```\n\n");
    for (int i = 0; i < 20; i++) g_string_append(text, "| column ");
    g_string_append(text, "\n");
    for (int i = 0; i < 20; i++) g_string_append(text, "|---");
    g_string_append(text, "\n\n- - - - - - - deep\n\n> > > > > > > deep\n\n$$");
    for (int i = 0; i < 200; i++) g_string_append(text, "x+");
    g_string_append(text, "$$\n");
    GtkWidget *view = new_view();
    set(view, text->str, true);
    settle();
    int minimum;
    gtk_widget_measure(view, GTK_ORIENTATION_HORIZONTAL, -1, &minimum, NULL, NULL, NULL);
    CHECK_MSG(minimum <= 300, "%d pixels are the least", minimum);
    drop_view(view);
}

static double seconds_of(void (*work)(GtkWidget *, const GString *), GtkWidget *view,
                         const GString *text)
{
    clock_t start = clock();
    work(view, text);
    return (double)(clock() - start) / CLOCKS_PER_SEC;
}

static void stream_end(GtkWidget *view, const GString *text)
{
    for (gsize i = text->len - 2000; i <= text->len; i += 10) {
        while (((guchar)text->str[i] & 0xc0) == 0x80) i++;
        hearth_markdown_view_set_text(HEARTH_MARKDOWN_VIEW(view), text->str, i, false);
    }
}

static void streams_into_much(void)
{
    g_autoptr(GString) text = g_string_new(NULL);
    while (text->len < 300 * 1024) g_string_append(text, sample);
    GtkWidget *view = new_view();
    hearth_markdown_view_set_text(HEARTH_MARKDOWN_VIEW(view), text->str, text->len - 2000, false);
    settle();
    guint before = hearth_markdown_build_count();
    double seconds = seconds_of(stream_end, view, text) / 201;
    CHECK_MSG(seconds < 0.005, "%.1f ms for each update", seconds * 1000);
    CHECK_MSG(hearth_markdown_build_count() - before < 400, "%u widgets",
              hearth_markdown_build_count() - before);
    drop_view(view);
}

static void survives_harm(void)
{
    static const struct {
        const char *unit;
        int n;
    } cases[] = {{"> ", 50000}, {"- ", 50000},        {"a", 500000},   {"**b** ", 20000},
                 {"[", 50000},  {"- a\n\n", 30000},   {"`", 50000},    {"a\n\n", 30000},
                 {"|a", 20000}, {"```\n```\n", 2000}, {"`a` ", 20000}, {"$x^2$ ", 5000}};
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GString) text = g_string_new(NULL);
        for (int n = 0; n < cases[i].n; n++) g_string_append(text, cases[i].unit);
        GtkWidget *view = new_view();
        clock_t start = clock();
        set(view, text->str, true);
        int minimum;
        gtk_widget_measure(view, GTK_ORIENTATION_HORIZONTAL, -1, &minimum, NULL, NULL, NULL);
        double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
        CHECK_MSG(seconds < 10, "\"%s\" × %d took %.1f s", cases[i].unit, cases[i].n, seconds);
        drop_view(view);
    }
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"leaves room beside code", leaves_room_beside_code},
        {"leaves finished blocks alone", leaves_finished_blocks_alone},
        {"ends as if at once", ends_as_if_at_once},
        {"grows and shrinks over pages", grows_and_shrinks_over_pages},
        {"spaces blocks alike", spaces_blocks_alike},
        {"shows more on demand", shows_more_on_demand},
        {"appends to open code", appends_to_open_code},
        {"code block offers", code_block_offers},
        {"long table folds", long_table_folds},
        {"refuses links", refuses_links},
        {"reads right to left", reads_right_to_left},
        {"needs little width", needs_little_width},
        {"streams into much", streams_into_much},
        {"survives harm", survives_harm},
    };
    if (!gtk_init_check()) {
        printf("1..0 # SKIP no display\n");
        return 0;
    }
    gtk_source_init();
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
