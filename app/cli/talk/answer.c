#include "cli/talk/answer.h"

#include <string.h>

#include "cli/base/console.h"
#include "cli/base/io.h"

/* What is on the screen. */
typedef struct {
    HearthShow show;
    bool begun;   /* something was written */
    EngPart part; /* of what was written last */
    gint64 start;
} View;

void hearth_answer_init(HearthAnswer *answer)
{
    *answer = (HearthAnswer){g_string_new(NULL), g_string_new(NULL), "interrupted", {0}};
}

void hearth_answer_clear(HearthAnswer *answer)
{
    g_string_free(answer->text, TRUE);
    g_string_free(answer->thinking, TRUE);
    *answer = (HearthAnswer){0};
}

double hearth_answer_prefill_speed(const HearthAnswer *answer)
{
    int computed = answer->stats.prompt_tokens - answer->stats.reused_tokens;
    return answer->stats.prefill_s > 0 ? computed / answer->stats.prefill_s : 0;
}

double hearth_answer_decode_speed(const HearthAnswer *answer)
{
    return answer->stats.decode_s > 0 ? answer->stats.tokens / answer->stats.decode_s : 0;
}

static bool write_text(const char *text, GError **error)
{
    return hearth_io_write(text, strlen(text), error);
}

static void show_prefill(const View *view, int done, int reused, int total)
{
    double seconds = (double)(g_get_monotonic_time() - view->start) / G_USEC_PER_SEC;
    if (view->show != HEARTH_SHOW_TERMINAL) return;
    if (done > reused)
        hearth_console_progress("Reading prompt %d/%d · %.0f s left", done, total,
                                seconds * (total - done) / (done - reused));
    else
        hearth_console_progress("Reading prompt %d/%d", done, total);
}

/* Thinking is dim; where nothing can be dim, it has a heading. */
static bool change_part(View *view, EngPart part, GError **error)
{
    bool was_thinking = view->begun && view->part == ENG_PART_THINKING;
    bool thinks = part == ENG_PART_THINKING;
    if (was_thinking && !thinks &&
        !(write_text(hearth_console_normal(), error) && write_text("\n\n", error)))
        return false;
    if (thinks && !was_thinking) {
        const char *dim = hearth_console_dim();
        if (!write_text(view->begun ? "\n\n" : "", error) ||
            !write_text(*dim ? dim : "Thinking: ", error))
            return false;
    }
    view->begun = true;
    view->part = part;
    return true;
}

static bool show_text(View *view, EngPart part, const char *text, size_t len, GError **error)
{
    if (view->show == HEARTH_SHOW_NOTHING) return true;
    if (view->show == HEARTH_SHOW_ANSWER) {
        if (part == ENG_PART_THINKING) return true;
        view->begun = true;
        return hearth_io_write(text, len, error);
    }
    hearth_console_progress_done();
    if ((!view->begun || part != view->part) && !change_part(view, part, error)) return false;
    g_autofree char *clean = hearth_console_clean(text);
    return write_text(clean, error);
}

static bool show_end(View *view, const HearthAnswer *answer, GError **error)
{
    hearth_console_progress_done();
    const char *text = answer->text->str;
    if (view->show == HEARTH_SHOW_ANSWER)
        return g_str_has_suffix(text, "\n") || write_text("\n", error);
    if (view->show != HEARTH_SHOW_TERMINAL) return true;
    const char *why = g_str_equal(answer->stop, "interrupted") ? " · stopped"
                      : g_str_equal(answer->stop, "length")    ? " · token limit reached"
                      : g_str_equal(answer->stop, "context")   ? " · context full"
                                                               : "";
    g_autofree char *line =
        g_strdup_printf("%s%s%s%d tokens · %.1f tok/s · first token %.1f s%s%s\n",
                        hearth_console_normal(), view->begun ? "\n" : "", hearth_console_dim(),
                        answer->stats.tokens, hearth_answer_decode_speed(answer),
                        answer->stats.first_token_s, why, hearth_console_normal());
    return write_text(line, error);
}

static bool take_step(HearthAnswer *answer, View *view, const EngStep *step, bool *ret_done,
                      GError **error)
{
    switch (step->kind) {
    case ENG_PREFILL:
        show_prefill(view, step->done, answer->stats.reused_tokens, step->total);
        return true;
    case ENG_TEXT:
        if (step->len == 0) return true;
        g_string_append_len(step->part == ENG_PART_THINKING ? answer->thinking : answer->text,
                            step->text, (gssize)step->len);
        return show_text(view, step->part, step->text, step->len, error);
    case ENG_DONE:
        answer->stop = step->reason == ENG_STOP_END      ? "end"
                       : step->reason == ENG_STOP_LENGTH ? "length"
                                                         : "context";
        break;
    case ENG_IDLE: break;
    }
    *ret_done = true;
    return true;
}

bool hearth_answer_run(HearthAnswer *answer, EngSession *session, HearthShow show, GError **error)
{
    View view = {.show = show, .start = g_get_monotonic_time()};
    bool done = false, fine = true;
    answer->stats = eng_session_stats(session);
    show_prefill(&view, answer->stats.reused_tokens, answer->stats.reused_tokens,
                 answer->stats.prompt_tokens);
    while (fine && !done && !hearth_console_take_interrupt()) {
        EngStep step;
        EngError failure = {0};
        if (eng_step(&session, 1, &step, &failure))
            fine = take_step(answer, &view, &step, &done, error);
        else
            fine = hearth_error_from_engine(error, &failure);
    }
    answer->stats = eng_session_stats(session);
    if (fine) return show_end(&view, answer, error);
    /* What was begun is brought to an end; the error's sentence follows. */
    if (view.begun) show_end(&view, answer, NULL);
    hearth_console_progress_done();
    return false;
}
