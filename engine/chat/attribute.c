/* obj.name and obj[key], with the sandbox's refusals. */
#include <string.h>

#include "base/num.h"
#include "chat/builtin/builtin.h"
#include "chat/eval.h"
#include "chat/value/repr.h"
#include "chat/value/str.h"

static EngValue loop_attribute(EngRun *run, EngLoop *loop, const EngStr *name)
{
    EngValue v;
    if (eng_str_is_text(name, "index")) return eng_value_int(loop->index0 + 1);
    if (eng_str_is_text(name, "index0")) return eng_value_int(loop->index0);
    if (eng_str_is_text(name, "first")) return eng_value_bool(loop->index0 == 0);
    if (eng_str_is_text(name, "last")) return eng_value_bool(!eng_eval_loop_peek(run, loop, &v));
    if (eng_str_is_text(name, "length")) return eng_value_int(eng_eval_loop_length(run, loop));
    if (eng_str_is_text(name, "depth")) return eng_value_int(loop->depth0 + 1);
    if (eng_str_is_text(name, "depth0")) return eng_value_int(loop->depth0);
    if (eng_str_is_text(name, "revindex"))
        return eng_value_int(eng_eval_loop_length(run, loop) - loop->index0);
    if (eng_str_is_text(name, "revindex0"))
        return eng_value_int(eng_eval_loop_length(run, loop) - loop->index0 - 1);
    if (eng_str_is_text(name, "previtem"))
        return loop->index0 == 0
                   ? eng_value_undefined_hint(run, eng_str_text(run, "there is no previous item"))
                   : loop->before;
    if (eng_str_is_text(name, "nextitem"))
        return eng_eval_loop_peek(run, loop, &v)
                   ? v
                   : eng_value_undefined_hint(run, eng_str_text(run, "there is no next item"));
    return eng_value_missing();
}

static EngValue macro_attribute(EngRun *run, const EngMacro *macro, const EngStr *name)
{
    const EngSignature *s = macro->node->signature;
    if (eng_str_is_text(name, "name"))
        return macro->node->kind == ENG_N_MACRO ? eng_value_str(macro->node->name)
                                                : eng_value_none();
    if (eng_str_is_text(name, "catch_kwargs")) return eng_value_bool(s->kwargs >= 0);
    if (eng_str_is_text(name, "catch_varargs")) return eng_value_bool(s->varargs >= 0);
    if (eng_str_is_text(name, "caller")) return eng_value_bool(s->caller >= 0);
    if (!eng_str_is_text(name, "arguments")) return eng_value_missing();
    EngList *list = eng_value_list_new(run, s->args.n);
    for (size_t i = 0; i < list->n; i++) list->items[i] = eng_value_str(s->args.items[i]->name);
    return eng_value_tuple(list);
}

static EngValue number_attribute(EngValue v, const EngStr *name)
{
    int64_t i;
    if (eng_str_is_text(name, "real")) return eng_value_int_like(v, &i) ? eng_value_int(i) : v;
    if (eng_str_is_text(name, "imag"))
        return v.type == ENG_V_FLOAT ? eng_value_float(0) : eng_value_int(0);
    if (!eng_value_int_like(v, &i)) return eng_value_missing();
    if (eng_str_is_text(name, "numerator")) return eng_value_int(i);
    if (eng_str_is_text(name, "denominator")) return eng_value_int(1);
    return eng_value_missing();
}

/* Every Python object has these; the sandbox lets none of them through. */
static bool is_internal(const EngStr *name)
{
    static const char *const names[] = {
        "__class__",        "__doc__",
        "__init__",         "__new__",
        "__repr__",         "__str__",
        "__hash__",         "__eq__",
        "__ne__",           "__lt__",
        "__le__",           "__gt__",
        "__ge__",           "__dir__",
        "__format__",       "__sizeof__",
        "__reduce__",       "__reduce_ex__",
        "__getattribute__", "__setattr__",
        "__delattr__",      "__init_subclass__",
        "__subclasshook__", "__getstate__",
    };
    for (size_t i = 0; i < ENG_LEN(names); i++)
        if (eng_str_is_text(name, names[i])) return true;
    return false;
}

bool eng_attribute_own(EngRun *run, EngValue obj, EngStr *name, EngValue *ret)
{
    EngValue v = eng_value_missing();
    switch (obj.type) {
    case ENG_V_UNDEFINED:
        if (name->n > 3 && memcmp(name->data, "__", 2) == 0 &&
            memcmp(name->data + name->n - 2, "__", 2) == 0)
            break;
        eng_value_raise_undefined(run, obj);
    case ENG_V_LOOP: v = loop_attribute(run, obj.u.loop, name); break;
    case ENG_V_MACRO: v = macro_attribute(run, obj.u.macro, name); break;
    case ENG_V_NAMESPACE:
        if (!eng_dict_get(run, obj.u.dict, eng_value_str(name), &v) && is_internal(name))
            return false;
        break;
    case ENG_V_BOOL:
    case ENG_V_INT:
    case ENG_V_FLOAT: v = number_attribute(obj, name); break;
    case ENG_V_TUPLE:
        if (!obj.u.list->is_group) break;
        if (eng_str_is_text(name, "grouper")) v = obj.u.list->items[0];
        if (eng_str_is_text(name, "list")) v = obj.u.list->items[1];
        break;
    case ENG_V_RANGE:
        if (eng_str_is_text(name, "start")) v = eng_value_int(obj.u.range->start);
        if (eng_str_is_text(name, "stop")) v = eng_value_int(obj.u.range->stop);
        if (eng_str_is_text(name, "step")) v = eng_value_int(obj.u.range->step);
        break;
    case ENG_V_CYCLER:
        if (eng_str_is_text(name, "current")) v = obj.u.cycler->items->items[obj.u.cycler->pos];
        if (eng_str_is_text(name, "items")) v = eng_value_tuple(obj.u.cycler->items);
        if (eng_str_is_text(name, "pos")) v = eng_value_int((int64_t)obj.u.cycler->pos);
        break;
    case ENG_V_JOINER:
        if (eng_str_is_text(name, "sep")) v = obj.u.joiner->sep;
        if (eng_str_is_text(name, "used")) v = eng_value_bool(obj.u.joiner->used);
        break;
    default: break;
    }
    if (v.type == ENG_V_MISSING) v = eng_builtin_method(run, obj, name);
    if (v.type == ENG_V_MISSING && is_internal(name)) v = eng_value_none();
    *ret = v;
    return v.type != ENG_V_MISSING;
}

static bool modifies(EngValue obj, const EngStr *name)
{
    static const char *const of_dict[] = {"clear", "pop", "popitem", "setdefault", "update"};
    static const char *const of_list[] = {"append", "clear", "pop",    "reverse",
                                          "insert", "sort",  "extend", "remove"};
    for (size_t i = 0; obj.type == ENG_V_DICT && i < ENG_LEN(of_dict); i++)
        if (eng_str_is_text(name, of_dict[i])) return true;
    for (size_t i = 0; obj.type == ENG_V_LIST && i < ENG_LEN(of_list); i++)
        if (eng_str_is_text(name, of_list[i])) return true;
    return false;
}

static EngValue guard(EngRun *run, EngValue obj, EngStr *name, EngValue v)
{
    bool is_format = v.type == ENG_V_FUNC && obj.type == ENG_V_STR &&
                     (eng_str_is_text(name, "format") || eng_str_is_text(name, "format_map"));
    bool is_private = name->n > 0 && name->data[0] == '_';
    bool is_mro = v.type == ENG_V_FUNC && obj.type == ENG_V_FUNC && eng_str_is_text(name, "mro");
    if (is_format || (!is_private && !is_mro && !modifies(obj, name))) return v;
    EngText t = {0};
    eng_text_puts(run, &t, "access to attribute ");
    eng_repr_add(run, &t, eng_value_str(name));
    eng_text_printf(run, &t, " of '%s' object is unsafe.", eng_value_type_name(obj));
    return eng_value_undefined_hint(run, eng_text_take(run, &t));
}

/* obj[key] as Python itself would do it; false on TypeError and LookupError. */
static bool plain_item(EngRun *run, EngValue obj, EngValue key, EngValue *ret)
{
    int64_t i;
    size_t n;
    const char *type;
    if (obj.type == ENG_V_DICT)
        return eng_value_hashable(key, &type) && eng_dict_get(run, obj.u.dict, key, ret);
    if (obj.type != ENG_V_STR && obj.type != ENG_V_LIST && obj.type != ENG_V_TUPLE &&
        obj.type != ENG_V_RANGE)
        return false;
    if (!eng_value_int_like(key, &i) || !eng_value_len(obj, &n)) return false;
    if (i < 0) i += (int64_t)n;
    if (i < 0 || i >= (int64_t)n) return false;
    if (obj.type == ENG_V_STR) {
        EngStr *s = eng_str_slice(run, obj.u.str, i, 1, 1);
        *ret = eng_value_str(obj.u.str->markup ? eng_str_mark(run, s, true) : s);
    } else if (obj.type == ENG_V_RANGE) {
        *ret = eng_iter_range_item(obj.u.range, i);
    } else {
        *ret = obj.u.list->items[i];
    }
    return true;
}

EngValue eng_attribute_get(EngRun *run, EngValue obj, EngStr *name)
{
    EngValue v;
    if (eng_attribute_own(run, obj, name, &v)) return guard(run, obj, name, v);
    if (obj.type == ENG_V_UNDEFINED) eng_value_raise_undefined(run, obj);
    if (plain_item(run, obj, eng_value_str(name), &v)) return v;
    return eng_value_no_attribute(run, obj, eng_value_str(name));
}

EngValue eng_attribute_item(EngRun *run, EngValue obj, EngValue key)
{
    EngValue v;
    if (obj.type == ENG_V_UNDEFINED) eng_value_raise_undefined(run, obj);
    if (plain_item(run, obj, key, &v)) return v;
    if (key.type == ENG_V_STR && eng_attribute_own(run, obj, key.u.str, &v))
        return guard(run, obj, key.u.str, v);
    return eng_value_no_attribute(run, obj, key);
}
