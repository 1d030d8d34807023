/* Which neighbouring ops few tokens get done in one launch: there a launch costs as much as what
 * it does. Decided once, from the graph; all of it is done where the last of the ops stands, when
 * whatever the ops before it wait for has come.
 *
 *   NORM or ATTN and a product   the first leaves its result as bytes, too
 *   LINEAR of gate and up, GLU   a row of both at once, of one token; the CPU, too, then hears
 *                                of the router, whose LINEAR it is, before
 *   NORM and ROPE of heads       in one walk over them */
#include "cuda/gpu_ops.h"

#include "base/num.h"

typedef struct {
    EngGpu *g;
    const bool *on_device;
    int n;
} Fuser;

static const EngOp *op_at(const Fuser *f, int i) { return &f->g->graph->ops.data[i]; }

bool eng_gpu_same_view(EngView a, EngView b)
{
    return a.buf == b.buf && a.at == b.at && a.heads == b.heads && a.n == b.n &&
           (a.heads == 1 || a.stride == b.stride);
}

/* Whether their numbers are packed alike: in order, and the same ones. */
bool eng_gpu_same_numbers(EngView a, EngView b)
{
    return a.buf == b.buf && a.at == b.at && a.heads * a.n == b.heads * b.n &&
           (a.heads == 1 || a.stride == a.n) && (b.heads == 1 || b.stride == b.n);
}

static bool touches(EngView a, EngView b)
{
    int a_end = a.at + (a.heads - 1) * a.stride + a.n,
        b_end = b.at + (b.heads - 1) * b.stride + b.n;
    return a.buf == b.buf && a.at < b_end && b.at < a_end;
}

static bool names(const EngView *views, int n, int buf)
{
    for (int i = 0; i < n; i++)
        if (views[i].buf == buf) return true;
    return false;
}

static bool writes(const Fuser *f, int op, int buf)
{
    EngUses u = eng_op_uses(op_at(f, op));
    return names(u.writes, u.n_writes, buf);
}

static bool reads(const Fuser *f, int op, int buf)
{
    EngUses u = eng_op_uses(op_at(f, op));
    return names(u.reads, u.n_reads, buf) || u.adds == buf;
}

/* ---- results left as bytes ------------------------------------------------------------------ */

static bool wants_bytes(const EngOp *op, EngView x)
{
    const EngWeight *w[ENG_LINEAR_MAX];
    bool is_product =
        op->kind == ENG_OP_LINEAR || op->kind == ENG_OP_HEADS || op->kind == ENG_OP_EXPERTS;
    int n = is_product && eng_gpu_same_numbers(op->src, x) ? eng_op_weights(op, w) : 0;
    for (int i = 0; i < n; i++)
        if (eng_cuda_act_of(w[i]->type) == ENG_CU_quantize) return true;
    return false;
}

static bool leaves_bytes(const Fuser *f, int i)
{
    EngView x = op_at(f, i)->dst;
    EngOpKind kind = op_at(f, i)->kind;
    bool can = (kind == ENG_OP_NORM && x.heads == 1) || kind == ENG_OP_ATTN;
    if (!can || !f->on_device[i] || x.n % 32 != 0) return false;
    for (int j = i + 1; j < f->n; j++) {
        if (f->on_device[j] && wants_bytes(op_at(f, j), x)) return true;
        if (writes(f, j, x.buf)) return false;
    }
    return false;
}

/* ---- gates ----------------------------------------------------------------------------------- */

/* Whether nobody reads `buf` from op i on before it is written anew. */
static bool is_done_with(const Fuser *f, int i, int buf)
{
    for (; i < f->n; i++) {
        if (reads(f, i, buf)) return false;
        if (writes(f, i, buf)) return true;
    }
    return true;
}

/* Whether nothing between the two has to do with gate and up, or changes what they come from. */
static bool is_quiet(const Fuser *f, int from, int to, const EngOp *linear, const EngOp *glu)
{
    for (int i = from + 1; i < to; i++) {
        int bufs[] = {glu->src.buf, glu->glu.up.buf, glu->dst.buf};
        for (int j = 0; j < 3; j++)
            if (reads(f, i, bufs[j]) || writes(f, i, bufs[j])) return false;
        if (writes(f, i, linear->src.buf) || op_at(f, i)->kind == ENG_OP_SELECT) return false;
    }
    return true;
}

/* The first of the two matrices of a LINEAR that are a GLU's gate and up; -1. */
static int gate_of(const EngOp *linear, const EngOp *glu)
{
    const EngOpLinear *p = &linear->linear;
    for (int k = 0; k + 1 < p->n && !p->add; k++) {
        bool alike = p->w[k].type == p->w[k + 1].type && p->w[k].rows == p->w[k + 1].rows &&
                     !p->bias[k] && !p->bias[k + 1];
        if (alike && eng_gpu_same_view(eng_view_flat(p->dst[k]), eng_view_flat(glu->src)) &&
            eng_gpu_same_view(eng_view_flat(p->dst[k + 1]), eng_view_flat(glu->glu.up)))
            return k;
    }
    return -1;
}

static void fuse_gate(Fuser *f, int glu)
{
    const EngOp *op = op_at(f, glu);
    for (int i = glu - 1; i >= 0; i--) {
        const EngOp *linear = op_at(f, i);
        int gate = linear->kind == ENG_OP_LINEAR && f->on_device[i] ? gate_of(linear, op) : -1;
        if (gate < 0 && (writes(f, i, op->src.buf) || writes(f, i, op->glu.up.buf))) return;
        if (gate < 0) continue;
        bool done = (op->src.buf == op->dst.buf || is_done_with(f, glu + 1, op->src.buf)) &&
                    (op->glu.up.buf == op->dst.buf || is_done_with(f, glu + 1, op->glu.up.buf));
        if (!done || !is_quiet(f, i, glu, linear, op)) return;
        f->g->ops[i].gate = gate;
        f->g->ops[glu].gates = i;
        return;
    }
}

/* ---- turns ----------------------------------------------------------------------------------- */

enum { TURN_MOST = 1024 }; /* numbers of a group, which a warp walks over */

static bool may_turn(const Fuser *f, int i)
{
    const EngOp *op = op_at(f, i);
    bool turns = op->kind == ENG_OP_ROPE || (op->kind == ENG_OP_NORM && !f->g->ops[i].leaves_bytes);
    return f->on_device[i] && turns && op->src.n <= TURN_MOST;
}

/* The job that the op goes on with; -1: it is one of its own; -2: it reads what a job writes in
 * another way, or the reverse. */
static int job_of(const EngGpuTurn *t, const EngOp *op)
{
    for (int k = 0; k < t->n_jobs; k++) {
        const EngGpuTurnJob *job = &t->jobs[k];
        if (op->kind == ENG_OP_ROPE && !job->rope && eng_gpu_same_view(op->src, op->dst) &&
            eng_gpu_same_view(op->src, job->dst))
            return k;
        if (touches(op->src, job->dst) || touches(op->dst, job->dst) || touches(op->dst, job->src))
            return -2;
    }
    return -1;
}

static bool add_job(EngGpuTurn *t, const EngOp *op)
{
    int k = job_of(t, op);
    if (k == -2 || (k == -1 && t->n_jobs == ENG_CU_TURN_JOBS)) return false;
    if (op->kind == ENG_OP_ROPE) {
        if (t->table && !eng_gpu_same_view(t->table->rope.table, op->rope.table)) return false;
        t->table = op;
    }
    if (k == -1) {
        k = t->n_jobs++;
        t->jobs[k] = (EngGpuTurnJob){.src = op->src, .dst = op->dst};
    }
    if (op->kind == ENG_OP_ROPE)
        t->jobs[k].rope = op;
    else
        t->jobs[k].norm = (int)(op - t->ops);
    return true;
}

/* Ops i … as far as they go together; returns the one behind. */
static int fuse_turns(Fuser *f, int i)
{
    EngGpuTurn t = {.ops = f->g->graph->ops.data};
    int end = i;
    while (end < f->n && may_turn(f, end) && add_job(&t, op_at(f, end))) end++;
    if (end - i < 2) return ENG_MAX(end, i + 1);
    for (int j = i; j < end - 1; j++) f->g->ops[j].is_left = true;
    eng_vec_push(&f->g->turns, t);
    f->g->ops[end - 1].turn = (int)f->g->turns.n - 1;
    return end;
}

/* ---- all of it ------------------------------------------------------------------------------- */

void eng_gpu_fuse(EngGpu *g, const bool *on_device)
{
    Fuser f = {g, on_device, (int)g->graph->ops.n};
    for (int i = 0; i < f.n; i++) {
        g->ops[i].gate = g->ops[i].gates = g->ops[i].turn = -1;
        g->ops[i].leaves_bytes = leaves_bytes(&f, i);
    }
    for (int i = 0; i < f.n; i++)
        if (op_at(&f, i)->kind == ENG_OP_GLU && on_device[i]) fuse_gate(&f, i);
    for (int i = 0; i < f.n;) i = may_turn(&f, i) ? fuse_turns(&f, i) : i + 1;
}
