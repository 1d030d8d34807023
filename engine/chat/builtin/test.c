/* What stands after `is`. */
#include "chat/builtin/builtin.h"
#include "chat/eval.h"
#include "chat/value/repr.h"
#include "chat/value/str.h"

#define TEST(name, condition)                                                                      \
    static EngValue test_##name(EngRun *run, const EngValue *a, const EngArgs *args)               \
    {                                                                                              \
        (void)run, (void)args;                                                                     \
        return eng_value_bool(condition);                                                          \
    }

TEST(defined, a[0].type != ENG_V_UNDEFINED)
TEST(undefined, a[0].type == ENG_V_UNDEFINED)
TEST(none, a[0].type == ENG_V_NONE)
TEST(boolean, a[0].type == ENG_V_BOOL)
TEST(true, a[0].type == ENG_V_BOOL && a[0].u.b)
TEST(false, a[0].type == ENG_V_BOOL && !a[0].u.b)
TEST(integer, a[0].type == ENG_V_INT || a[0].type == ENG_V_BIG)
TEST(float, a[0].type == ENG_V_FLOAT)
TEST(number, eng_value_is_number(a[0]))
TEST(string, a[0].type == ENG_V_STR)
TEST(mapping, a[0].type == ENG_V_DICT)
TEST(iterable, eng_iter_possible(a[0]))
TEST(sequence, a[0].type == ENG_V_UNDEFINED || a[0].type == ENG_V_STR || a[0].type == ENG_V_LIST ||
                   a[0].type == ENG_V_TUPLE || a[0].type == ENG_V_DICT || a[0].type == ENG_V_RANGE)
TEST(lower, eng_str_is_case(eng_repr_str(run, a[0]), false))
TEST(upper, eng_str_is_case(eng_repr_str(run, a[0]), true))
TEST(sameas, eng_value_same(a[0], a[1]))
TEST(escaped, a[0].type == ENG_V_STR && a[0].u.str->markup)
TEST(in, eng_value_contains(run, a[1], a[0]))
TEST(filter, (eng_value_hash(run, a[0]), a[0].type == ENG_V_STR && eng_builtin_filter(a[0].u.str)))
TEST(test, (eng_value_hash(run, a[0]), a[0].type == ENG_V_STR && eng_builtin_test(a[0].u.str)))
TEST(odd,
     eng_value_equal(run, eng_operate(run, ENG_N_MOD, a[0], eng_value_int(2)), eng_value_int(1)))
TEST(even,
     eng_value_equal(run, eng_operate(run, ENG_N_MOD, a[0], eng_value_int(2)), eng_value_int(0)))
TEST(divisibleby, eng_value_equal(run, eng_operate(run, ENG_N_MOD, a[0], a[1]), eng_value_int(0)))

static EngValue test_callable(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)a;
    if (args->n != 1 || args->n_named)
        eng_value_raise(run, "callable() takes exactly one argument (%zu given)", args->n);
    return eng_value_bool(eng_call_possible(args->pos[0]));
}

/* operator.eq and the others are C functions: they take exactly two arguments by position. */
static void two_arguments(EngRun *run, const char *name, const EngArgs *args)
{
    if (args->n_named) eng_value_raise(run, "_operator.%s() takes no keyword arguments", name);
    if (args->n != 2) eng_value_raise(run, "%s expected 2 arguments, got %zu", name, args->n);
}

#define OPERATOR(name, condition)                                                                  \
    static EngValue test_##name(EngRun *run, const EngValue *unused, const EngArgs *args)          \
    {                                                                                              \
        (void)unused;                                                                              \
        two_arguments(run, #name, args);                                                           \
        EngValue a = args->pos[0], b = args->pos[1];                                               \
        return eng_value_bool(condition);                                                          \
    }

OPERATOR(eq, eng_value_equal(run, a, b))
OPERATOR(ne, !eng_value_equal(run, a, b))
OPERATOR(lt, eng_value_order(run, ENG_LT, a, b))
OPERATOR(le, eng_value_order(run, ENG_LE, a, b))
OPERATOR(gt, eng_value_order(run, ENG_GT, a, b))
OPERATOR(ge, eng_value_order(run, ENG_GE, a, b))

#define ONE(name)                                                                                  \
    {                                                                                              \
#name, test_##name, "test_" #name, "value", 1, 0                                           \
    }
#define RAW(alias, name)                                                                           \
    {                                                                                              \
        alias, test_##name, #name, NULL, 0, 0                                                      \
    }

const EngFilter eng_builtin_tests[] = {
    ONE(defined),
    ONE(undefined),
    ONE(none),
    ONE(boolean),
    ONE(true),
    ONE(false),
    ONE(integer),
    ONE(float),
    ONE(number),
    ONE(string),
    ONE(mapping),
    ONE(iterable),
    ONE(sequence),
    ONE(lower),
    ONE(upper),
    ONE(escaped),
    ONE(odd),
    ONE(even),
    {"filter", test_filter, "test_filter", "value", 1, 1},
    {"test", test_test, "test_test", "value", 1, 1},
    {"sameas", test_sameas, "test_sameas", "value other", 2, 0},
    {"in", test_in, "test_in", "value seq", 2, 0},
    {"divisibleby", test_divisibleby, "test_divisibleby", "value num", 2, 0},
    RAW("callable", callable),
    RAW("==", eq),
    RAW("eq", eq),
    RAW("equalto", eq),
    RAW("!=", ne),
    RAW("ne", ne),
    RAW(">", gt),
    RAW("gt", gt),
    RAW("greaterthan", gt),
    RAW(">=", ge),
    RAW("ge", ge),
    RAW("<", lt),
    RAW("lt", lt),
    RAW("lessthan", lt),
    RAW("<=", le),
    RAW("le", le),
    ENG_BUILTIN_END,
};
