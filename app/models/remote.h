/* A GGUF file on a web server, looked into without downloading it: only its header is fetched, in
 * ranges, and of a split model the headers of all parts. */
#ifndef HEARTH_MODELS_REMOTE_H
#define HEARTH_MODELS_REMOTE_H

#include "error_from.h"

/* Whether this is a URL that hearth_remote_peek takes, rather than a path. */
bool hearth_remote_is_url(const char *text);

typedef struct {
    EngPeek *peek;
    GByteArray *bytes; /* the header and what came with it */
    guint64 file_size;
} HearthRemotePart;

/* Every part of the model, in order, as HearthRemotePart; g_ptr_array_unref(). Blocks.
 * Certificates are checked; redirects are followed, but never from https to http. */
GPtrArray *hearth_remote_parts(const char *url, GError **error);

#endif
