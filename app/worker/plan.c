#include "error_from.h"
#include "models/ember.h"
#include "worker/plan_new.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(EngPlan, eng_plan_free)

typedef struct {
    HearthPlan plan;
    int refs; /* atomic */
} Counted;

G_DEFINE_BOXED_TYPE(HearthPlan, hearth_plan, hearth_plan_ref, hearth_plan_unref)

HearthPlan *hearth_plan_ref(HearthPlan *plan)
{
    g_atomic_int_inc(&((Counted *)plan)->refs);
    return plan;
}

void hearth_plan_unref(HearthPlan *plan)
{
    if (!plan || !g_atomic_int_dec_and_test(&((Counted *)plan)->refs)) return;
    g_free(plan->gpu);
    g_free(plan->gpu_reason);
    g_free(plan);
}

uint64_t hearth_bytes_total(const HearthBytes bytes, HearthDevice device)
{
    uint64_t total = 0;
    for (int kind = 0; kind < HEARTH_N_KINDS; kind++) total += bytes[kind][device];
    return total;
}

static const HearthKind kinds[ENG_PLAN_KINDS] = {
    [ENG_PLAN_KV] = HEARTH_KIND_KV,
    [ENG_PLAN_BUFFERS] = HEARTH_KIND_BUFFERS,
    [ENG_PLAN_ATTENTION] = HEARTH_KIND_ATTENTION,
    [ENG_PLAN_SHARED] = HEARTH_KIND_SHARED_EXPERTS,
    [ENG_PLAN_DENSE] = HEARTH_KIND_DENSE,
    [ENG_PLAN_HEAD] = HEARTH_KIND_HEAD,
    [ENG_PLAN_EXPERTS] = HEARTH_KIND_EXPERTS,
    [ENG_PLAN_CACHE] = HEARTH_KIND_CACHE,
    [ENG_PLAN_TABLE] = HEARTH_KIND_EMBEDDING,
    [ENG_PLAN_UNUSED] = HEARTH_KIND_OTHER,
};
static const HearthDevice devices[] = {[ENG_PLACE_CPU] = HEARTH_DEVICE_DRAM,
                                       [ENG_PLACE_GPU] = HEARTH_DEVICE_VRAM,
                                       [ENG_PLACE_DISK] = HEARTH_DEVICE_DISK};

HearthPlan *hearth_plan_of(const EngPlan *from)
{
    Counted *counted = g_new0(Counted, 1);
    HearthPlan *plan = &counted->plan;
    counted->refs = 1;
    *plan = (HearthPlan){.no_room = from->no_room,
                         .n_gpus = from->n_gpus,
                         .assumed = from->assumed,
                         .vram = from->vram,
                         .vram_reserve = from->vram_reserve,
                         .context = from->context,
                         .decode_tok_s = from->decode_tok_s,
                         .prefill_tok_s = from->prefill_tok_s,
                         .load_s = from->load_s,
                         .prompt = from->prompt,
                         .decode_term = from->decode_term,
                         .prefill_term = from->prefill_term};
    if (*from->gpu)
        plan->gpu = g_utf8_make_valid(from->gpu, -1);
    else
        plan->gpu_reason = hearth_sentence(from->reason);
    for (size_t i = 0; i < from->n_rows; i++) {
        const EngPlanRow *row = &from->rows[i];
        plan->bytes[kinds[row->kind]][devices[row->place.kind]] += row->bytes;
    }
    return plan;
}

int hearth_plan_gpus(const HearthModelSettings *settings)
{
    EngHost host;
    if (settings->no_gpu || settings->gpus <= 1 || !eng_probe(&host, NULL)) return 0;
    return host.n_gpus > 1 ? MIN(settings->gpus, host.n_gpus) : 0;
}

/* Of the GPUs that there are, as opening a model takes them; eng_plan() would suppose some of that
 * size. */
static uint64_t vram_here(uint64_t most, int gpus)
{
    EngHost host;
    if (!most || !eng_probe(&host, NULL) || !host.n_gpus) return 0;
    for (int i = 0; i < MIN(MAX(gpus, 1), host.n_gpus); i++)
        if (host.gpus[i].vram_available) most = MIN(most, host.gpus[i].vram_available);
    return most;
}

HearthPlan *hearth_plan_make(const EngModel *model, const char *path,
                             const HearthModelSettings *settings, GError **error)
{
    EngPlanSettings want = eng_plan_defaults();
    EngError failure = {0};
    EngHeader ember = {0};
    ember.data = hearth_ember_data(&ember.size);
    ember.file_size = ember.size;
    want.context = settings->context;
    want.batch = eng_model_defaults().batch; /* as the worker opens it */
    if (settings->kv) eng_kv_type(settings->kv, &want.kv);
    want.no_gpu = settings->no_gpu;
    want.gpus = hearth_plan_gpus(settings);
    want.vram = model ? settings->vram : vram_here(settings->vram, want.gpus);
    want.rules = hearth_model_settings_count_rules(settings->rules) ? settings->rules : NULL;
    g_autoptr(EngPlan) plan = model  ? eng_plan_model(model, &want, &failure)
                              : path ? eng_plan_file(path, &want, &failure)
                                     : eng_plan(&ember, 1, &want, &failure);
    if (plan) return hearth_plan_of(plan);
    hearth_error_from_engine(error, &failure);
    return NULL;
}
