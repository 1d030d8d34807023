/* The Hearth inference engine: the only header that app/ and the tests of whole models see.
 *
 * A *model* is a GGUF file mapped and bound: immutable, shared, owning the worker pool and the
 * compute buffers. A *session* is one conversation's timeline: its KV cache, its sampler, its text
 * stream. The caller always hands over the whole history; the session finds the longest prefix
 * that its KV cache already holds and computes only what is new.
 *
 * Pull API: nothing here calls back. eng_step() does one bounded piece of work (one prefill chunk
 * or one token) and says what it was; to stop is to stop calling. A session belongs to one thread
 * at a time; sessions of one model may live on different threads (the model's compute lock
 * serialises their steps).
 *
 * Conventions: `bool` or NULL with `EngError *err` last (NULL allowed); outputs are `ret_…` and
 * untouched on failure; `const T *` is borrowed for the call; `T *` returned is the caller's, to be
 * released with the matching free. All strings are UTF-8. The engine prints nothing and never
 * exits. */
#ifndef ENGINE_H
#define ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- errors ---------------------------------------------------------------------------------- */

typedef enum {
    ENG_OK = 0,
    ENG_ERR_IO,      /* the operating system refused: open, read, map */
    ENG_ERR_REFUSED, /* the input is not acceptable: damaged file, unknown family, bad template */
    ENG_ERR_MORE,    /* eng_peek_bytes only: the header is longer than the bytes given */
    ENG_ERR_MEMORY,  /* an allocation sized by a model or a context failed */
    ENG_ERR_CONTEXT, /* the prompt does not fit the context */
    ENG_ERR_USAGE    /* a setting is out of its range */
} EngErrorCode;

/* One plain sentence with the cause and the next step, ready to be shown. */
typedef struct {
    EngErrorCode code;
    char message[256];
} EngError;

/* What a KV cache keeps. F32 only for exact comparisons: twice the memory of F16. Q8_0: bytes with
 * a scale for each 32, half the memory; queries meet it as such bytes, too. */
typedef enum { ENG_KV_F16, ENG_KV_F32, ENG_KV_Q8_0, ENG_KV_TYPES } EngKvType;

/* "f16", "f32" or "q8_0"; false: `name` is none of them. */
bool eng_kv_type(const char *name, EngKvType *ret_type);

/* ---- the machine ----------------------------------------------------------------------------- */

#define ENG_MAX_NODES 16
#define ENG_MAX_GPUS 4

typedef struct {
    char name[96];
    uint64_t vram_total, vram_available; /* bytes; available: 0 when the driver does not tell */
    int processors;                      /* streaming multiprocessors; 0 = not told */
} EngHostGpu;

typedef struct {
    char cpu_name[96];
    char isa[96];       /* instruction sets in use, space separated: "avx2 fma f16c" */
    char isa_limit[16]; /* value of HEARTH_CPU_MASK, or "" */
    char no_amx[64];    /* why the system keeps AMX from this program, or "" */
    int cores;          /* physical cores this process may use */
    int threads;        /* hardware threads this process may use */
    uint64_t l1d_bytes, l2_bytes, l3_bytes; /* of one cache; 0 = unknown */
    int nodes;                              /* NUMA nodes, at least 1 */
    uint64_t node_bytes[ENG_MAX_NODES];
    uint64_t dram_total, dram_available; /* bytes */
    int n_gpus;                          /* that can be used, in the driver's order */
    EngHostGpu gpus[ENG_MAX_GPUS];
    char gpu_reason[160]; /* why no GPU is used, when n_gpus is 0 */
} EngHost;

/* Describes the machine. Fails (ENG_ERR_USAGE) when HEARTH_CPU_MASK names no known set. */
bool eng_probe(EngHost *ret_host, EngError *err);

typedef struct {
    uint64_t process_bytes;              /* resident bytes of this process */
    uint64_t dram_total, dram_available; /* bytes, now */
} EngUsage;

/* Cheap enough for 5 Hz. */
bool eng_host_usage(EngUsage *ret_usage, EngError *err);

/* What the machine can do at most and how near its kernels come. A gauge holds threads and 256 MiB
 * of random weights; each call measures for up to a second or two and returns the best it saw, for
 * noise only ever makes a figure smaller. */
typedef struct EngGauge EngGauge;

typedef struct {
    int threads;
    double read_gb_s;   /* bytes that the threads read from DRAM together, 10^9 per second */
    double int8_gop_s;  /* multiply-adds of bytes in registers, two operations each */
    double float_gop_s; /* the same of floats */
    double barrier_us;  /* all threads meeting once */
} EngLimits;

typedef struct {
    const char *type;   /* "Q4_K" */
    const char *level;  /* "vnni": the instruction sets that the kernel was written for */
    double decode_gb_s; /* weights times one token: bytes of weights read */
    double decode_gop_s;
    double few_gop_s;     /* weights times 16 tokens, what one expert of many gets */
    double prefill_gop_s; /* weights times 128 tokens */
} EngKernelSpeed;

EngGauge *eng_gauge_new(int threads, EngError *err); /* threads 0 = one per physical core */
void eng_gauge_free(EngGauge *gauge);
EngLimits eng_gauge_limits(EngGauge *gauge);
/* The kernel of the i-th weight format, i = 0, 1, …; false when there are no more. */
bool eng_gauge_kernel(EngGauge *gauge, int i, EngKernelSpeed *ret_speed);
/* What the machine's limit of a kernel is: reading, or arithmetic. */
typedef enum {
    ENG_BOUND_READ,
    ENG_BOUND_INT8,
    ENG_BOUND_INT16, /* half of it: two products of 16 bits stand where four of bytes do */
    ENG_BOUND_FLOAT
} EngBound;

typedef struct {
    const char *name;  /* "scores of 16 bits" */
    const char *shape; /* "64 queries of 576, 64 positions" */
    EngBound bound;
    double speed; /* READ: GB/s of what comes from DRAM; else Gop/s, from the caches */
} EngPartSpeed;

/* The i-th kernel that is no product with weights, i = 0, 1, …; false when there are no more. */
bool eng_gauge_part(EngGauge *gauge, int i, EngPartSpeed *ret_speed);
/* Gop/s of weights of the format that is called so, times 1 … 256 tokens; 0 when there is none. */
double eng_gauge_product(EngGauge *gauge, const char *type, int tokens);
/* Gop/s of queries with a context, of latent attention's width. */
double eng_gauge_attention(EngGauge *gauge, EngKvType kv);

/* A kernel that rules can choose (EngPlanSettings), of those that need no plug-in. */
typedef struct {
    const char *name; /* "q4_k.vnni": its format, and what it was written for */
    const char *type; /* "Q4_K" */
    bool runs;        /* this machine has those instruction sets, and may use them; or a GPU */
} EngKernelInfo;

/* The i-th, i = 0, 1, …, by format; false when there are no more. `host`: of eng_probe. */
bool eng_kernel_info(int i, const EngHost *host, EngKernelInfo *ret_info);

/* ---- looking into a file --------------------------------------------------------------------- */

typedef struct {
    char *name;       /* owned by the peek */
    const char *type; /* "Q4_K", … ; static */
    int n_dims;
    uint64_t shape[4]; /* elements, innermost (contiguous) first, as in the file */
    uint64_t bytes;
} EngPeekTensor;

typedef struct {
    char arch[64];
    char name[128];      /* general.name, or "" */
    char quant[32];      /* the file type's name, else the type holding most bytes: "Q4_K_M" */
    uint64_t parameters; /* all elements of all tensors */
    uint64_t active_parameters; /* touched per token: experts count by used/total */
    uint64_t context;           /* trained context, tokens; 0 = not stated */
    uint64_t tensor_bytes;
    int n_layers, n_experts, n_experts_used;
    int part, n_parts; /* of a split file: from 1; 1 of 1 otherwise */
    bool supported;    /* this engine runs it; otherwise `reason` says why not */
    char reason[200];
    size_t n_tensors;
    EngPeekTensor *tensors;
} EngPeek;

/* Reads the header of a GGUF file and, for a split one, of all its parts. */
EngPeek *eng_peek(const char *path, EngError *err);

/* The same over the first `size` bytes of one part whose whole length is `file_size`. When the
 * header is longer than that: ENG_ERR_MORE, and the caller fetches more and asks again. */
EngPeek *eng_peek_bytes(const void *data, size_t size, uint64_t file_size, EngError *err);
void eng_peek_free(EngPeek *peek);

/* The beginning of a GGUF file, up to the end of its header or further; `file_size`: all of it. */
typedef struct {
    const void *data;
    size_t size;
    uint64_t file_size;
} EngHeader;

/* A model as numbers and shapes, from which a header can be written without there being a file. */
typedef struct {
    const char *key;  /* "deepseek2.block_count" */
    const char *text; /* its value, or NULL: */
    double number;
    bool whole; /* the number is an integer */
} EngMetaValue;

typedef struct {
    const char *name, *type; /* "blk.0.attn_q.weight", "Q4_K" */
    int n_dims;
    uint64_t shape[4]; /* innermost first */
} EngTensorShape;

/* Writes the header of a GGUF file (v3) that would hold these. *ret_header.data is malloc'ed:
 * free(). ENG_ERR_USAGE names a tensor of unknown type or of rows that its blocks do not divide. */
bool eng_header_write(const EngMetaValue *values, size_t n_values, const EngTensorShape *tensors,
                      size_t n_tensors, EngHeader *ret_header, EngError *err);

/* ---- models ---------------------------------------------------------------------------------- */

typedef struct EngModel EngModel;
typedef struct EngPlan EngPlan;

/* Where a chunk of a prompt meets experts that lie in DRAM, when a GPU computes what is around
 * them.
 */
typedef enum {
    ENG_STREAM_AUTO, /* where it is soonest done, by what this machine was measured to do */
    ENG_STREAM_CPU,
    ENG_STREAM_USED, /* on the GPU: the experts that the chunk uses are copied, when that is known
                      */
    ENG_STREAM_ALL,  /* on the GPU: all are copied, while the layers before compute */
    ENG_STREAMINGS
} EngStreaming;

const char *eng_streaming_name(EngStreaming streaming); /* "auto", "cpu", "used", "all" */
bool eng_streaming(const char *name, EngStreaming *ret_streaming); /* false: `name` is none */

typedef struct {
    int threads;     /* worker threads; 0 = one per physical core */
    int batch;       /* most tokens per prefill chunk, 1 … 16384; 0 = what suits the machine */
    bool vocab_only; /* tokenizer and template only: no weights bound, no sessions */
    /* Copies the matrices into huge pages of DRAM when the model is loaded, and lets go of what was
     * mapped. Always so where there are several NUMA nodes and room: each gets the rows that its
     * threads read. */
    bool copy;
    int nodes; /* for tests: as if memory were so many nodes; 0 = as the machine is */

    /* GPUs compute what a plan for these gives it (EngPlanSettings has them, too). With none of
     * `vram` and `rules` it is used when that is quicker and it has room; with either, opening
     * fails when what is asked for cannot be. Without a GPU, EngModelInfo says why. */
    bool no_gpu;
    int gpus;
    uint64_t vram;
    const char *rules;
    int context;  /* what sessions are expected to have: longer ones, and several at once, keep */
    EngKvType kv; /* what VRAM is not planned for in DRAM that the GPU reads, which is slower */
    EngStreaming streaming;

    /* These two change the model's mathematics, and so what it says; 0: as it was made. `experts`:
     * a token is sent to so few of them, of 1 … the model's own number. `defer`: of these, so many,
     * those of least weight, are computed beside the next layer's attention and added with its
     * experts, which the last layer's are not. ENG_ERR_USAGE where that cannot be. */
    int experts, defer;
} EngModelSettings;

EngModelSettings eng_model_defaults(void);

/* Maps the file (the first part of a split one), checks every count, offset, shape and type, and
 * binds the weights. Nothing of the weights is read yet, but all memory is taken: what does not fit
 * is refused here. `settings` NULL = defaults. */
EngModel *eng_model_open(const char *path, const EngModelSettings *settings, EngError *err);

/* The same over a whole GGUF file in memory, which must outlive the model. */
EngModel *eng_model_open_memory(const void *data, size_t size, const EngModelSettings *settings,
                                EngError *err);

/* Whether opening it in place of `gone` (NULL: of no model), which is then closed first, would
 * succeed: the same checks, and what settings ask of the GPU with what `gone` has there counted as
 * free. Takes no memory but for the vocabulary's; that there is enough for the CPU's buffers is not
 * checked. */
bool eng_model_check(const char *path, const EngModelSettings *settings, const EngModel *gone,
                     EngError *err);
bool eng_model_check_memory(const void *data, size_t size, const EngModelSettings *settings,
                            const EngModel *gone, EngError *err);

/* A model of random weights, as fast and as slow as the one whose headers these are (of all its
 * parts; copied) or whose file `path` is. At most `dram` bytes stand for all its weights. It must
 * be loaded before it computes: that fills them. */
EngModel *eng_model_rehearse(const EngHeader *headers, size_t n, uint64_t dram,
                             const EngModelSettings *settings, EngError *err);
EngModel *eng_model_rehearse_file(const char *path, uint64_t dram, const EngModelSettings *settings,
                                  EngError *err);

/* Brings the weights into memory, at most about 64 MiB per call; call until *ret_done == *ret_total
 * (bytes). Optional: an unloaded model works, its first tokens wait for the disk instead, and a
 * GPU's part is copied before the first. What lies in VRAM does not stay in DRAM. */
bool eng_model_load(EngModel *model, uint64_t *ret_done, uint64_t *ret_total, EngError *err);

void eng_model_free(EngModel *model);

typedef enum {
    ENG_GPU_NONE, /* there is none that can be used, or it is switched off */
    ENG_GPU_WORKS,
    ENG_GPU_SLOWER,  /* the CPU alone is quicker */
    ENG_GPU_NO_ROOM, /* not enough of its memory is free */
    ENG_GPU_FAILED   /* it should compute, and could not or cannot any more */
} EngGpuState;

typedef struct {
    char arch[64], name[128];
    int n_vocab, n_layers, n_embd, n_experts, n_experts_used;
    int context_trained;     /* tokens; 0 = not stated */
    uint64_t weight_bytes;   /* mapped */
    uint64_t stand_in_bytes; /* of a rehearsal: what is really there of weight_bytes; else 0 */
    uint64_t compute_bytes;  /* activation buffers */
    uint64_t kv_bytes_per_token[ENG_KV_TYPES];
    int threads;
    int batch;             /* most tokens per prefill chunk */
    int nodes;             /* NUMA nodes that the rows of its matrices are dealt out to */
    uint64_t copied_bytes; /* of weight_bytes: what is or will be copied into their memory */
    bool has_template;
    EngGpuState gpu_state;
    char gpu[96];         /* the GPU that computes, or "2 x NAME"; "" = none does */
    char gpu_reason[256]; /* why not, when gpu is ""; or how it failed: the CPU goes on then */
    /* Bytes of experts in DRAM that a prompt can send to the GPU, and of DRAM pinned for that when
     * the model was loaded. What is not is copied twice, which takes longer: pin_reason says why.
     */
    uint64_t guest_bytes, pinned_bytes;
    char pin_reason[160];
    uint64_t cache_bytes; /* of VRAM, for single experts: less than planned if it was not there */
} EngModelInfo;

EngModelInfo eng_model_info(const EngModel *model);

/* The plan that the model was opened by; NULL when all is on the CPU. Its rows tell what lies in
 * VRAM. Borrowed. */
const EngPlan *eng_model_plan(const EngModel *model);

/* ---- placement ------------------------------------------------------------------------------- */

typedef enum { ENG_PLACE_CPU, ENG_PLACE_GPU, ENG_PLACE_DISK } EngPlaceKind;

typedef struct {
    EngPlaceKind kind;
    int index; /* number of the GPU or the NUMA node; -1 = dealt out to all nodes */
} EngPlace;

/* What takes memory. UNUSED: layers of multi-token prediction, which are not run. */
typedef enum {
    ENG_PLAN_KV,
    ENG_PLAN_BUFFERS,
    ENG_PLAN_ATTENTION, /* with norms and routers */
    ENG_PLAN_SHARED,
    ENG_PLAN_DENSE,
    ENG_PLAN_HEAD, /* a token table that is the head too counts here */
    ENG_PLAN_EXPERTS,
    ENG_PLAN_CACHE, /* of single experts, which lie in DRAM as well */
    ENG_PLAN_TABLE,
    ENG_PLAN_UNUSED,
    ENG_PLAN_KINDS
} EngPlanKind;

const char *eng_plan_kind_name(EngPlanKind kind); /* "shared experts" */

/* What becomes of the VRAM that is left: a cache of single experts of the layers in DRAM, which the
 * GPU computes in decode while the CPU computes the others. LRU: of those that were missing, what
 * the bus can bring in meanwhile, for what was not used for longest. PINNED: what was used most in
 * the first 32 tokens. UNIFORM: the same number of every layer. Results are the same with each.
 * Predictions expect nothing of it. */
typedef enum { ENG_CACHE_LRU, ENG_CACHE_PINNED, ENG_CACHE_UNIFORM, ENG_CACHE_OFF } EngCachePolicy;

/* What the CPU's kernels reach one by one, in Gop/s. */
typedef struct {
    /* Weights of the format that is called so, with `tokens` tokens, 1 or more: of an expert those
     * that it meets on average. Asked anew for each matrix. */
    double (*product)(void *of, const char *type, double tokens);
    void *of;
    double attention; /* with the context */
} EngPlanKernels;

/* What a machine reaches, not its makers' peaks. In settings 0 = estimated: a GPU by its name. */
typedef struct {
    double dram_gb_s, cpu_gop_s; /* two operations per multiply-add */
    double vram_gb_s, gpu_gop_s;
    double pcie_gb_s, disk_gb_s;
    const EngPlanKernels *kernels; /* count in place of cpu_gop_s; NULL = not known */
} EngPlanSpeeds;

typedef struct {
    /* How many GPUs may be used, 1 … ENG_MAX_GPUS; 0 = one, or as many as rules name. Layers are
     * dealt out to them in order. */
    int gpus;
    uint64_t vram; /* bytes that each has, whether there is one or not; 0 = what is free here */
    uint64_t dram; /* 0 = what is free */
    int context;   /* tokens; 0 = min(trained context, 4096) */
    EngKvType kv;
    int batch;   /* tokens per prefill chunk; 0 = what suits the machine best */
    int nodes;   /* 0 = as the machine is */
    bool no_gpu; /* as if there were none */
    /* NULL = none. Lines of `<regex> device=gpuN|cpu|numaN|disk kernel=<name>`, of the two one or
     * both; # begins a comment. The first with device= whose regex (PCRE2) is found in a tensor's
     * name decides where it lies, the first with kernel= what multiplies it there: one of
     * eng_kernel_info for its format, or of a plug-in; one of the GPU asks that it lies there, any
     * other that it does not. A line `plugin=<file>`, up to its end, loads
     * one, for the lines below it (hearth_plugin.h): foreign code runs, so rules must be those that
     * a person gave. What such kernels do to the speed is not predicted. One
     * line may be experts=lru|pinned|uniform|off (lru): see EngCachePolicy. With such a line also
     * experts may be cached that are in DRAM by a rule; without one, those that no rule is about.
     */
    const char *rules;
    EngPlanSpeeds speeds;
    /* Tokens whose speed is predicted: of a prompt (0 = one that fills the context) and of an
     * answer, each behind `depth` others. With neither answer nor depth decode is the first's. */
    int prompt, answer, depth;
    int experts, defer;     /* see EngModelSettings */
    EngStreaming streaming; /* CPU: no room is kept for experts on their way; USED, ALL: it is */
} EngPlanSettings;

EngPlanSettings eng_plan_defaults(void);

typedef struct {
    EngPlanKind kind;
    EngPlace place;
    uint64_t bytes; /* never 0 */
} EngPlanRow;

struct EngPlan {
    char gpu[96]; /* its name, or "2 x NAME"; "" = none is used */
    int n_gpus;
    uint64_t gpu_vram[ENG_MAX_GPUS]; /* each one's budget; `vram` is their sum */
    bool assumed;        /* there is no such GPU here: the plan is for one as fast as `gpu` */
    char reason[160];    /* why no GPU is used, when gpu is "" */
    bool no_room;        /* because not enough of its memory is free */
    uint64_t vram, dram; /* budgets: rows and reserve stay within */
    uint64_t vram_reserve, dram_reserve; /* left alone of those */
    int nodes;
    int context, batch;
    EngKvType kv;
    bool streams; /* prompts can send experts in DRAM to the GPU: its buffers have room for them */
    size_t n_rows;
    EngPlanRow *rows;                         /* by kind, then GPU, DRAM, disk */
    int expert_layers, expert_layers_in_vram; /* of those whose experts no rule has placed */
    EngCachePolicy cache_policy;
    int cached_experts;
    double cache_hit_rate;                                       /* of these layers, by chance */
    double token_vram_bytes, token_dram_bytes, token_disk_bytes; /* read for a generated token */
    double token_products;                                       /* multiply-adds of it */
    int crossings;        /* of a token between CPU and GPU */
    int prompt;           /* tokens that prefill is predicted for */
    double expert_tokens; /* of a chunk of these, for each expert at work; 0: there are none */
    double decode_tok_s, prefill_tok_s;
    double load_s;                          /* from the disk to where everything lies */
    const char *decode_term, *prefill_term; /* what most of the time goes to: "DRAM reading" */
    EngPlanSpeeds speeds;                   /* that it counts with, but for kernels: NULL */
    size_t n_ops;
    EngPlace *ops;
    bool *caches;             /* [n_ops] whose single experts may be cached */
    bool *sends;              /* [n_ops] whose experts prompts may send, when `streams` */
    struct EngChoice *choice; /* what eng_plan_kernel tells */
};

/* Fills VRAM, then DRAM, by how much is read of what per byte that it takes: KV cache, buffers,
 * attention and shared experts, which a GPU must have room for; dense layers; the head; then the
 * experts of whole layers; with what is left, a cache of single ones. What DRAM cannot hold stays
 * on the disk. Works from headers alone. ENG_ERR_MEMORY, when even the least does not fit, says how
 * much that is; ENG_ERR_USAGE names the rule that cannot be followed. `settings` NULL = defaults.
 */
EngPlan *eng_plan(const EngHeader *headers, size_t n, const EngPlanSettings *settings,
                  EngError *err);
EngPlan *eng_plan_file(const char *path, const EngPlanSettings *settings, EngError *err);
/* For the model as if it were opened again here: what it holds of VRAM and DRAM counts as free. */
EngPlan *eng_plan_model(const EngModel *model, const EngPlanSettings *settings, EngError *err);
void eng_plan_free(EngPlan *plan);

/* The i-th kernel that rules have chosen, i = 0, 1, …, and for how many matrices, a layer's experts
 * counting as one; false when there are no more. */
bool eng_plan_kernel(const EngPlan *plan, int i, const char **ret_name, int *ret_matrices);

/* Where op number `op` of the graph computes. */
EngPlace eng_plan_device(const EngPlan *plan, size_t op);

/* ---- text ------------------------------------------------------------------------------------ */

typedef struct {
    bool add_bos;       /* put BOS first when the vocabulary asks for it */
    bool parse_special; /* text such as <|im_end|> becomes its control token */
} EngTokenizeOptions;

/* Whole text at once; *ret_tokens is malloc'ed (free()). Invalid UTF-8 is encoded byte by byte. */
bool eng_tokenize(const EngModel *model, const char *text, size_t len, EngTokenizeOptions options,
                  int32_t **ret_tokens, size_t *ret_n, EngError *err);

/* Control tokens are written as their text when `special`. Not NUL-free: use *ret_len. free(). */
bool eng_detokenize(const EngModel *model, const int32_t *tokens, size_t n, bool special,
                    char **ret_text, size_t *ret_len, EngError *err);

/* Renders the model's chat template. `request` is a JSON object with the template's variables
 * ("messages", "tools", "add_generation_prompt", …); bos_token, eos_token … come from the model
 * unless the request has them; `now` is ISO 8601 local time for strftime_now, NULL = the clock. */
bool eng_chat_render(const EngModel *model, const char *request, const char *now, char **ret_text,
                     EngError *err);

/* The same for a template of the caller's, with no model. A template that raises or fails:
 * ENG_ERR_REFUSED with exactly the template's message (cut at the end of `message` if longer;
 * *ret_text then carries it whole when ret_text is not NULL: the one exception to "untouched"). */
bool eng_chat_render_template(const char *tmpl, const char *request, const char *now,
                              char **ret_text, EngError *err);

/* ---- sessions -------------------------------------------------------------------------------- */

typedef struct EngSession EngSession;

typedef struct {
    int context; /* tokens of KV cache; 0 = min(trained context, 4096) */
    EngKvType kv;
} EngSessionSettings;

EngSessionSettings eng_session_defaults(void);

/* Allocates the KV cache: an error names its bytes. ENG_KV_Q8_0 is refused (ENG_ERR_USAGE) where
 * heads are not multiples of 32 numbers. The model must outlive the session. */
EngSession *eng_session_new(EngModel *model, const EngSessionSettings *settings, EngError *err);
void eng_session_free(EngSession *session);

/* Sampler chain, in this order: repetition / presence / frequency penalties, DRY, top-k, typical,
 * top-p, min-p, temperature, draw. A step at its neutral value is skipped. temperature <= 0 takes
 * the most probable token. Same seed and history, same text, at any thread count. */
typedef struct {
    float temperature;                         /* 0 = greedy */
    int top_k;                                 /* 0 = off */
    float top_p, min_p, typical_p;             /* 1, 0, 1 = off */
    float repeat_penalty;                      /* 1 = off */
    float presence_penalty, frequency_penalty; /* 0 = off */
    int penalty_last_n;                        /* tokens looked back at; -1 = whole context */
    float dry_multiplier;                      /* 0 = off */
    float dry_base;
    int dry_allowed_length, dry_last_n; /* -1 = whole context */
    uint64_t seed;                      /* ENG_SEED_RANDOM = a new one per prompt */
    int max_tokens;                     /* of the answer; 0 = as many as the context holds */
} EngSampling;

#define ENG_SEED_RANDOM UINT64_MAX

EngSampling eng_sampling_defaults(void);

/* Takes effect at the next prompt. Fails (ENG_ERR_USAGE) on a value out of range. */
bool eng_session_sampler(EngSession *session, const EngSampling *sampling, EngError *err);

typedef struct {
    const char *role;     /* "system", "user", "assistant", "tool" */
    const char *content;  /* may be NULL when `extra` carries it */
    const char *extra;    /* JSON object merged into the message (tool_calls, name, …), or NULL */
    const char *thinking; /* "reasoning_content" of an assistant's turn, or NULL; whether a past
                           * thought is shown to the model is the template's decision */
} EngMessage;

/* Starts an answer to the whole history. `variables` is a JSON object merged into the template's
 * variables (tools, enable_thinking, …), or NULL. Computes nothing yet. A model without a template
 * gets the plain "role: content" form. ENG_ERR_CONTEXT when the prompt leaves no room.
 *
 * A last message of the role "assistant" is not answered but gone on with, token by token: behind
 * its content or, when it has thinking and no content, inside the thought. When it is what this
 * session wrote last, it goes on exactly where it was left. The steps give what is new alone. */
bool eng_session_prompt(EngSession *session, const EngMessage *messages, size_t n,
                        const char *variables, EngError *err);

/* How fine the next steps are. `chunk`: most tokens of a prompt per step, 0 = the model's batch.
 * `stop`: while the integer there is not 0 (any thread may set it, atomically), a step in progress
 * leaves off in the middle of a prefill chunk: the chunk is not computed, the step says
 * ENG_PREFILL without progress, and the session can go on. NULL = none; must outlive the session or
 * be taken back. */
void eng_session_pace(EngSession *session, int chunk, const int *stop);

typedef enum { ENG_IDLE, ENG_PREFILL, ENG_TEXT, ENG_DONE } EngStepKind;
typedef enum { ENG_PART_ANSWER, ENG_PART_THINKING, ENG_PART_TOOL_CALL } EngPart;
typedef enum { ENG_STOP_END, ENG_STOP_LENGTH, ENG_STOP_CONTEXT } EngStopReason;

typedef struct {
    EngStepKind kind;     /* ENG_IDLE: nothing was asked of this session */
    int done, total;      /* ENG_PREFILL: tokens of the prompt in the cache, of all */
    bool unfinished;      /* ENG_PREFILL: and of a chunk that the next step goes on with, a part of
                           * its tokens that is as large as what of its work is done */
    EngPart part;         /* ENG_TEXT */
    const char *text;     /* ENG_TEXT: valid UTF-8, NUL-terminated, borrowed until the next call */
    size_t len;           /* ENG_TEXT: bytes; 0 while a character or a tag is incomplete */
    EngStopReason reason; /* ENG_DONE */
} EngStep;

/* One bounded piece of work for each of n sessions of one model: a prefill chunk (which may also
 * yield the first token's text at the next call), or one token. ret_steps has n entries. Of a chunk
 * that takes the CPU longer than about a second, a step of one session does a part; the next one
 * goes on with it, unless something else was computed meanwhile or the session was changed: then it
 * begins again.
 *
 * When the GPU fails (a driver's fault, sleep, memory), the step says the same without progress,
 * and the next ones compute on the CPU all that the sessions have said so far, then go on: nothing
 * is lost but time. EngModelInfo tells. Opened again, the model may use the GPU again. */
bool eng_step(EngSession *const *sessions, size_t n, EngStep *ret_steps, EngError *err);

/* Appends tokens to the timeline with no sampling. ret_logits is [n][n_vocab], or NULL. */
bool eng_session_eval(EngSession *session, const int32_t *tokens, size_t n, float *ret_logits,
                      EngError *err);

/* Logits of the last position computed, [n_vocab], borrowed until the next call; NULL if none. A
 * step whose sampling needs the largest alone fetches no others from a GPU: this then computes the
 * position again, as long as a step takes, and gives NULL when that fails. */
const float *eng_session_logits(const EngSession *session);

/* Puts n tokens with random numbers for their keys and values on the timeline, for measuring: how
 * long a step takes depends on how much the cache holds, not on what. Without it, measuring behind
 * a long context would mean reading one. ENG_ERR_CONTEXT when they do not fit. */
bool eng_session_pretend(EngSession *session, size_t n, EngError *err);

/* Forgets all but the first n tokens of the timeline. */
void eng_session_rewind(EngSession *session, size_t n);

typedef struct {
    int context, used;          /* tokens */
    int prompt_tokens;          /* of the last prompt */
    int reused_tokens;          /* of those, found in the cache */
    int tokens;                 /* generated since the last prompt */
    double prefill_s, decode_s; /* engine time since the last prompt */
    double first_token_s;       /* prompt call to first token */
    uint64_t kv_bytes;          /* of all layers; kv_vram_bytes: of those in VRAM */
    uint64_t kv_vram_bytes;
    int streamed[ENG_STREAMINGS]; /* tokens read since then, by where they met experts in DRAM */
    /* Experts of generated tokens that were found in VRAM's cache of them, and that were not; 0 and
     * 0: there is none. Of this session since its last prompt, and of all sessions of the model. */
    uint64_t expert_hits, expert_misses, model_expert_hits, model_expert_misses;
} EngStats;

EngStats eng_session_stats(const EngSession *session);

/* Ops of one kind whose matrices have the same shapes and formats, in all layers. What is too small
 * to be shared out to threads is counted with the op before it. */
typedef struct {
    char name[16];      /* "linear", "experts", "attention", … */
    char matrices[120]; /* "7168 x 18432 Q4_K, …": columns, rows; "" = it has none */
    int ops;            /* so many of them were timed */
    double seconds;     /* of the CPU's threads together, since they are timed */
    double bytes, multiply_adds; /* of their matrices, for one token */
    bool wanted; /* for tokens alone whose logits are wanted */
} EngOpTime;

/* Times ops of the CPU from now on, from zero; or no more. One does not know of them before. */
void eng_model_time_ops(EngModel *model, bool on);

/* Up to `most`, those that took longest first; returns how many. */
int eng_model_op_times(const EngModel *model, EngOpTime *ret, int most);

#endif
