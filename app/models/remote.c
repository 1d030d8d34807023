#include "models/remote.h"

#include <curl/curl.h>
#include <string.h>

/* Headers of large vocabularies have about 10 MiB; what asks for far more is no model. */
#define FIRST_BYTES ((size_t)1 << 20)
#define MOST_BYTES ((size_t)256 << 20)

/* One file on the server, as far as it is here. */
typedef struct {
    const char *url;
    GByteArray *bytes; /* its beginning */
    guint64 file_size; /* 0 = not known yet */
    char *etag;        /* of the first answer */
    size_t want;       /* length of `bytes` after the request that runs */
    /* of the answer that comes in */
    guint64 range_start, range_total, length;
    char *answer_etag;
    guint64 position;    /* in the file, of the next byte of the body */
    const char *refusal; /* why the answer is not taken */
} Download;

bool hearth_remote_is_url(const char *text)
{
    return g_ascii_strncasecmp(text, "http://", 7) == 0 ||
           g_ascii_strncasecmp(text, "https://", 8) == 0;
}

static bool is_secure(const char *url) { return g_ascii_strncasecmp(url, "https:", 6) == 0; }

static size_t on_header(char *line, size_t size, size_t n, void *data)
{
    Download *download = data;
    g_autofree char *text = g_strstrip(g_strndup(line, size * n));
    if (g_str_has_prefix(text, "HTTP/")) { /* also after each redirect */
        download->range_start = download->range_total = download->length = 0;
        g_clear_pointer(&download->answer_etag, g_free);
    }
    char *value = strchr(text, ':');
    if (!value) return size * n;
    *value++ = 0;
    g_strchug(value);
    if (g_ascii_strcasecmp(text, "Content-Range") == 0 && g_str_has_prefix(value, "bytes ")) {
        char *end;
        download->range_start = g_ascii_strtoull(value + 6, &end, 10);
        const char *slash = strchr(end, '/');
        if (*end == '-' && slash) download->range_total = g_ascii_strtoull(slash + 1, NULL, 10);
    } else if (g_ascii_strcasecmp(text, "Content-Length") == 0) {
        download->length = g_ascii_strtoull(value, NULL, 10);
    } else if (g_ascii_strcasecmp(text, "ETag") == 0) {
        g_free(download->answer_etag);
        download->answer_etag = g_strdup(value);
    }
    return size * n;
}

/* The answer's headers are complete: do they fit what is already here? */
static bool accept_answer(Download *download, CURL *curl)
{
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    bool partial = status == 206;
    guint64 total = partial ? download->range_total : download->length;
    if (partial && download->range_start != download->bytes->len)
        download->refusal = "the server sends another range than it was asked for";
    else if (total == 0)
        download->refusal = "the server does not say how long the file is";
    else if (download->file_size && (download->file_size != total ||
                                     g_strcmp0(download->etag, download->answer_etag) != 0))
        download->refusal = "the file changed on the server meanwhile";
    if (download->refusal) return false;
    if (!download->file_size) download->etag = g_strdup(download->answer_etag);
    download->file_size = total;
    download->position = partial ? download->range_start : 0;
    return true;
}

typedef struct {
    CURL *curl;
    Download *download;
    bool begun;
} Body;

/* Takes what is wanted and then ends the transfer, for a server that ignores ranges sends all. */
static size_t on_body(char *piece, size_t size, size_t n, void *data)
{
    Body *body = data;
    Download *download = body->download;
    size_t len = size * n, have = download->bytes->len;
    if (!body->begun && !accept_answer(download, body->curl)) return 0;
    body->begun = true;
    size_t skip = download->position < have ? MIN(len, have - (size_t)download->position) : 0;
    size_t take = MIN(len - skip, download->want - have);
    g_byte_array_append(download->bytes, (const guint8 *)piece + skip, (guint)take);
    download->position += len;
    return skip + take == len ? len : 0;
}

static bool failed(const Download *download, CURL *curl, CURLcode code, const char *details,
                   GError **error)
{
    if (download->refusal)
        return hearth_error(error, HEARTH_ERROR_FAILED, "Cannot look into %s: %s.", download->url,
                            download->refusal);
    if (code == CURLE_HTTP_RETURNED_ERROR) {
        long status = 0;
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        const char *hint = status == 401 || status == 403 ? "it wants a login that Hearth has not"
                           : status == 404                ? "check the address"
                                                          : "try again later";
        return hearth_error(error, HEARTH_ERROR_FAILED, "The server answers %ld for %s: %s.",
                            status, download->url, hint);
    }
    return hearth_error(error, HEARTH_ERROR_FAILED,
                        "Cannot get %s: %s. Check the address and the connection.", download->url,
                        *details ? details : curl_easy_strerror(code));
}

/* Fetches until `want` bytes, or all of the file, are here. */
static bool fetch(CURL *curl, Download *download, size_t want, GError **error)
{
    char details[CURL_ERROR_SIZE] = "";
    Body body = {curl, download, false};
    g_autofree char *range = g_strdup_printf("%u-%zu", download->bytes->len, want - 1);
    download->want = want;
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, download->url);
    curl_easy_setopt(curl, CURLOPT_RANGE, range);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 10L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR,
                     is_secure(download->url) ? "https" : "http,https");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 30L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L); /* bytes/s: nothing for a minute */
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, 60L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "hearth/" HEARTH_VERSION);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, details);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, download);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
    CURLcode code = curl_easy_perform(curl);
    bool complete = download->bytes->len == MIN(want, download->file_size);
    if (download->file_size && complete) return true;
    if (code == CURLE_OK)
        download->refusal =
            body.begun ? "the server ended its answer too early" : "the server's answer is empty";
    return failed(download, curl, code, details, error);
}

static void free_part(void *data)
{
    HearthRemotePart *part = data;
    eng_peek_free(part->peek);
    g_byte_array_unref(part->bytes);
    g_free(part);
}

static HearthRemotePart *peek_part(CURL *curl, const char *url, GError **error)
{
    Download download = {.url = url, .bytes = g_byte_array_new()};
    EngPeek *peek = NULL;
    EngError failure = {.code = ENG_ERR_MORE};
    size_t want = FIRST_BYTES;
    while (failure.code == ENG_ERR_MORE) {
        if (!fetch(curl, &download, want, error)) goto end;
        failure = (EngError){0};
        peek =
            eng_peek_bytes(download.bytes->data, download.bytes->len, download.file_size, &failure);
        if (peek) goto end;
        bool no_more = download.bytes->len == download.file_size || want == MOST_BYTES;
        if (failure.code == ENG_ERR_MORE && no_more) {
            hearth_error(error, HEARTH_ERROR_REFUSED,
                         "The header of %s does not end within %zu MiB: this is no sound GGUF "
                         "file.",
                         url, want >> 20);
            goto end;
        }
        want = MIN(want * 4, MOST_BYTES);
    }
    hearth_error_from_engine(error, &failure);
end:
    g_free(download.etag);
    g_free(download.answer_etag);
    if (!peek) {
        g_byte_array_unref(download.bytes);
        return NULL;
    }
    HearthRemotePart *part = g_new(HearthRemotePart, 1);
    *part = (HearthRemotePart){peek, download.bytes, download.file_size};
    return part;
}

/* The URL of part `part`, from the first part's; NULL when its name is not …-00001-of-NNNNN.gguf.
 */
static char *part_url(const char *url, int part, int n_parts)
{
    g_autofree char *first = g_strdup_printf("-00001-of-%05d.gguf", n_parts);
    size_t path_end = strcspn(url, "?#"), len = strlen(first);
    if (path_end < len || strncmp(url + path_end - len, first, len) != 0) return NULL;
    return g_strdup_printf("%.*s-%05d-of-%05d.gguf%s", (int)(path_end - len), url, part, n_parts,
                           url + path_end);
}

static bool peek_rest(CURL *curl, const char *url, GPtrArray *parts, GError **error)
{
    const EngPeek *first = ((const HearthRemotePart *)parts->pdata[0])->peek;
    int n_parts = first->n_parts;
    if (first->part != 1)
        return hearth_error(error, HEARTH_ERROR_REFUSED,
                            "This is part %d of %d of a model: give the address of the first part, "
                            "…-00001-of-%05d.gguf.",
                            first->part, n_parts, n_parts);
    for (int part = 2; part <= n_parts; part++) {
        g_autofree char *name = part_url(url, part, n_parts);
        if (!name)
            return hearth_error(error, HEARTH_ERROR_REFUSED,
                                "This is a model in %d parts, and the others are found by the "
                                "name …-00001-of-%05d.gguf, which this address has not.",
                                n_parts, n_parts);
        HearthRemotePart *more = peek_part(curl, name, error);
        if (!more) return false;
        g_ptr_array_add(parts, more);
        const EngPeek *peek = more->peek;
        if (peek->part != part || peek->n_parts != n_parts)
            return hearth_error(error, HEARTH_ERROR_REFUSED,
                                "%s says it is part %d of %d: the parts on the server do not "
                                "belong together.",
                                name, peek->part, peek->n_parts);
    }
    return true;
}

GPtrArray *hearth_remote_parts(const char *url, GError **error)
{
    CURL *curl = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? curl_easy_init() : NULL;
    if (!curl) {
        hearth_error(error, HEARTH_ERROR_FAILED, "Cannot start the network library (libcurl).");
        return NULL;
    }
    g_autoptr(GPtrArray) parts = g_ptr_array_new_with_free_func(free_part);
    HearthRemotePart *first = peek_part(curl, url, error);
    if (first) g_ptr_array_add(parts, first);
    bool done = first && peek_rest(curl, url, parts, error);
    curl_easy_cleanup(curl);
    curl_global_cleanup();
    return done ? g_steal_pointer(&parts) : NULL;
}
