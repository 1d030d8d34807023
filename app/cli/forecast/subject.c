#include "cli/forecast/subject.h"

#include "models/remote.h"

void hearth_subject_clear(HearthSubject *s)
{
    g_free(s->name);
    g_clear_pointer(&s->headers, g_array_unref);
    g_clear_pointer(&s->shape, hearth_shape_free);
    g_clear_pointer(&s->peeks, g_ptr_array_unref);
    g_clear_pointer(&s->remote, g_ptr_array_unref);
}

static bool take_remote(HearthSubject *s, const char *url, GError **error)
{
    s->remote = hearth_remote_parts(url, error);
    if (!s->remote) return false;
    s->peeks = g_ptr_array_new();
    for (guint i = 0; i < s->remote->len; i++) {
        const HearthRemotePart *part = s->remote->pdata[i];
        EngHeader header = {part->bytes->data, part->bytes->len, part->file_size};
        g_array_append_val(s->headers, header);
        g_ptr_array_add(s->peeks, part->peek);
    }
    return true;
}

static bool take_peek(HearthSubject *s, EngPeek *peek, const EngError *failure, GError **error)
{
    if (!peek) return hearth_error_from_engine(error, failure);
    s->peeks = g_ptr_array_new_with_free_func((GDestroyNotify)eng_peek_free);
    g_ptr_array_add(s->peeks, peek);
    return true;
}

static bool take_shape(HearthSubject *s, const char *name, const char *quant, GError **error)
{
    EngError failure = {0};
    s->shape = hearth_shape_new(name, quant, error);
    if (!s->shape) return false;
    const EngHeader *h = &s->shape->header;
    g_array_append_val(s->headers, *h);
    return take_peek(s, eng_peek_bytes(h->data, h->size, h->file_size, &failure), &failure, error);
}

static bool take_file(HearthSubject *s, const char *path, GError **error)
{
    EngError failure = {0};
    s->path = path;
    return take_peek(s, eng_peek(path, &failure), &failure, error);
}

bool hearth_subject_choose(HearthSubject *s, const char *what, const char *quant, GError **error)
{
    bool is_shape = hearth_shape_is_known(what);
    if (quant && !is_shape)
        return hearth_error(error, HEARTH_ERROR_USAGE,
                            "--quant is for shapes: \"%s\" is quantized as it is.", what);
    s->headers = g_array_new(FALSE, FALSE, sizeof(EngHeader));
    bool taken = hearth_remote_is_url(what) ? take_remote(s, what, error)
                 : is_shape                 ? take_shape(s, what, quant ? quant : "Q4_K_M", error)
                                            : take_file(s, what, error);
    if (!taken) {
        if (!is_shape && !hearth_remote_is_url(what) && !g_file_test(what, G_FILE_TEST_EXISTS)) {
            g_autofree char *names = hearth_shape_names();
            g_clear_error(error);
            return hearth_error(error, HEARTH_ERROR_FAILED,
                                "There is no file \"%s\", and no shape of that name: %s.", what,
                                names);
        }
        return false;
    }
    const EngPeek *first = s->peeks->pdata[0];
    s->name = g_strdup_printf("%s, %s", *first->name ? first->name : what,
                              is_shape ? s->shape->quant : first->quant);
    return true;
}
