#include "plan/kernel/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dl.h"
#include "base/mem.h"
#include "base/num.h"
#include "hearth_plugin.h"

enum { NAME_BYTES = 64 };

/* Of a plug-in. */
typedef struct {
    EngKernel kernel;
    char name[NAME_BYTES];
} Added;

typedef struct {
    const EngKernel *kernel;
    bool runs;
} Entry;

struct EngRegistry {
    char isa[sizeof((EngBuiltins){0}.isa)];
    EngVec(Entry) all; /* built in, then those added */
    EngVec(Added *) added;
    EngVec(EngDl *) loaded;
};

/* The forms and blocks that plug-ins see are the engine's own. */
#define SAME_PLACE(Ours, Theirs, member)                                                           \
    _Static_assert(sizeof(Ours) == sizeof(Theirs) &&                                               \
                       offsetof(Ours, member) == offsetof(Theirs, member),                         \
                   "hearth_plugin.h describes another " #Theirs)
SAME_PLACE(EngBlockQ8_0A, HearthBlockQ8_0, d);
SAME_PLACE(EngBlockQ8_0A, HearthBlockQ8_0, sum);
SAME_PLACE(EngBlockQ8_0A, HearthBlockQ8_0, q);
SAME_PLACE(EngBlockQ8_KA, HearthBlockQ8_K, d);
SAME_PLACE(EngBlockQ8_KA, HearthBlockQ8_K, q);
SAME_PLACE(EngBlockQ8_KA, HearthBlockQ8_K, sums);
_Static_assert(HEARTH_ACTIVATION_F32 == ENG_ACT_F32 && HEARTH_ACTIVATION_Q8_0 == ENG_ACT_Q8_0 &&
                   HEARTH_ACTIVATION_Q8_K == ENG_ACT_Q8_K,
               "hearth_plugin.h numbers other forms");

EngRegistry *eng_registry_new(const EngBuiltins *builtins)
{
    EngRegistry *r = eng_alloc0(sizeof *r);
    memcpy(r->isa, builtins->isa, sizeof r->isa);
    Entry e;
    for (int i = 0; (e.kernel = builtins->at(i, &e.runs)); i++) {
        e.runs = e.runs && (e.kernel->matmul || builtins->gpu);
        eng_vec_push(&r->all, e);
    }
    return r;
}

void eng_registry_free(EngRegistry *registry)
{
    if (!registry) return;
    for (size_t i = 0; i < registry->added.n; i++) free(registry->added.data[i]);
    for (size_t i = 0; i < registry->loaded.n; i++) eng_dl_close(registry->loaded.data[i]);
    free(registry->all.data);
    free(registry->added.data);
    free(registry->loaded.data);
    free(registry);
}

/* ---- looking --------------------------------------------------------------------------------- */

const EngKernel *eng_registry_find(const EngRegistry *registry, const char *name, size_t n,
                                   bool *ret_runs)
{
    for (size_t i = 0; i < registry->all.n; i++) {
        const Entry *e = &registry->all.data[i];
        if (strlen(e->kernel->name) != n || memcmp(e->kernel->name, name, n) != 0) continue;
        *ret_runs = e->runs;
        return e->kernel;
    }
    return NULL;
}

void eng_registry_list(const EngRegistry *registry, EngType type, char *ret, size_t size)
{
    size_t end = 0;
    *ret = 0;
    for (size_t i = 0; i < registry->all.n; i++) {
        const Entry *e = &registry->all.data[i];
        const char *name = e->kernel->name;
        if (e->kernel->type != type || !e->runs || end + strlen(name) + 3 > size) continue;
        end += (size_t)snprintf(ret + end, size - end, "%s%s", end ? ", " : "", name);
    }
}

/* ---- plug-ins -------------------------------------------------------------------------------- */

typedef struct {
    HearthPluginHost host; /* first: add_kernel gets its address */
    EngRegistry *registry;
    const char *shown; /* the file's name in messages */
    int n_added;
    EngError why; /* the first refusal */
} Loading;

static bool is_name(const char *name)
{
    size_t n = 0;
    while (n < NAME_BYTES && name[n] > ' ' && name[n] <= '~') n++;
    return n > 0 && n < NAME_BYTES && !name[n];
}

/* Numbers in a block of a form of activations. */
static int act_block(uint32_t act)
{
    static const int blocks[ENG_ACT_COUNT] = {
        [ENG_ACT_F32] = 1, [ENG_ACT_Q8_0] = 32, [ENG_ACT_Q8_K] = 256};
    return act < ENG_ACT_COUNT ? blocks[act] : 0;
}

static bool check_kernel(Loading *l, const HearthKernel *k, EngError *why)
{
    bool runs;
    const EngErrorCode code = ENG_ERR_USAGE;
    if (!k || k->size < sizeof *k || !k->name || !k->matmul)
        return eng_fail(why, code,
                        "the plug-in %s registers a kernel that is not filled in: compile it with "
                        "this version's hearth_plugin.h.",
                        l->shown);
    if (!is_name(k->name))
        return eng_fail(why, code,
                        "the plug-in %s calls a kernel \"%.70s\": a name has 1 to 63 characters "
                        "and no blanks.",
                        l->shown, k->name);
    const EngTypeInfo *type = eng_type_info(k->type);
    if (!type->to_f32)
        return eng_fail(why, code,
                        "the plug-in %s has the kernel \"%s\" for the format number %u, which this "
                        "version does not know.",
                        l->shown, k->name, (unsigned)k->type);
    int block = act_block(k->activation);
    if (!block || type->block % block)
        return eng_fail(why, code,
                        "the plug-in %s has the kernel \"%s\" take activations in form %u, which "
                        "weights in %s have not.",
                        l->shown, k->name, (unsigned)k->activation, type->name);
    if (eng_registry_find(l->registry, k->name, strlen(k->name), &runs))
        return eng_fail(why, code,
                        "the plug-in %s has a kernel \"%s\", but there is one of this name "
                        "already.",
                        l->shown, k->name);
    return true;
}

static bool add_kernel(const HearthPluginHost *host, const HearthKernel *kernel)
{
    Loading *l = (Loading *)(void *)host; /* `loading` below, which is no constant */
    EngError why = {0};
    if (!check_kernel(l, kernel, &why)) {
        if (!l->why.code) l->why = why;
        return false;
    }
    Added *a = eng_alloc0(sizeof *a);
    snprintf(a->name, sizeof a->name, "%s", kernel->name);
    a->kernel =
        (EngKernel){a->name, (EngType)kernel->type, (EngAct)kernel->activation, kernel->matmul};
    Entry e = {&a->kernel, true};
    eng_vec_push(&l->registry->added, a);
    eng_vec_push(&l->registry->all, e);
    l->n_added++;
    return true;
}

static bool run_plugin(EngRegistry *r, EngDl *dl, const char *shown, EngError *err)
{
    typedef uint32_t Version(void);
    typedef void Register(const HearthPluginHost *);
    Version *version = (Version *)eng_dl_function(dl, "hearth_plugin_version");
    Register *entry = (Register *)eng_dl_function(dl, "hearth_plugin_register");
    if (!version || !entry)
        return eng_fail(err, ENG_ERR_USAGE,
                        "the library %s is no plug-in for Hearth: it has no function %s.", shown,
                        version ? "hearth_plugin_register" : "hearth_plugin_version");
    unsigned theirs = version();
    if (theirs != HEARTH_PLUGIN_VERSION)
        return eng_fail(err, ENG_ERR_USAGE,
                        "the plug-in %s was made for version %u of the interface and this is "
                        "version %u: compile it with this version's hearth_plugin.h.",
                        shown, theirs, HEARTH_PLUGIN_VERSION);
    Loading loading = {.host = {.size = sizeof loading.host,
                                .version = HEARTH_PLUGIN_VERSION,
                                .isa = r->isa,
                                .add_kernel = add_kernel},
                       .registry = r,
                       .shown = shown};
    entry(&loading.host);
    if (loading.why.code) return eng_fail(err, loading.why.code, "%s", loading.why.message);
    return loading.n_added > 0 ||
           eng_fail(err, ENG_ERR_USAGE,
                    "the plug-in %s registers no kernel: it may need an instruction set that may "
                    "not be used here.",
                    shown);
}

/* A name without a folder would be looked for in the system's. */
static char *full_path(const char *path, size_t n)
{
    size_t at = memchr(path, '/', n) ? 0 : 2;
    char *full = eng_alloc0(at + n + 1);
    memcpy(full, "./", at);
    memcpy(full + at, path, n);
    return full;
}

bool eng_registry_load(EngRegistry *registry, const char *path, size_t n, EngError *err)
{
    enum { SHOWN = 80 }; /* of a long name the end says more */
    EngError why = {0};
    char *full = full_path(path, n), shown[SHOWN + 8];
    size_t len = strlen(full);
    bool cut = len > SHOWN;
    snprintf(shown, sizeof shown, "%s%s", cut ? "…" : "", full + (cut ? len - SHOWN : 0));
    EngDl *dl = eng_dl_open(full, &why);
    if (dl) eng_vec_push(&registry->loaded, dl);
    bool ok = dl ? run_plugin(registry, dl, shown, err)
                 : eng_fail(err, ENG_ERR_USAGE, "the plug-in is not loaded. %s", why.message);
    free(full);
    return ok;
}
