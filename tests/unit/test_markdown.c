/* The Markdown model (ui/markdown/model, math): blocks against markdown-it-py's on recorded random
 * documents; streaming against parsing at once; markup against Pango's parser; formulas against
 * what a reader expects; and texts that mean harm against the clock. */
#include <glib.h>
#include <pango/pango.h>

#include "markdown/math/math.h"
#include "markdown/model/doc.h"
#include "markdown/model/parse.h"
#include "markdown/model/plain.h"
#include "markdown/model/scan.h"
#include "test.h"

/* Quadratic work would take minutes. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MOST_SECONDS 60
#else
#define MOST_SECONDS 12
#endif

/* ---- blocks as lines, in the words of make_markdown_vectors.py ---- */

static void append_line(GString *out, int depth, const char *kind, const char *text)
{
    g_string_append_printf(out, "%*s%s", depth, "", kind);
    if (text) g_string_append_c(out, ' ');
    for (const char *p = text ? text : ""; *p; p++) {
        if (*p == '\n' || *p == '\\') g_string_append_c(out, '\\');
        g_string_append_c(out, *p == '\n' ? 'n' : *p);
    }
    g_string_append_c(out, '\n');
}

static void describe(const GPtrArray *blocks, int depth, GString *out);

/* It shows in paragraphs only. */
static const char *tightness(const HearthMarkdownBlock *list)
{
    for (guint i = 0; i < list->children->len; i++) {
        const GPtrArray *children = ((HearthMarkdownBlock *)list->children->pdata[i])->children;
        for (guint c = 0; c < children->len; c++)
            if (((HearthMarkdownBlock *)children->pdata[c])->kind == HEARTH_BLOCK_PARAGRAPH)
                return list->tight ? "tight" : "loose";
    }
    return NULL;
}

static void describe_block(const HearthMarkdownBlock *b, int depth, GString *out)
{
    static const char *const tasks[] = {"item", "item open", "item done"};
    char kind[64];
    g_autofree char *code = NULL;
    switch (b->kind) {
    case HEARTH_BLOCK_PARAGRAPH: append_line(out, depth, "paragraph", b->markup); break;
    case HEARTH_BLOCK_HEADING:
        g_snprintf(kind, sizeof kind, "heading %d", b->level);
        append_line(out, depth, kind, b->markup);
        break;
    case HEARTH_BLOCK_MATH: append_line(out, depth, "math", b->markup); break;
    case HEARTH_BLOCK_CODE:
        code = g_strdup_printf("[%s] %s", b->info ? b->info : "", b->text);
        append_line(out, depth, "code", code);
        break;
    case HEARTH_BLOCK_TABLE:
        append_line(out, depth, "table", b->aligns);
        for (guint i = 0; i < b->cells->len; i++)
            append_line(out, depth + 1, "cell", b->cells->pdata[i]);
        break;
    case HEARTH_BLOCK_RULE: append_line(out, depth, "rule", NULL); break;
    case HEARTH_BLOCK_QUOTE: append_line(out, depth, "quote", NULL); break;
    case HEARTH_BLOCK_LIST:
        g_snprintf(kind, sizeof kind, "list %u", b->start);
        append_line(out, depth, b->ordered ? kind : "list", tightness(b));
        break;
    case HEARTH_BLOCK_ITEM: append_line(out, depth, tasks[b->task], NULL); break;
    }
    describe(b->children, depth + 1, out);
}

static void describe(const GPtrArray *blocks, int depth, GString *out)
{
    for (guint i = 0; blocks && i < blocks->len; i++) describe_block(blocks->pdata[i], depth, out);
}

static char *described(const char *text, gsize len)
{
    GString *out = g_string_new(NULL);
    g_autoptr(GPtrArray) blocks = hearth_markdown_parse_all(text, len);
    describe(blocks, 0, out);
    return g_string_free(out, FALSE);
}

static void check_blocks(const char *text, const char *want)
{
    g_autofree char *got = described(text, strlen(text));
    CHECK_MSG(strcmp(got, want) == 0, "%s\n# gives\n%s# not\n%s", text, got, want);
}

static void vectors(void)
{
    g_autofree char *all = NULL;
    const char *path = g_getenv("MARKDOWN_VECTORS"); /* another file of make_markdown_vectors.py */
    if (!g_file_get_contents(path ? path : TEST_DIR "/vectors/markdown/random.txt", &all, NULL,
                             NULL)) {
        CHECK_MSG(false, "the vectors cannot be read");
        return;
    }
    g_auto(GStrv) lines = g_strsplit(all, "\n", -1);
    int n = 0;
    for (char **l = lines; *l && g_str_has_prefix(*l, "=== ");) {
        const char *name = *l++;
        g_autoptr(GString) source = g_string_new(NULL), want = g_string_new(NULL);
        for (; *l && **l == '|'; l++) g_string_append_printf(source, "%s\n", *l + 1);
        for (l++; *l && **l && !g_str_has_prefix(*l, "=== "); l++)
            g_string_append_printf(want, "%s\n", *l);
        g_autofree char *got = described(source->str, source->len);
        CHECK_MSG(strcmp(got, want->str) == 0, "%s\n%s# gives\n%s# not\n%s", name, source->str, got,
                  want->str);
        n++;
    }
    CHECK_MSG(n >= 200, "%d documents", n);
}

/* ---- streaming ---- */

static const char *const pieces[] = {"a",
                                     "b c",
                                     "- x",
                                     "* y",
                                     "+ z",
                                     "1. q",
                                     "2. w",
                                     "10) e",
                                     "> ",
                                     "> r",
                                     ">",
                                     "\n",
                                     "\n",
                                     "\n\n",
                                     "\n\n",
                                     "  ",
                                     "    ",
                                     "   ",
                                     "\t",
                                     "```",
                                     "```py",
                                     "~~~",
                                     "````",
                                     "# h",
                                     "## i",
                                     "---",
                                     "***",
                                     "===",
                                     "- - -",
                                     "-",
                                     "*",
                                     "$",
                                     "$$",
                                     "\\[",
                                     "\\]",
                                     "\\(",
                                     "\\)",
                                     "x^2",
                                     "`",
                                     "``",
                                     "| a | b |",
                                     "|-|:-|",
                                     "|---|---|",
                                     "| - |",
                                     "|",
                                     "**",
                                     "*",
                                     "_",
                                     "[l](http://x.y)",
                                     "\\",
                                     "<br>",
                                     "&amp;",
                                     "$5",
                                     "text. ",
                                     "。",
                                     "中",
                                     "[ ] ",
                                     "\\begin{align}",
                                     "\\end{align}",
                                     "0",
                                     "]",
                                     "[",
                                     "!",
                                     "https://a.b",
                                     "[^1]",
                                     "\\frac12"};

static GString *random_document(int lines)
{
    GString *text = g_string_new(NULL);
    for (int i = test_range(1, 30); i > 0; i--) {
        g_string_append(text, pieces[test_range(0, G_N_ELEMENTS(pieces) - 1)]);
        if (lines && test_range(0, 2) == 0) g_string_append(text, "\n");
    }
    if (test_range(0, 1)) g_string_append(text, "\n");
    return text;
}

static gsize next_stop(const GString *text, gsize pos)
{
    pos += (gsize)test_range(1, test_range(0, 2) ? 20 : 3);
    pos = MIN(pos, text->len);
    while (pos < text->len && ((guchar)text->str[pos] & 0xc0) == 0x80) pos++;
    return pos;
}

/* What a prefix gives when nothing was parsed before. */
static GPtrArray *parse_prefix(const char *text, gsize len)
{
    GPtrArray *blocks = hearth_markdown_block_list_new();
    HearthMarkdownScan scan;
    hearth_markdown_scan_init(&scan, text, len, false);
    hearth_markdown_parse(scan.text->str, scan.text->len, scan.formulas, blocks);
    hearth_markdown_scan_clear(&scan);
    return blocks;
}

static bool stream_once(const GString *text)
{
    HearthMarkdownDoc doc;
    hearth_markdown_doc_init(&doc);
    bool same = true;
    for (gsize pos = 0; pos < text->len && same;) {
        pos = next_stop(text, pos);
        hearth_markdown_doc_set_text(&doc, text->str, pos, false);
        g_autoptr(GPtrArray) once = parse_prefix(text->str, pos);
        same = hearth_markdown_block_list_equal(once, doc.blocks);
        CHECK_MSG(same, "the first %zu bytes differ from parsing them at once:\n%s", pos,
                  text->str);
    }
    hearth_markdown_doc_set_text(&doc, text->str, text->len, true);
    g_autoptr(GPtrArray) whole = hearth_markdown_parse_all(text->str, text->len);
    bool end = hearth_markdown_block_list_equal(whole, doc.blocks);
    CHECK_MSG(end, "the end differs from parsing at once:\n%s", text->str);
    hearth_markdown_doc_clear(&doc);
    return same && end;
}

static void streams(void)
{
    for (int i = 0; i < 4000; i++) {
        GString *text = random_document(i % 2);
        bool same = stream_once(text);
        g_string_free(text, TRUE);
        if (!same) return;
    }
}

static void completes(void)
{
    /* A definition changes what was frozen; a shorter text begins anew. */
    const char *text = "[a] is\n\nthere\n\n[a]: http://x.y\n";
    HearthMarkdownDoc doc;
    hearth_markdown_doc_init(&doc);
    for (gsize i = 1; i <= strlen(text); i++) hearth_markdown_doc_set_text(&doc, text, i, false);
    CHECK_INT(doc.frozen, 2);
    CHECK_INT(hearth_markdown_doc_set_text(&doc, text, strlen(text), true), 0);
    CHECK_STR(((HearthMarkdownBlock *)doc.blocks->pdata[0])->markup,
              "<a href=\"http://x.y\" title=\"http://x.y\">a</a> is");
    CHECK_INT(hearth_markdown_doc_set_text(&doc, text, strlen(text), true), 2);
    hearth_markdown_doc_set_text(&doc, "other", 5, false);
    CHECK_INT(doc.blocks->len, 1);
    hearth_markdown_doc_set_text(&doc, "", 0, true);
    CHECK_INT(doc.blocks->len, 0);
    hearth_markdown_doc_clear(&doc);
}

static void costs_the_tail(void)
{
    static const char chapter[] =
        "## A heading\n\nSome *text* with `code` and $x_1$.\n\n- one\n- two\n\n  more of two\n\n"
        "```c\nint main(void)\n{\n\n    return 0;\n}\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n> "
        "quote\n"
        "\n\\[\nx = 1\n\\]\n\n1. first\n2. second:\n   ```sh\n   ls\n   ```\n\nThe end.\n\n";
    GString *text = g_string_new(NULL);
    while (text->len < 100000) g_string_append(text, chapter);
    HearthMarkdownDoc doc;
    hearth_markdown_doc_init(&doc);
    gsize longest = 0;
    for (gsize pos = 0; pos < text->len;) {
        pos = MIN(pos + 17, text->len);
        guint frozen = doc.frozen;
        g_autoptr(GPtrArray) before = hearth_markdown_block_list_new();
        for (guint i = frozen > 3 ? frozen - 3 : 0; i < frozen; i++)
            g_ptr_array_add(before, hearth_markdown_block_ref(doc.blocks->pdata[i]));
        guint same = hearth_markdown_doc_set_text(&doc, text->str, pos, false);
        CHECK(same >= frozen);
        for (guint i = 0; i < before->len; i++)
            CHECK(before->pdata[i] == doc.blocks->pdata[frozen - before->len + i]);
        longest = MAX(longest, pos - doc.tail);
    }
    CHECK_MSG(longest < 200, "%zu bytes were parsed again", longest);
    hearth_markdown_doc_clear(&doc);
    g_string_free(text, TRUE);
}

/* ---- markup ---- */

/* GtkLabel takes the links out before Pango sees the rest. */
static char *without_links(const char *markup)
{
    GString *out = g_string_new(NULL);
    for (const char *p = markup; *p; p++) {
        if (g_str_has_prefix(p, "<a href=\"")) {
            g_string_append(out, "<span>");
            p = strchr(p, '>');
        } else if (g_str_has_prefix(p, "</a>")) {
            g_string_append(out, "</span>");
            p += 3;
        } else {
            g_string_append_c(out, *p);
        }
    }
    return g_string_free(out, FALSE);
}

static bool check_markup(const char *markup)
{
    g_autofree char *plain = without_links(markup), *shown = NULL;
    g_autofree char *stripped = hearth_markdown_block_strip(markup);
    g_autoptr(GError) error = NULL;
    bool ok = pango_parse_markup(plain, -1, 0, NULL, &shown, NULL, &error);
    CHECK_MSG(ok, "%s: %s", markup, error ? error->message : "");
    if (ok) CHECK_STR(stripped, shown);
    return ok;
}

static bool check_all_markup(const GPtrArray *blocks, int depth)
{
    bool ok = depth <= 2 * HEARTH_MARKDOWN_DEPTH + 1;
    CHECK_MSG(ok, "a depth of %d", depth);
    for (guint i = 0; ok && blocks && i < blocks->len; i++) {
        const HearthMarkdownBlock *b = blocks->pdata[i];
        if (b->markup) ok &= check_markup(b->markup);
        if (b->text) ok &= g_utf8_validate(b->text, (gssize)b->text_len, NULL);
        for (guint c = 0; b->cells && c < b->cells->len; c++)
            ok &= check_markup(b->cells->pdata[c]);
        ok = ok && check_all_markup(b->children, depth + 1);
    }
    return ok;
}

static void markup_parses(void)
{
    static const char *const more[] = {"&",
                                       "<",
                                       ">",
                                       "\"",
                                       "'",
                                       "<a href='x'>",
                                       "</span>",
                                       "&#0;",
                                       "&#x1b;",
                                       "&lt;",
                                       "\x01",
                                       "\x7f",
                                       "\xc2\x80",
                                       "\xef\xb7\x90",
                                       "\xef\xb7\x91",
                                       "\xef\xb7\x9b",
                                       HEARTH_MARKDOWN_HINGE,
                                       "<tt>",
                                       "[x](http://<&\">)",
                                       "![",
                                       "](",
                                       "https://a.b/?c=1&d='e'",
                                       "\\frac{&}{<}",
                                       "$<$",
                                       "$\\text{<b>}$",
                                       "$x'^{&}$",
                                       "\\left<",
                                       "\\begin{cases}a&b\\\\c\\end{cases}",
                                       "&bad;",
                                       "\xef\xbf\xbf",
                                       "é"};
    for (int i = 0; i < 6000; i++) {
        g_autoptr(GString) text = g_string_new(NULL);
        for (int n = test_range(1, 40); n > 0; n--) {
            int kind = test_range(0, 3);
            if (kind == 0)
                g_string_append_c(text, (char)test_range(32, 126));
            else if (kind == 1)
                g_string_append(text, more[test_range(0, G_N_ELEMENTS(more) - 1)]);
            else
                g_string_append(text, pieces[test_range(0, G_N_ELEMENTS(pieces) - 1)]);
        }
        g_autoptr(GPtrArray) blocks = hearth_markdown_parse_all(text->str, text->len);
        if (!check_all_markup(blocks, 0)) {
            printf("# in: %s\n", text->str);
            return;
        }
    }
}

static void formulas_parse(void)
{
    static const char *const words[] = {"\\frac",
                                        "\\sqrt[3]",
                                        "{",
                                        "}",
                                        "^",
                                        "_",
                                        "x",
                                        "12",
                                        "\\left(",
                                        "\\right)",
                                        "\\left.",
                                        "\\\\",
                                        "&",
                                        "+",
                                        "=",
                                        "\\alpha",
                                        "\\text",
                                        "\\hat",
                                        "\\boxed",
                                        "\\begin{matrix}",
                                        "\\end{matrix}",
                                        "\\begin{cases}",
                                        "\\end{cases}",
                                        "\\begin{align}",
                                        "\\end{align}",
                                        "\\mathbb",
                                        "'",
                                        "\\not",
                                        "\\nosuch",
                                        "\\",
                                        "[",
                                        "]",
                                        "<",
                                        "\"",
                                        "中",
                                        "\\sum",
                                        "\\limits",
                                        "\\overline",
                                        "\\underset",
                                        "\\pmod",
                                        "\\color",
                                        "~"};
    for (int i = 0; i < 20000; i++) {
        g_autoptr(GString) source = g_string_new(NULL);
        for (int n = test_range(1, 25); n > 0; n--)
            g_string_append(source, words[test_range(0, G_N_ELEMENTS(words) - 1)]);
        g_autofree char *markup = hearth_markdown_math(source->str, i % 2);
        if (!check_markup(markup)) {
            printf("# in: %s\n", source->str);
            return;
        }
    }
}

/* ---- what is text, what is a link, what is a formula ---- */

static void links(void)
{
    CHECK(hearth_markdown_parse_link_allowed("https://a.b"));
    CHECK(hearth_markdown_parse_link_allowed("HTTP://A.B"));
    CHECK(hearth_markdown_parse_link_allowed("mailto:a@b.c"));
    CHECK(!hearth_markdown_parse_link_allowed("javascript:alert(1)"));
    CHECK(!hearth_markdown_parse_link_allowed("file:///etc/passwd"));
    CHECK(!hearth_markdown_parse_link_allowed("/etc/passwd"));
    CHECK(!hearth_markdown_parse_link_allowed("https://"));
    CHECK(!hearth_markdown_parse_link_allowed(" https://a.b"));
    check_blocks("[x](file:///etc) ![y](data:image/png,z)\n", "paragraph x y\n");
#define LINK(uri, text) "<a href=\"" uri "\" title=\"" uri "\">" text "</a>"
    check_blocks(
        "看https://a.b/c_d。(http://e.f/g_(h)). xhttp://no https:// `http://i.j`\n",
        "paragraph 看" LINK("https://a.b/c_d", "https://a.b/c_d") "。(" LINK(
            "http://e.f/g_(h)", "http://e.f/g_(h)") "). xhttp://no https:// <tt>http://i.j</tt>\n");
    check_blocks("**http://a.b?x=1&y=2**\n",
                 "paragraph <b>" LINK("http://a.b?x=1&amp;y=2", "http://a.b?x=1&amp;y=2") "</b>\n");
}

static void text_stays_text(void)
{
    check_blocks("a<br>b<BR />c <b>d</b>\n", "paragraph a\\nb\\nc &lt;b&gt;d&lt;/b&gt;\n");
    check_blocks("<div>\n\n<script>x</script>\n",
                 "paragraph &lt;div&gt;\nparagraph &lt;script&gt;x&lt;/script&gt;\n");
    check_blocks(
        "**注意：**这是“**重点**”和**“引用”**，函数**`f`**返回\n",
        "paragraph <b>注意：</b>这是“<b>重点</b>”和<b>“引用”</b>，函数<b><tt>f</tt></b>返回\n");
    check_blocks("\xef\xb7\x90\xef\xb7\x91\xef\xb7\x9b x " HEARTH_MARKDOWN_HINGE "\n",
                 "paragraph \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd x " HEARTH_MARKDOWN_HINGE "\n");
    check_blocks("a\x01"
                 "b\xc2\x85"
                 "c\n",
                 "paragraph abc\n");
}

#define M(markup) "<span font_family=\"serif\">" markup "</span>"

static void formulas_are_found(void)
{
    check_blocks("It is $5 and $6, US$7, $8 million or $9.\n",
                 "paragraph It is $5 and $6, US$7, $8 million or $9.\n");
    check_blocks("$x$ and \\(y\\), the $n$th\n",
                 "paragraph " M("<i>x</i>") " and " M("<i>y</i>") ", the " M("<i>n</i>") "th\n");
    check_blocks("$10$ and $2x$ and $-1$\n",
                 "paragraph " M("10") " and " M("2<i>x</i>") " and " M("−1") "\n");
    check_blocks("`$x$` \\$y\\$ [\\[1\\]](http://a.b)\n",
                 "paragraph <tt>$x$</tt> $y$ " LINK("http://a.b", "[1]") "\n");
    check_blocks("```\n$x$ \\(y\\)\n```\n", "code [] $x$ \\\\(y\\\\)\\n\n");
    check_blocks("    $x$\n", "code [] $x$\\n\n");
    check_blocks("- `a\n  $b$`\n", "list tight\n item\n  paragraph <tt>a $b$</tt>\n");
    check_blocks("so\n\\[\nx\n- 1\n\\]\nthen\n",
                 "paragraph so\nmath " M("<i>x</i> − 1") "\nparagraph then\n");
    check_blocks("> $$\n> x\n> = 1\n> $$\n", "quote\n math " M("<i>x</i> = 1") "\n");
    check_blocks("1. a:\n   $$x$$\n   b\n",
                 "list 1 tight\n item\n  paragraph a:\n  math " M("<i>x</i>") "\n  paragraph b\n");
    check_blocks("| $|x|$ | $5 |\n|---|---|\n", "table --\n cell " M("|<i>x</i>|") "\n cell $5\n");
    check_blocks("\\begin{align}\nx &= 1 \\\\\ny &= 2\n\\end{align}\n",
                 "math " M("<i>x</i> = 1\\n<i>y</i> = 2") "\n");
    check_blocks("# $E$ **and $F$**\n",
                 "heading 1 " M("<i>E</i>") " <b>and " M("<i>F</i>") "</b>\n");
    check_blocks("$a * b$ and $c * d$\n",
                 "paragraph " M("<i>a</i> ∗ <i>b</i>") " and " M("<i>c</i> ∗ <i>d</i>") "\n");
    check_blocks("\\[ open\n\nend\n", "paragraph [ open\nparagraph end\n");
}

static const struct {
    const char *source, *plain;
} formula_cases[] = {
    {"E = mc^2", "E = mc2"},
    {"x = \\frac{-b \\pm \\sqrt{b^2 - 4ac}}{2a}", "x = (−b ± √(b2 − 4ac))/(2a)"},
    {"\\frac{1}{2}", "1⁄2"},
    {"\\frac{dy}{dx} + \\frac{\\partial f}{\\partial x}", "dy/dx + ∂f/∂x"},
    {"\\sum_{i=1}^{n} i^2 = \\frac{n(n+1)(2n+1)}{6}", "∑i=1n i2 = n(n + 1)(2n + 1)/6"},
    {"\\int_{-\\infty}^{\\infty} e^{-x^2} \\, dx = \\sqrt{\\pi}", "∫−∞∞ e−x2 dx = √π"},
    {"\\lim_{x \\to 0} \\frac{\\sin x}{x} = 1", "limx→0 sin x/x = 1"},
    {"P(A \\mid B) = \\frac{P(B \\mid A) P(A)}{P(B)}", "P(A ∣ B) = P(B ∣ A)P(A)/(P(B))"},
    {"\\forall \\epsilon > 0 \\; \\exists \\delta > 0", "∀ϵ > 0 ∃δ > 0"},
    {"f: \\mathbb{R}^n \\to \\mathbb{R}", "f : ℝn → ℝ"},
    {"\\nabla \\cdot \\mathbf{E} = \\frac{\\rho}{\\varepsilon_0}", "∇ · E = ρ/ε0"},
    {"\\log_2 n", "log2 n"},
    {"|x| \\leq \\|y\\|", "|x| ≤ ‖y‖"},
    {"a \\equiv b \\pmod{m}", "a ≡ b (mod m)"},
    {"\\binom{n}{k} = \\frac{n!}{k!(n-k)!}", "(nk) = n!/(k!(n − k)!)"},
    {"\\boxed{42}", " 42 "},
    {"\\text{if } x \\in A \\cup B", "if x ∈ A ∪ B"},
    {"\\hat{y} = \\bar{x} + \\vec{v}", "ŷ = x̄ + v⃗"},
    {"\\left( \\frac{a}{b} \\right)^2", "(a/b)2"},
    {"x_{1}, x_{2}, \\ldots, x_n", "x1, x2, …, xn"},
    {"A \\xrightarrow{f} B", "A ⟶f B"},
    {"\\overline{AB} \\parallel \\overline{CD}", "AB ∥ CD"},
    {"90^\\circ", "90°"},
    {"f'(x) = \\lambda e^{-\\lambda x}", "f′(x) = λe−λx"},
    {"\\mathcal{L}(\\theta) = -\\log p_\\theta(x)", "ℒ(θ) = −log pθ(x)"},
    {"\\sqrt[3]{27} = 3", "∛27 = 3"},
    {"2 \\times 10^{-3}\\ \\text{m/s}", "2 × 10−3 m/s"},
    {"1{,}000 + 3.14", "1,000 + 3.14"},
    {"\\neg (p \\land q) \\iff \\neg p \\lor \\neg q", "¬(p ∧ q) ⟺ ¬p ∨ ¬q"},
    {"\\operatorname{softmax}(z)_i", "softmax(z)i"},
    {"\\unknown{x} + 1", "\\unknownx + 1"},
    {"a \\not= b", "a ≠ b"},
    {"\\{ x \\mid x > 0 \\}", "{x ∣ x > 0}"},
    {"\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}", "(1 2; 3 4)"},
    {"\\det \\begin{vmatrix} a & b \\\\ c & d \\end{vmatrix} = ad - bc",
     "det |a b; c d| = ad − bc"},
    {"\\langle x, y \\rangle", "⟨x, y⟩"},
    {"\\dfrac{3}{4} \\div \\tfrac12", "3⁄4 ÷ 1⁄2"},
    {"\\Delta x \\approx 0", "Δx ≈ 0"},
    {"n \\to \\infty", "n → ∞"},
    {"", ""},
};

static void formulas_read_well(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(formula_cases); i++) {
        g_autofree char *markup = hearth_markdown_math(formula_cases[i].source, false);
        g_autofree char *plain = hearth_markdown_block_strip(markup);
        /* Which blank stands where is a matter of looks; that one stands there is not. */
        g_autoptr(GString) even = g_string_new(NULL);
        for (const char *p = plain; *p; p = g_utf8_next_char(p))
            if (g_unichar_isspace(g_utf8_get_char(p)))
                g_string_append_c(even, ' ');
            else
                g_string_append_len(even, p, g_utf8_next_char(p) - p);
        g_autofree char *want = g_utf8_normalize(formula_cases[i].plain, -1, G_NORMALIZE_NFC);
        g_autofree char *got = g_utf8_normalize(even->str, -1, G_NORMALIZE_NFC);
        CHECK_MSG(strcmp(got, want) == 0, "%s is \"%s\", not \"%s\"", formula_cases[i].source, got,
                  want);
    }
}

static void display_has_lines(void)
{
    g_autofree char *cases = hearth_markdown_math(
        "f = \\begin{cases} x & x > 0 \\\\ -x & \\text{else} \\end{cases}", true);
    g_autofree char *plain = hearth_markdown_block_strip(cases);
    CHECK_MSG(strstr(plain, "\n⎧") && strstr(plain, "\n⎩"), "%s", plain);
    g_autofree char *scripts = hearth_markdown_math("a_1^2", true);
    CHECK_STR(scripts, M("<i>a</i><sub>1</sub><sup>2</sup>"));
}

static void plain_text(void)
{
    static const struct {
        const char *source, *plain;
        size_t max;
    } cases[] = {
        {"# Hi *you*\n\n- a\n- `b`\n", "Hi you a b", 80},
        {"one two three", "one two…", 8},
        {"one two three", "one two three", 13},
        {"one two three", "one two thr…", 12},
        {"漢字漢字", "漢字…", 3},
        {"| a | b |\n|---|---|\n| 1 | 2 |\n", "a b 1 2", 80},
        {"$x^2$ & <b>", "x2 & <b>", 80},
        {"", "", 80},
        {"x", "", 0},
        {"```\ncode\n```\n", "code", 80},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *got =
            hearth_markdown_plain(cases[i].source, strlen(cases[i].source), cases[i].max);
        CHECK_STR(got, cases[i].plain);
    }
}

/* ---- harm ---- */

static void hostile(void)
{
    static const struct {
        const char *unit;
        int n;
    } cases[] = {
        {">", 100000},
        {"> ", 100000},
        {"[", 100000},
        {"]", 100000},
        {"[a](", 60000},
        {"[a](<b", 40000},
        {"![", 60000},
        {"*a **a ", 60000},
        {"a_ ", 60000},
        {"**x* ", 60000},
        {"~~a~", 60000},
        {"<a x=\"", 60000},
        {"a <!-- b", 60000},
        {"a", 1000000},
        {"word ", 200000},
        {"**bo** ", 100000},
        {"`c` ", 100000},
        {"[a](http://b.c) ", 50000},
        {"https://a.b/c ", 50000},
        {"$", 200000},
        {"$a ", 100000},
        {"$a$ ", 20000},
        {"\\[ ", 100000},
        {"\\(", 100000},
        {"\\begin{align}\n", 50000},
        {"$$ ", 50000},
        {"- ", 100000},
        {"1. ", 100000},
        {"- a\n", 50000},
        {"# $a `\n", 50000},
        {"```\n", 50000},
        {"> ```\n", 50000},
        {"&amp;", 100000},
        {"\\", 300000},
        {"|", 300000},
        {"**中：**文", 30000},
        {"$\\frac{", 50000},
        {"a\n\n", 50000},
        {"\t", 300000},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GString) text = g_string_new(NULL);
        for (int n = 0; n < cases[i].n; n++) g_string_append(text, cases[i].unit);
        clock_t start = clock();
        g_autoptr(GPtrArray) blocks = hearth_markdown_parse_all(text->str, text->len);
        double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
        (void)blocks; /* may be none */
        CHECK_MSG(seconds < MOST_SECONDS, "\"%s\" × %d took %.1f s", cases[i].unit, cases[i].n,
                  seconds);
    }
}

/* rows of a table with more columns than anybody needs; a long address behind many links */
static void hostile_sizes(void)
{
    g_autoptr(GString) table = g_string_new(NULL);
    for (int i = 0; i < 5000; i++) g_string_append(table, "|a");
    g_string_append_c(table, '\n');
    for (int i = 0; i < 5000; i++) g_string_append(table, "|---");
    g_string_append_c(table, '\n');
    for (int i = 0; i < 5000; i++) g_string_append(table, "|b\n");
    g_autoptr(GPtrArray) blocks = hearth_markdown_parse_all(table->str, table->len);
    for (guint i = 0; i < blocks->len; i++)
        CHECK(((HearthMarkdownBlock *)blocks->pdata[i])->kind != HEARTH_BLOCK_TABLE);

    g_autoptr(GString) refs = g_string_new("[a]: http://x.y/");
    for (int i = 0; i < 50000; i++) g_string_append_c(refs, 'z');
    g_string_append(refs, "\n\n");
    for (int i = 0; i < 50000; i++) g_string_append(refs, "[a] ");
    clock_t start = clock();
    g_autoptr(GPtrArray) more = hearth_markdown_parse_all(refs->str, refs->len);
    CHECK(more->len > 0);
    CHECK((double)(clock() - start) / CLOCKS_PER_SEC < MOST_SECONDS);

    g_autoptr(GString) quotes = g_string_new(NULL);
    for (int i = 0; i < 3000; i++) g_string_append_printf(quotes, "%*s- a\n", i, "");
    for (int i = 0; i < 3000; i++) g_string_append(quotes, "> ");
    g_autoptr(GPtrArray) deep = hearth_markdown_parse_all(quotes->str, quotes->len);
    check_all_markup(deep, 0);
}

static void long_paragraphs(void)
{
    g_autoptr(GString) text = g_string_new("**");
    for (int i = 0; i < 5000; i++) g_string_append(text, "word ");
    g_string_append(text, "end**");
    g_autoptr(GPtrArray) blocks = hearth_markdown_parse_all(text->str, text->len);
    CHECK_INT(blocks->len, 5);
    gsize all = 0;
    for (guint i = 0; i < blocks->len; i++) {
        const HearthMarkdownBlock *block = blocks->pdata[i];
        CHECK_INT(block->joined, i > 0);
        CHECK(g_str_has_prefix(block->markup, "<b>") && g_str_has_suffix(block->markup, "</b>"));
        CHECK(strlen(block->markup) < 7000);
        all += strlen(block->markup) - 7;
    }
    CHECK_INT(all, 25003 - 4); /* blanks where it was cut */
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"agrees with markdown-it-py", vectors},
        {"streams to what parsing at once gives", streams},
        {"completes", completes},
        {"costs the tail", costs_the_tail},
        {"markup parses", markup_parses},
        {"formulas parse", formulas_parse},
        {"links", links},
        {"text stays text", text_stays_text},
        {"formulas are found", formulas_are_found},
        {"formulas read well", formulas_read_well},
        {"display has lines", display_has_lines},
        {"plain text", plain_text},
        {"hostile", hostile},
        {"hostile sizes", hostile_sizes},
        {"long paragraphs", long_paragraphs},
    };
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
