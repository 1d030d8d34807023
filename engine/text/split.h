/* Pre-tokenizers of byte-level BPE: they cut a text into the pieces inside which tokens are formed.
 *
 * Which one a vocabulary needs is named by tokenizer.ggml.pre. Each is a row of data
 * (split_table.c): a sequence of steps, every one applied to the pieces of the step before, most of
 * them a regular expression in the words of the model's own tokenizer.json. A split is immutable;
 * what a thread needs while it runs one is an EngSplitter. */
#ifndef ENG_TEXT_SPLIT_H
#define ENG_TEXT_SPLIT_H

#include "base/err.h"

#define ENG_SPLIT_STEPS 6

typedef enum {
    ENG_SPLIT_END,     /* of the steps */
    ENG_SPLIT_ISOLATE, /* matches are pieces, and what lies between them ("Isolated") */
    ENG_SPLIT_BEFORE,  /* a match begins a piece ("MergedWithNext") */
    ENG_SPLIT_THREES,  /* matches (runs of digits) get a cut before each three, from the right */
    ENG_SPLIT_THREES_ISOLATE /* both: matches are isolated, then cut in threes from the right */
} EngSplitKind;

typedef struct {
    EngSplitKind kind;
    const char *pattern; /* PCRE2, UTF and UCP */
    bool literal;        /* spells out its classes: is shown the text without stand-ins */
} EngSplitStep;

typedef struct {
    const char *names; /* of tokenizer.ggml.pre, space separated */
    EngSplitStep steps[ENG_SPLIT_STEPS];
    bool nfc;         /* text is brought into normalization form C first */
    bool whole_first; /* a piece that is a token is that token ("ignore_merges") */
    bool bos;         /* BOS goes first unless the file says otherwise */
} EngSplitRule;

extern const EngSplitRule eng_split_table[];
extern const size_t eng_split_table_n;

typedef struct EngSplit EngSplit;
typedef struct EngSplitter EngSplitter;

/* `name` is not NUL-terminated; NULL means "default". Unknown names are refused. */
EngSplit *eng_split_new(const char *name, size_t len, EngError *err);
void eng_split_free(EngSplit *split);
const EngSplitRule *eng_split_rule(const EngSplit *split);

EngSplitter *eng_splitter_new(const EngSplit *split);
void eng_splitter_free(EngSplitter *splitter);

/* Calls emit for each piece [from, from + n) of the valid UTF-8 text, in order. */
typedef void EngSplitFn(void *arg, size_t from, size_t n);
bool eng_splitter_run(EngSplitter *splitter, const char *text, size_t n, EngSplitFn *emit,
                      void *arg, EngError *err);

#endif
