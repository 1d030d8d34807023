/* The Jinja that chat templates use: lexer, parser to a tree, evaluator over values.
 *
 * The reference is Python's jinja2 3.1 in the environment that Hugging Face's tokenizers set up:
 * ImmutableSandboxedEnvironment(trim_blocks, lstrip_blocks, loopcontrols), `tojson` without ASCII
 * escapes, `raise_exception`, `strftime_now`. What it renders we render, byte for byte; where it
 * raises we fail with the same message. Untrusted: depth, steps and output are bounded. */
#ifndef ENG_CHAT_CHAT_H
#define ENG_CHAT_CHAT_H

#include "base/err.h"

typedef struct EngTemplate EngTemplate; /* immutable, shareable between threads */

/* Syntax errors: ENG_ERR_REFUSED with the reference's message where it has one. */
EngTemplate *eng_template_new(const char *source, size_t len, EngError *err);
void eng_template_free(EngTemplate *tmpl);

/* `request`: JSON object whose members are the template's variables. `defaults`: another one whose
 * members are used where request has none (bos_token …), or NULL. `now`: "2026-03-09T08:05:07" for
 * strftime_now, NULL = the local clock. *ret_text is malloc'ed, *ret_len its bytes (it may hold
 * NUL). On ENG_ERR_REFUSED *ret_message, when asked for, is the whole message, malloc'ed. */
bool eng_template_render(const EngTemplate *tmpl, const char *request, const char *defaults,
                         const char *now, char **ret_text, size_t *ret_len, char **ret_message,
                         EngError *err);

#endif
