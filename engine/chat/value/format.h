/* str % values, and str.format(). */
#ifndef ENG_CHAT_FORMAT_H
#define ENG_CHAT_FORMAT_H

#include "chat/value/value.h"

EngStr *eng_format_percent(EngRun *run, const EngStr *format, EngValue values);
/* string.Formatter.vformat: fields reach attributes and items through the sandbox. */
EngStr *eng_format_braces(EngRun *run, const EngStr *format, const EngArgs *args);
/* format(v, spec) */
EngStr *eng_format_spec(EngRun *run, EngValue v, const EngStr *spec);

#endif
