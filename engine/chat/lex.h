/* Template source to tokens, one at a time: text, tags and what stands in them.
 *
 * White space control happens here, as in the reference: '-' and '+' next to a tag, trim_blocks
 * (a newline after a block tag goes), lstrip_blocks (blanks before a block tag on its line go). */
#ifndef ENG_CHAT_LEX_H
#define ENG_CHAT_LEX_H

#include "chat/value/value.h"

typedef enum {
    ENG_T_EOF,
    ENG_T_DATA,
    ENG_T_BLOCK_BEGIN,
    ENG_T_BLOCK_END,
    ENG_T_VARIABLE_BEGIN,
    ENG_T_VARIABLE_END,
    ENG_T_NAME,
    ENG_T_STRING,
    ENG_T_INTEGER,
    ENG_T_FLOAT,
    ENG_T_ADD,
    ENG_T_SUB,
    ENG_T_DIV,
    ENG_T_FLOORDIV,
    ENG_T_MUL,
    ENG_T_MOD,
    ENG_T_POW,
    ENG_T_TILDE,
    ENG_T_LBRACKET,
    ENG_T_RBRACKET,
    ENG_T_LPAREN,
    ENG_T_RPAREN,
    ENG_T_LBRACE,
    ENG_T_RBRACE,
    ENG_T_EQ,
    ENG_T_NE,
    ENG_T_GT,
    ENG_T_GTEQ,
    ENG_T_LT,
    ENG_T_LTEQ,
    ENG_T_ASSIGN,
    ENG_T_DOT,
    ENG_T_COLON,
    ENG_T_PIPE,
    ENG_T_COMMA,
    ENG_T_SEMICOLON,
} EngTokenKind;

typedef struct {
    EngTokenKind kind;
    int line;
    EngValue value; /* DATA, NAME, STRING: text; INTEGER, FLOAT: the number */
} EngToken;

typedef enum {
    ENG_LEX_ROOT,
    ENG_LEX_BLOCK,
    ENG_LEX_VARIABLE,
    ENG_LEX_COMMENT,
    ENG_LEX_RAW
} EngLexState;

typedef struct {
    EngRun *run;
    const char *source; /* newlines are \n, the last one is gone; lives as long as the run */
    size_t n, at;
    int line;
    EngLexState state;
    bool line_starting; /* the last thing read ended with a newline */
    char *brackets;     /* the closing ones still expected */
    size_t n_brackets, cap_brackets;
    bool pending_begin; /* a tag's begin token follows the text before it */
    EngToken pending;
} EngLex;

void eng_lex_init(EngLex *lex, EngRun *run, const char *source, size_t n);
EngToken eng_lex_next(EngLex *lex);
/* "end of print statement", the operator, or the name itself: for messages. */
EngStr *eng_lex_describe(EngRun *run, EngToken token);
const char *eng_lex_kind_name(EngTokenKind kind);

#endif
