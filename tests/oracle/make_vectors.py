"""Makes the oracle vectors: tiny random models as GGUF, with the logits that `transformers` gives.

    pip install -r tests/requirements-oracle.txt
    python tests/oracle/make_vectors.py [--only GROUP]     (a minute; writes vectors/)
    python tests/oracle/make_dequant.py

`make check` needs none of this: it reads the committed files. Everything is seeded; another
version of torch may move the last bits of the logits (float32 against float64 is asserted to
agree within 2e-5 here, so the 1e-4 of the test has room).

vectors/index.txt lists the cases; its first lines document the fields.

What the reference computes (transformers 5.23, compared by hand with the modelling code that
DeepSeek published; both agree unless noted):

 RMSNorm      x * rsqrt(mean(x^2) + eps) * w. In deepseek2 the norms inside attention (q_a, kv_a)
              have eps 1e-6 whatever the model's rms_norm_eps; GGUF holds one eps, so the cases
              use 1e-6 there.
 MLA          q = q_b(norm(q_a(x))) or q_proj(x); per head [nope | rope]. kv_a(x) = [latent |
              k_rope]; latent is normed, k_rope is not, and one k_rope serves all heads.
              kv_b(latent) per head = [k_nope | v]. Rotation of neighbours (x[2i], x[2i+1]).
 scale        softmax(q.k * (nope+rope)^-0.5 * m^2), m = 1 + 0.1*mscale_all_dim*ln(factor) when
              the rope type is yarn and mscale_all_dim is set and not 0, else m = 1.
 YaRN         f_i = theta^(-2i/d), i < d/2. c(r) = d*ln(original/(2 pi r)) / (2 ln theta).
              low = max(floor(c(beta_fast)), 0), high = min(ceil(c(beta_slow)), d-1), beta 32 and 1
              by default; ramp_i = clamp((i-low)/(high-low), 0, 1), high += 0.001 if equal.
              frequency = f_i*(1-ramp_i) + f_i/factor*ramp_i, at every position. cos and sin
              times a: g(mscale)/g(mscale_all_dim) when both are set and not 0, else g(1), where
              g(s) = 1 + 0.1*s*ln(factor). DeepSeek: both equal, so a = 1 and only the softmax
              scale changes. Without the log multiplier (case v2_yarn_nomul): a = g(1), m = 1.
              Qwen: a = g(1), m = 1. d is the rotated size (qk_rope_head_dim, else head_dim).
 V3 gating    s = sigmoid(router x), c = s + bias. Group score: sum of the two largest c of the
              group; topk_group groups stay, experts outside them become -inf (an early
              transformers and DeepSeek's first release wrote 0 there, which lets an outside
              expert win over an inside one with negative c; DeepSeek's inference code and
              transformers 5 use -inf: followed here, with biases that make the difference).
              top-k by c; weights are s (without bias), divided by (sum + 1e-20) when
              norm_topk_prob, then times routed_scaling_factor.
 V2 gating    s = softmax over all experts. "greedy": top-k. "group_limited_greedy": group score
              = max of the group; others become 0; top-k. Weights are s times
              routed_scaling_factor and are never normalised: transformers has no such branch,
              and DeepSeek's code, where norm_topk_prob would replace the scaling, ships with it
              off.
 MoE output   sum of weight_e * down_e(silu(gate_e x) * up_e x) + shared(x), shared unweighted.
 Absent keys  expert_group_count: 256 experts -> 8 groups, 4 used; 160 -> 8, 3; else 1, 1.
              expert_gating_func: softmax. (GGUF files of V2 and V3 often lack the group keys.)
 qwen3moe     softmax over all, top-k, weights / their sum (no epsilon), RMSNorm of each head of
              q and k before rotation, rotation of halves. Mixtral: the same gating.
 linear rope  position / factor. llama3 rope: see gguf_models.rope_freqs.
"""

import argparse
import math
from importlib.metadata import version
from pathlib import Path

import gguf
import numpy as np
import torch
import torch.nn.functional as F
import transformers
from gguf import GGMLQuantizationType as QT

import gguf_models
from cases import GROUPS

VECTORS = Path(__file__).parent / "vectors"
STORED_SHORT, STORED_LONG = 8, 4  # logits are kept for the last positions of a prompt only
PROMPTS = ((1, 0), (7, 0), (40, 0), (30, 19))  # (length, tokens fed first or 0)

INDEX_HEAD = """\
# Oracle cases. One record a line, fields separated by single spaces.
# case NAME FAMILY GGUF LOGITS N_VOCAB BOUND
#   GGUF: the (first) model file. LOGITS: raw little-endian float32. BOUND: largest allowed
#   relative error of a position, ||got - want||_2 / ||want||_2.
# prompt NAME SPLIT FIRST OFFSET COUNT TOKEN...
#   COUNT tokens; SPLIT > 0: feed SPLIT tokens, then the rest as a continuation. The logits of
#   positions FIRST..COUNT-1 lie at byte OFFSET of LOGITS, N_VOCAB each.
# differs NAME OTHER MARGIN
#   Same weights and prompts, one mechanism changed: some position of some prompt has a relative
#   difference above MARGIN between the two expectations.
"""


def init_weights(model, seed, gain):
    """Larger than a training start would be: attention must look somewhere, experts differ."""
    generator = torch.Generator().manual_seed(seed)

    def normal(tensor, std):
        tensor.copy_(torch.randn(tensor.shape, generator=generator) * std)

    def uniform(tensor, low, high):
        tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)

    for name, tensor in list(model.named_parameters()) + list(model.named_buffers()):
        tensor = tensor.data
        if "inv_freq" in name:
            continue
        if "norm" in name:
            uniform(tensor, 0.7, 1.4)
        elif "e_score_correction_bias" in name:
            uniform(tensor, -1.5, 0.1)
        elif "embed_tokens" in name:
            normal(tensor, 1.0)
        elif ".gate.weight" in name:
            normal(tensor, gain.get("router", 2.0) / math.sqrt(tensor.shape[-1]))
        elif "experts" in name:
            normal(tensor, gain.get("experts", 1.0) / math.sqrt(tensor.shape[-1]))
        elif "q_" in name or "k_" in name or "kv_" in name:
            normal(tensor, gain.get("attention", 1.5) / math.sqrt(tensor.shape[-1]))
        else:
            normal(tensor, 1.0 / math.sqrt(tensor.shape[-1]))


def build(group, variant):
    settings = {**group["config"], **variant.get("config", {})}
    config = getattr(transformers, group["model"] + "Config")(**settings)
    config._attn_implementation = "eager"
    config._experts_implementation = "eager"
    with torch.no_grad():
        model = getattr(transformers, group["model"] + "ForCausalLM")(config).eval()
        init_weights(model, group["seed"], group.get("gain", {}))
        if variant.get("zero_bias"):
            for name, buffer in model.named_buffers():
                if "e_score_correction_bias" in name:
                    buffer.zero_()
    return model


def routers(model):
    return [layer.mlp.gate for layer in model.model.layers if hasattr(layer.mlp, "experts")]


def run(model, tokens):
    """Logits [batch, n, vocab] and, per MoE layer, the router's logits [batch, n, experts]."""
    seen = []
    hooks = [r.register_forward_hook(lambda _m, _i, out: seen.append(out[0]))
             for r in routers(model)]
    with torch.no_grad():
        logits = model(torch.as_tensor(tokens), use_cache=False).logits
    for hook in hooks:
        hook.remove()
    return logits, [s.view(len(tokens), -1, s.shape[-1]) for s in seen]


def choice_scores(router, logits):
    """What the top-k compares, ungrouped; softmax is monotone, so there the logits serve."""
    bias = getattr(router, "e_score_correction_bias", None)
    return logits if bias is None else logits.sigmoid() + bias


def gap(values, k):
    """Between the k-th largest and the next; infinite when all are chosen."""
    if k >= values.shape[-1]:
        return torch.full(values.shape[:-1], math.inf, dtype=values.dtype)
    ordered = values.sort(dim=-1, descending=True).values
    return ordered[..., k - 1] - ordered[..., k]


def routing_margin(router, logits):
    """How far the nearest other choice of groups or experts is: another rounding must not flip
    it. A tie broken differently is not an error of the engine."""
    scores = choice_scores(router, logits)
    groups, used = getattr(router, "num_group", None), getattr(router, "topk_group", None)
    if not groups or getattr(router, "topk_method", "") == "greedy":
        return gap(scores, router.top_k)
    grouped = scores.unflatten(-1, (groups, -1))
    v3 = hasattr(router, "e_score_correction_bias")
    rank = grouped.topk(2, dim=-1).values.sum(-1) if v3 else grouped.max(-1).values
    chosen = torch.zeros_like(rank, dtype=torch.bool)
    chosen.scatter_(-1, rank.topk(used, dim=-1).indices, True)
    inside = grouped.masked_fill(~chosen.unsqueeze(-1), -1e9).flatten(-2)
    return torch.minimum(gap(rank, used), gap(inside, router.top_k))


def zero_mask_differs(model, prompts, want):
    """Stored positions at which masking with 0 in place of -inf would choose other experts."""
    count = 0
    for (tokens, _), stored in zip(prompts, want):
        for router, logits in zip(routers(model), run(model, [tokens])[1]):
            scores = choice_scores(router, logits[:, -len(stored):])
            grouped = scores.unflatten(-1, (router.num_group, -1))
            rank = grouped.topk(2, dim=-1).values.sum(-1)
            chosen = torch.zeros_like(rank, dtype=torch.bool)
            chosen.scatter_(-1, rank.topk(router.topk_group, dim=-1).indices, True)
            picks = [grouped.masked_fill(~chosen.unsqueeze(-1), fill).flatten(-2)
                     .topk(router.top_k, dim=-1).indices.sort(-1).values
                     for fill in (-math.inf, 0.0)]
            count += int((picks[0] != picks[1]).any(-1).sum())
    return count


def choose_prompts(models, rng, margin):
    """Random tokens, redrawn one by one until no variant routes them near a tie."""
    vocab = models[0].config.vocab_size
    prompts = []
    for length, split in PROMPTS:
        tokens = []
        while len(tokens) < length:
            candidates = rng.permutation(np.arange(2, vocab))[:24]
            good = np.ones(len(candidates), bool)
            batch = [tokens + [int(c)] for c in candidates]
            for model in models:
                for router, logits in zip(routers(model), run(model, batch)[1]):
                    good &= (routing_margin(router, logits[:, -1]) > margin).numpy()
            if good.any():
                tokens.append(int(candidates[good.argmax()]))
            elif tokens:
                tokens.pop()
        prompts.append((tokens, split))
    return prompts


def relative(a, b):
    """The largest error of a position, ||a-b|| / ||b||."""
    return float((np.linalg.norm(a - b, axis=-1) / np.linalg.norm(b, axis=-1)).max())


def expected(model, prompts):
    """float32 logits of the stored positions; float64 must agree, else the case is no oracle."""
    out = []
    for tokens, _ in prompts:
        logits = run(model, [tokens])[0][0].numpy()
        keep = STORED_SHORT if len(tokens) <= STORED_SHORT else STORED_LONG
        out.append(logits[-keep:])
        assert np.isfinite(logits).all()
    model.double()
    for (tokens, _), logits in zip(prompts, out):
        exact = run(model, [tokens])[0][0].numpy()[-len(logits):]
        assert relative(logits, exact) < 2e-5, relative(logits, exact)
    model.float()
    return out


def round_activations(x, kind):
    """What a quantized matrix product may do to its activations: int8 by blocks, or a half."""
    if kind in ("f16", "bf16"):
        return x.to({"f16": torch.float16, "bf16": torch.bfloat16}[kind]).float()
    block = int(kind) if x.shape[-1] % int(kind) == 0 else 32
    if x.shape[-1] % block:
        return x
    parts = x.unflatten(-1, (-1, block))
    step = parts.abs().amax(-1, keepdim=True) / 127
    return (torch.round(parts / step.clamp_min(1e-30)) * step).flatten(-2)


def activation_bound(model, prompts, want, kind):
    """2.5 times the error of the reference itself with rounded activations, to two digits."""
    kept = {r.weight.data_ptr() for r in routers(model)}
    linear = F.linear

    def rounded(x, weight, bias=None):
        return linear(x if weight.data_ptr() in kept else round_activations(x, kind), weight, bias)

    F.linear = torch.nn.functional.linear = rounded
    try:
        got = [run(model, [tokens])[0][0].numpy()[-len(w):] for (tokens, _), w in
               zip(prompts, want)]
    finally:
        F.linear = torch.nn.functional.linear = linear
    return float(f"{2.5 * max(relative(g, w) for g, w in zip(got, want)):.2g}")


def write_case(group, variant, model, encoded, prompts, want, bound):
    name = variant["name"]
    path = VECTORS / f"{name}.gguf"
    shards = variant.get("shards", 0)
    gguf_models.write(path, name, model, group["arch"], encoded,
                      split_kv=variant.get("split_kv", False), omit=variant.get("omit", ()),
                      split_max_tensors=-(-len(encoded) // shards) if shards else 0)
    if shards:
        path = VECTORS / f"{name}-00001-of-{shards:05d}.gguf"
    if variant.get("version"):
        data = bytearray(path.read_bytes())
        data[4:8] = variant["version"].to_bytes(4, "little")
        path.write_bytes(data)
    for part in sorted(VECTORS.glob(f"{name}-*.gguf")) if shards else [path]:
        reader = gguf.GGUFReader(part)
        assert reader.tensors
    lines = [f"case {name} {group['arch']} {path.name} {name}.logits "
             f"{model.config.vocab_size} {bound:g}"]
    blob = b""
    for (tokens, split), logits in zip(prompts, want):
        lines.append(f"prompt {name} {split} {len(tokens) - len(logits)} {len(blob)} "
                     f"{len(tokens)} " + " ".join(map(str, tokens)))
        blob += np.ascontiguousarray(logits, dtype="<f4").tobytes()
    (VECTORS / f"{name}.logits").write_bytes(blob)
    return lines


def make_group(title, group):
    """All variants share weights (before quantization) and prompts."""
    variants = group["variants"]
    models, files = [], []
    for variant in variants:
        model = build(group, variant)
        type_of = variant.get("types", lambda _name: QT.F32)
        layout = {k: variant[k] for k in ("split_kv", "per_expert_names") if k in variant}
        with torch.no_grad():
            files.append(gguf_models.encode(model, group["arch"], type_of, **layout))
        models.append(model)
    rng = np.random.default_rng(group["seed"])
    prompts = choose_prompts(models, rng, group.get("margin", 2e-3))
    wants, lines = {}, []
    for variant, model, encoded in zip(variants, models, files):
        name = variant["name"]
        want = wants[name] = expected(model, prompts)
        bound = 1e-4
        if "activations" in variant:
            bound = activation_bound(model, prompts, want, variant["activations"])
        lines += write_case(group, variant, model, encoded, prompts, want, bound)
        note = ""
        if "differs" in variant:
            other = variant["differs"]
            distance = max(relative(a, b) for a, b in zip(want, wants[other]))
            assert distance > 2 * group.get("difference", 0.05), (name, other, distance)
            lines.append(f"differs {name} {other} {distance / 2:.2g}")
            note = f", {distance:.3f} from {other}"
        if variant.get("same_as"):
            same = max(relative(a, b) for a, b in zip(want, wants[variant["same_as"]]))
            assert same == 0, (name, same)
        if variant.get("zero_mask"):
            count = zero_mask_differs(model, prompts, want)
            assert count > 3, count
            note += f", {count} choices need the -inf mask"
        size = sum(p.stat().st_size for p in VECTORS.glob(f"{name}[.-]*gguf"))
        print(f"{title}: {name} {size / 1000:.0f} kB, bound {bound:g}{note}", flush=True)
    return lines


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", help="this group alone, index not written (for experiments)")
    only = parser.parse_args().only
    torch.set_num_threads(1)
    VECTORS.mkdir(exist_ok=True)
    if only:
        make_group(only, GROUPS[only])
        return
    for old in [*VECTORS.glob("*.gguf"), *VECTORS.glob("*.logits")]:
        old.unlink()
    lines = [INDEX_HEAD.rstrip("\n"),
             f"# torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}, "
             f"gguf {version('gguf')}"]
    for title, group in GROUPS.items():
        lines += make_group(title, group)
    (VECTORS / "index.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
