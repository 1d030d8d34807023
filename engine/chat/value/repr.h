/* Python's repr() and str(), and numbers as text, whatever the process's locale. */
#ifndef ENG_CHAT_REPR_H
#define ENG_CHAT_REPR_H

#include "chat/value/value.h"

void eng_repr_add(EngRun *run, EngText *t, EngValue v);     /* repr(v) */
void eng_repr_add_str(EngRun *run, EngText *t, EngValue v); /* str(v) */
EngStr *eng_repr_str(EngRun *run, EngValue v);  /* str(v); of a str itself, markup dropped */
EngStr *eng_repr_soft(EngRun *run, EngValue v); /* the same, markup kept */
EngStr *eng_repr_of(EngRun *run, EngValue v);   /* repr(v) */

/* Shortest digits that read back as f: 1.0, 1e+16, -0.0, inf, nan. */
void eng_repr_add_float(EngRun *run, EngText *t, double f);
/* printf's %.*e, %.*f or %.*g ('#' flag: alternate form), with '.' whatever the locale. */
EngStr *eng_repr_printf_float(EngRun *run, double f, char kind, int precision, bool alternate);
/* All of s must be a decimal number such as strtod reads; '.' whatever the locale. */
bool eng_repr_parse_double(EngRun *run, const char *s, size_t n, double *ret);

#endif
