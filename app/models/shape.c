#include "models/shape.h"

#include <gio/gio.h>
#include <json-glib/json-glib.h>
#include <string.h>

GResource *hearth_shapes_get_resource(void); /* made from data/catalog.json */
#define CATALOG "/io/github/hearth_ai/Hearth/models/catalog.json"

typedef struct {
    JsonObject *numbers; /* of the shape */
    JsonArray *rules;    /* of the quantization */
    int layers, dense;
    GStringChunk *texts;
    GArray *values;  /* of EngMetaValue */
    GArray *tensors; /* of EngTensorShape */
} Writer;

static JsonParser *catalog(void)
{
    JsonParser *parser = json_parser_new_immutable();
    g_autoptr(GBytes) bytes = g_resource_lookup_data(hearth_shapes_get_resource(), CATALOG,
                                                     G_RESOURCE_LOOKUP_FLAGS_NONE, NULL);
    g_autoptr(GError) failure = NULL;
    gsize size;
    const char *text = g_bytes_get_data(bytes, &size);
    if (!json_parser_load_from_data(parser, text, (gssize)size, &failure))
        g_error("The catalog is no JSON: %s", failure->message); /* this program's own data */
    return parser;
}

static JsonObject *part(JsonParser *parser, const char *name)
{
    return json_object_get_object_member(json_node_get_object(json_parser_get_root(parser)), name);
}

/* The member's own name, which people write in any case; NULL = there is none. Borrowed. */
static const char *name_in(JsonObject *object, const char *name)
{
    g_autoptr(GList) names = json_object_get_members(object);
    for (GList *at = names; at; at = at->next)
        if (g_ascii_strcasecmp(at->data, name) == 0) return at->data;
    return NULL;
}

static char *names_of(const char *kind)
{
    g_autoptr(JsonParser) parser = catalog();
    g_autoptr(GList) names = json_object_get_members(part(parser, kind));
    GString *out = g_string_new(NULL);
    for (GList *at = names; at; at = at->next)
        g_string_append_printf(out, "%s%s", out->len ? ", " : "", (const char *)at->data);
    return g_string_free(out, FALSE);
}

char *hearth_shape_names(void) { return names_of("shapes"); }
char *hearth_shape_quants(void) { return names_of("quants"); }

bool hearth_shape_is_known(const char *shape)
{
    g_autoptr(JsonParser) parser = catalog();
    return name_in(part(parser, "shapes"), shape) != NULL;
}

/* ---- metadata -------------------------------------------------------------------------------- */

static void add_value(Writer *w, const char *key, JsonNode *value)
{
    EngMetaValue one = {.key = g_string_chunk_insert(w->texts, key)};
    GType type = json_node_get_value_type(value);
    if (type == G_TYPE_STRING)
        one.text = g_string_chunk_insert(w->texts, json_node_get_string(value));
    one.whole = type == G_TYPE_INT64;
    if (!one.text) one.number = json_node_get_double(value);
    g_array_append_val(w->values, one);
}

/* Keys are the family's own: "block_count" is "deepseek2.block_count" in a file. What a family says
 * as text is the name of a number of the shape; one that the shape lacks is left out. */
static void add_metadata(Writer *w, const char *family, JsonObject *metadata, bool names)
{
    JsonObjectIter iter;
    const char *key;
    JsonNode *value;
    json_object_iter_init_ordered(&iter, metadata);
    while (json_object_iter_next_ordered(&iter, &key, &value)) {
        g_autofree char *full = g_strdup_printf("%s.%s", family, key);
        if (names && json_node_get_value_type(value) == G_TYPE_STRING)
            value = json_object_get_member(w->numbers, json_node_get_string(value));
        if (value) add_value(w, full, value);
    }
}

/* ---- tensors --------------------------------------------------------------------------------- */

/* llama.cpp's choice of layers whose down and value matrices get more bits in a K_M mix. */
static bool is_chosen(int layer, int n_layers)
{
    int eighth = n_layers / 8;
    return layer < eighth || layer >= 7 * n_layers / 8 || (layer - eighth) % 3 == 2;
}

static const char *short_type(const char *type)
{
    static const char *const pairs[][2] = {{"Q4_K", "Q5_0"}, {"Q5_K", "Q5_1"}, {"Q6_K", "Q8_0"}};
    for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++)
        if (strcmp(type, pairs[i][0]) == 0) return pairs[i][1];
    return g_str_has_suffix(type, "_K") || g_str_has_prefix(type, "IQ") ? "IQ4_NL" : type;
}

static const char *type_of(const Writer *w, const EngTensorShape *t, int layer)
{
    if (t->n_dims == 1 || strstr(t->name, "ffn_gate_inp")) return "F32";
    for (guint i = 0; i < json_array_get_length(w->rules); i++) {
        JsonArray *rule = json_array_get_array_element(w->rules, i);
        bool some = json_array_get_length(rule) > 2;
        if (!g_pattern_match_simple(json_array_get_string_element(rule, 0), t->name) ||
            (some && !is_chosen(layer, w->layers)))
            continue;
        const char *type = json_array_get_string_element(rule, 1);
        return t->shape[0] % 256 == 0 ? type : short_type(type);
    }
    g_assert_not_reached(); /* each list ends with "*" */
}

/* False when the shape lacks one of the numbers. */
static bool fill_shape(const Writer *w, JsonArray *row, EngTensorShape *t)
{
    t->n_dims = (int)json_array_get_length(row) - 1;
    for (int i = 0; i < t->n_dims; i++) {
        const char *number = json_array_get_string_element(row, (guint)i + 1);
        if (!json_object_has_member(w->numbers, number)) return false;
        t->shape[i] = (uint64_t)json_object_get_int_member(w->numbers, number);
    }
    return true;
}

static void add_tensor(Writer *w, EngTensorShape t, const char *name, int layer)
{
    t.name = g_string_chunk_insert(w->texts, name);
    t.type = g_string_chunk_insert_const(w->texts, type_of(w, &t, layer));
    g_array_append_val(w->tensors, t);
}

static void add_tensors(Writer *w, JsonArray *row)
{
    const char *name = json_array_get_string_element(row, 0), *star = strchr(name, '*');
    EngTensorShape t;
    if (!fill_shape(w, row, &t)) return;
    if (!star) {
        add_tensor(w, t, name, 0);
        return;
    }
    int first = g_str_has_prefix(name, "sparse.") ? w->dense : 0;
    int end = g_str_has_prefix(name, "dense.") ? w->dense : w->layers;
    for (int layer = first; layer < end; layer++) {
        g_autofree char *full = g_strdup_printf("blk.%d%s", layer, star + 1);
        add_tensor(w, t, full, layer);
    }
}

/* ---- all ------------------------------------------------------------------------------------- */

static bool write_header(Writer *w, EngHeader *ret_header, GError **error)
{
    EngError failure = {0};
    return eng_header_write((EngMetaValue *)(void *)w->values->data, w->values->len,
                            (EngTensorShape *)(void *)w->tensors->data, w->tensors->len, ret_header,
                            &failure) ||
           hearth_error_from_engine(error, &failure);
}

static HearthShape *make(JsonObject *shape, JsonObject *family, JsonArray *rules, GError **error)
{
    JsonObject *numbers = json_object_get_object_member(shape, "numbers");
    Writer w = {.numbers = numbers,
                .rules = rules,
                .layers = (int)json_object_get_int_member(numbers, "layers"),
                .dense = (int)json_object_get_int_member_with_default(numbers, "dense", 0),
                .texts = g_string_chunk_new(4096),
                .values = g_array_new(FALSE, FALSE, sizeof(EngMetaValue)),
                .tensors = g_array_new(FALSE, FALSE, sizeof(EngTensorShape))};
    const char *arch = json_object_get_string_member(shape, "family");
    HearthShape *made = g_new0(HearthShape, 1);
    made->name = g_strdup(json_object_get_string_member(shape, "name"));
    EngMetaValue head[] = {{.key = "general.architecture", .text = arch},
                           {.key = "general.name", .text = made->name}};
    g_array_append_vals(w.values, head, G_N_ELEMENTS(head));
    add_metadata(&w, arch, json_object_get_object_member(family, "metadata"), true);
    add_metadata(&w, arch, json_object_get_object_member(shape, "metadata"), false);
    JsonArray *rows = json_object_get_array_member(family, "tensors");
    for (guint i = 0; i < json_array_get_length(rows); i++)
        add_tensors(&w, json_array_get_array_element(rows, i));
    if (!write_header(&w, &made->header, error)) g_clear_pointer(&made, hearth_shape_free);
    g_string_chunk_free(w.texts);
    g_array_unref(w.values);
    g_array_unref(w.tensors);
    return made;
}

HearthShape *hearth_shape_new(const char *shape, const char *quant, GError **error)
{
    g_autoptr(JsonParser) parser = catalog();
    JsonObject *shapes = part(parser, "shapes"), *quants = part(parser, "quants");
    const char *known = name_in(shapes, shape), *known_quant = name_in(quants, quant);
    if (!known || !known_quant) {
        g_autofree char *names = known ? hearth_shape_quants() : hearth_shape_names();
        hearth_error(error, HEARTH_ERROR_USAGE, "There is no %s called \"%s\": choose one of %s.",
                     known ? "quantization" : "shape", known ? quant : shape, names);
        return NULL;
    }
    JsonObject *one = json_object_get_object_member(shapes, known);
    const char *arch = json_object_get_string_member(one, "family");
    HearthShape *made = make(one, json_object_get_object_member(part(parser, "families"), arch),
                             json_object_get_array_member(quants, known_quant), error);
    if (made) made->quant = g_strdup(known_quant);
    return made;
}

void hearth_shape_free(HearthShape *shape)
{
    if (!shape) return;
    g_free(shape->name);
    g_free(shape->quant);
    free((void *)shape->header.data);
    g_free(shape);
}
