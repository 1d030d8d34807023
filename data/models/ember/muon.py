"""Muon (Jordan and others, 2024): momentum whose matrices are made orthogonal before the step."""
import torch


def orthogonal(g, steps=5):
    """Newton-Schulz iteration on [B, rows, cols]: near the closest matrix with all singular values 1."""
    a, b, c = 3.4445, -4.7750, 2.0315
    flip = g.shape[-2] > g.shape[-1]
    x = g.transpose(1, 2) if flip else g
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        m = x @ x.transpose(1, 2)
        x = a * x + (b * m + c * m @ m) @ x
    return x.transpose(1, 2) if flip else x


class Muon(torch.optim.Optimizer):
    """For hidden matrices, alone or stacked. Those of one shape are worked on together."""

    def __init__(self, params, lr, momentum=0.95, weight_decay=0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            shapes = {}
            for p in group["params"]:
                shapes.setdefault(p.shape[-2:], []).append(p)
            for (rows, cols), params in shapes.items():
                updates = []
                for p in params:
                    average = self.state[p].setdefault("average", torch.zeros_like(p))
                    average.lerp_(p.grad, 1 - group["momentum"])
                    updates.append(p.grad.lerp(average, group["momentum"]).reshape(-1, rows, cols))
                update = torch.cat(updates)
                update = orthogonal(update.bfloat16() if update.is_cuda else update).to(params[0].dtype)
                update *= max(1.0, rows / cols) ** 0.5
                sizes = [u.shape[0] for u in updates]
                for p, u in zip(params, update.split(sizes)):
                    p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(u.view(p.shape), alpha=group["lr"])
