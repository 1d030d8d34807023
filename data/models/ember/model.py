"""Ember's network: a small DeepSeek-V3 style Mixture of Experts in plain PyTorch.

Multi-head latent attention (MLA), one dense layer and then layers with routed experts plus one
shared expert, sigmoid gating with a selection bias that balances the load without a loss term
(DeepSeek-V3 report, section 2.1.2). test_parity.py proves it equal to `transformers`.

Shapes in comments: B rows, T tokens per row, S cached tokens, H heads, N = B*T.
"""
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Config:
    n_vocab: int = 6912
    n_layer: int = 4
    n_dense: int = 1            # leading layers without experts
    n_embd: int = 256
    n_head: int = 4
    q_lora: int = 256
    kv_lora: int = 128
    d_nope: int = 32            # per head: the part of query and key without position
    d_rope: int = 32            # per head: the part that is rotated; the key's is shared by heads
    d_v: int = 64
    ff_dense: int = 768
    ff_expert: int = 192
    n_expert: int = 16
    n_used: int = 4
    route_scale: float = 2.0
    rope_base: float = 10000.0
    eps: float = 1e-6
    n_ctx: int = 2048
    drop: float = 0.0           # dropout while training


class RMSNorm(nn.Module):
    def __init__(self, dim, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x):
        return F.rms_norm(x, (x.shape[-1],), self.weight, self.eps)


def rope_table(cfg):
    """cos and sin, each [n_ctx, d_rope/2]."""
    inv = cfg.rope_base ** (-torch.arange(0, cfg.d_rope, 2, dtype=torch.float64) / cfg.d_rope)
    angle = torch.arange(cfg.n_ctx, dtype=torch.float64)[:, None] * inv[None, :]
    return angle.cos().float(), angle.sin().float()


def rotate(x, cos, sin):
    """Rotates neighbouring pairs. x [B, T, H, d_rope]; cos, sin [B, T, 1, d_rope/2]."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


def linear(n_in, n_out):
    return nn.Linear(n_in, n_out, bias=False)


class Attention(nn.Module):
    """MLA in its expanded form: keys and values are unpacked from the latent before the dot."""

    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        self.q_a = linear(cfg.n_embd, cfg.q_lora)
        self.q_a_norm = RMSNorm(cfg.q_lora, cfg.eps)
        self.q_b = linear(cfg.q_lora, cfg.n_head * (cfg.d_nope + cfg.d_rope))
        self.kv_a = linear(cfg.n_embd, cfg.kv_lora + cfg.d_rope)
        self.kv_a_norm = RMSNorm(cfg.kv_lora, cfg.eps)
        self.kv_b = linear(cfg.kv_lora, cfg.n_head * (cfg.d_nope + cfg.d_v))
        self.out = linear(cfg.n_head * cfg.d_v, cfg.n_embd)

    def forward(self, x, cos, sin, mask, cache):
        cfg, (b, t, _) = self.cfg, x.shape
        q = self.q_b(self.q_a_norm(self.q_a(x))).view(b, t, cfg.n_head, -1)
        latent, k_pos = self.kv_a(x).split([cfg.kv_lora, cfg.d_rope], -1)
        kv = self.kv_b(self.kv_a_norm(latent)).view(b, t, cfg.n_head, -1)
        q = torch.cat((q[..., :cfg.d_nope], rotate(q[..., cfg.d_nope:], cos, sin)), -1)
        k_pos = rotate(k_pos[:, :, None, :], cos, sin).expand(-1, -1, cfg.n_head, -1)
        k = torch.cat((kv[..., :cfg.d_nope], k_pos), -1)
        v = kv[..., cfg.d_nope:]
        if cache is not None:
            if cache:
                k, v = torch.cat((cache[0], k), 1), torch.cat((cache[1], v), 1)
            cache[:] = [k, v]
        y = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2),
                                           attn_mask=mask)
        return self.out(y.transpose(1, 2).reshape(b, t, -1))


class SwiGLU(nn.Module):
    def __init__(self, n_embd, n_ff):
        super().__init__()
        self.gate_up = linear(n_embd, 2 * n_ff)
        self.down = linear(n_ff, n_embd)

    def forward(self, x):
        gate, up = self.gate_up(x).chunk(2, -1)
        return self.down(F.silu(gate) * up)


class MoE(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        self.router = nn.Parameter(torch.empty(cfg.n_expert, cfg.n_embd))
        self.gate_up = nn.Parameter(torch.empty(cfg.n_expert, 2 * cfg.ff_expert, cfg.n_embd))
        self.down = nn.Parameter(torch.empty(cfg.n_expert, cfg.n_embd, cfg.ff_expert))
        self.shared = SwiGLU(cfg.n_embd, cfg.ff_expert)
        self.register_buffer("bias", torch.zeros(cfg.n_expert))     # selection only
        self.register_buffer("load", torch.zeros(cfg.n_expert), persistent=False)

    def forward(self, x):
        cfg, shape = self.cfg, x.shape
        x = x.reshape(-1, cfg.n_embd)
        with torch.autocast(x.device.type, enabled=False):
            score = torch.sigmoid(x.float() @ self.router.t())          # [N, E]
        chosen = (score.detach() + self.bias).topk(cfg.n_used, -1).indices
        weight = score.gather(1, chosen)
        weight = weight / (weight.sum(-1, keepdim=True) + 1e-20) * cfg.route_scale

        if x.is_cuda:
            return self.everywhere(x, chosen, weight).view(shape)
        # Group the (token, expert) pairs by expert so that each expert is two matrix products.
        order = chosen.flatten().argsort(stable=True)
        count = torch.bincount(chosen.flatten(), minlength=cfg.n_expert)
        if self.training:
            self.load += count
        token = order // cfg.n_used
        parts = []
        # unbind, not [e]: the gradient of an index is as large as the whole tensor, for each expert.
        for rows, gate_up, down in zip(x[token].split(count.tolist()), self.gate_up.unbind(), self.down.unbind()):
            gate, up = (rows @ gate_up.t()).chunk(2, -1)
            parts.append((F.silu(gate) * up) @ down.t())
        y = torch.cat(parts) * weight.flatten()[order, None]
        return (self.shared(x).index_add(0, token, y)).view(shape)

    def everywhere(self, x, chosen, weight):
        """The same, computing every expert for every token: more work in fewer, larger steps."""
        cfg = self.cfg
        if self.training:
            self.load += F.one_hot(chosen.flatten(), cfg.n_expert).sum(0)
        share = torch.zeros(len(x), cfg.n_expert, dtype=weight.dtype, device=x.device).scatter(1, chosen, weight)
        gate, up = (x @ self.gate_up.flatten(0, 1).t()).view(-1, cfg.n_expert, 2 * cfg.ff_expert).chunk(2, -1)
        y = (F.silu(gate) * up * share[..., None].to(gate.dtype)).flatten(1)
        return self.shared(x) + y @ self.down.transpose(1, 2).flatten(0, 1)

    @torch.no_grad()
    def balance(self, speed):
        """Nudges the selection bias towards equal load; call once per optimizer step."""
        self.bias += speed * torch.sign(self.load.mean() - self.load)
        self.load.zero_()


class Block(nn.Module):
    def __init__(self, cfg, dense):
        super().__init__()
        self.attn_norm = RMSNorm(cfg.n_embd, cfg.eps)
        self.attn = Attention(cfg)
        self.ffn_norm = RMSNorm(cfg.n_embd, cfg.eps)
        self.ffn = SwiGLU(cfg.n_embd, cfg.ff_dense) if dense else MoE(cfg)
        self.drop = nn.Dropout(cfg.drop)

    def forward(self, x, cos, sin, mask, cache):
        x = x + self.drop(self.attn(self.attn_norm(x), cos, sin, mask, cache))
        return x + self.drop(self.ffn(self.ffn_norm(x)))


class Ember(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        self.embed = nn.Embedding(cfg.n_vocab, cfg.n_embd)
        self.drop = nn.Dropout(cfg.drop)
        self.blocks = nn.ModuleList(Block(cfg, i < cfg.n_dense) for i in range(cfg.n_layer))
        self.norm = RMSNorm(cfg.n_embd, cfg.eps)
        self.head = linear(cfg.n_embd, cfg.n_vocab)
        cos, sin = rope_table(cfg)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        for name, p in self.named_parameters():
            if p.dim() > 1:
                std = 0.02
                if name.endswith(("out.weight", "down", "down.weight")):
                    std /= (2 * cfg.n_layer) ** 0.5
                nn.init.normal_(p, std=std)

    def hidden(self, tokens, pos, mask, cache=None, states=None):
        """tokens, pos [B, T]; mask [B, 1, T, S] bool, true where attention is allowed. `states`, a
        list, gets what goes into each block."""
        cos, sin = self.cos[pos][:, :, None], self.sin[pos][:, :, None]
        x = self.drop(self.embed(tokens))
        for i, block in enumerate(self.blocks):
            if states is not None:
                states.append(x)
            x = block(x, cos, sin, mask, None if cache is None else cache[i])
        return self.norm(x)

    def forward(self, tokens):
        """Logits [B, T, V] of plain causal rows that start at position 0."""
        b, t = tokens.shape
        pos = torch.arange(t, device=tokens.device).expand(b, t)
        mask = torch.ones(t, t, dtype=torch.bool, device=tokens.device).tril()[None, None]
        return self.head(self.hidden(tokens, pos, mask))

    @torch.no_grad()
    def greedy(self, prompts, n_max, stop):
        """The most likely continuation of each token list; ends before `stop` or at n_max."""
        self.eval()
        width, on = max(map(len, prompts)), {"device": self.cos.device}
        tokens = torch.tensor([[stop] * (width - len(p)) + p for p in prompts], **on)   # padded left
        start = torch.tensor([[width - len(p)] for p in prompts], **on)
        column = torch.arange(width, **on)[None]
        real = column >= start                                                     # [B, S]
        pos = (column - start).clamp(min=0)
        causal = torch.ones(width, width, dtype=torch.bool, **on).tril()[None, None]
        mask = causal & real[:, None, None, :] | torch.eye(width, dtype=torch.bool, **on)[None, None]
        cache = [[] for _ in self.blocks]
        out, done = [[] for _ in prompts], torch.zeros(len(prompts), dtype=torch.bool, **on)
        for _ in range(n_max):
            last = self.hidden(tokens, pos, mask, cache)[:, -1]
            best = self.head(last).argmax(-1)
            done |= best == stop
            for i, (token, end) in enumerate(zip(best.tolist(), done.tolist())):
                if not end:
                    out[i].append(token)
            if done.all():
                break
            tokens, pos = best[:, None], pos[:, -1:] + 1
            real = torch.cat((real, torch.ones(len(prompts), 1, dtype=torch.bool, **on)), 1)
            mask = real[:, None, None, :]
        return out

    def n_params(self, active=False):
        """All weights, or those that are computed for one token: one row of the embeddings."""
        total = sum(p.numel() for p in self.parameters())
        if active:
            cfg = self.cfg
            total -= (cfg.n_vocab - 1) * cfg.n_embd
            idle = cfg.n_expert - cfg.n_used
            total -= (cfg.n_layer - cfg.n_dense) * idle * 3 * cfg.n_embd * cfg.ff_expert
        return total
