"""Makes a step of training as `SequenceAttention` does, in PyTorch: the peer in the part `attention_steps`.

The same network (biases of attention for distances apart, which `is_causal` has no room for) and the same loss, padded
to the longest history of the step; only true events reach the loss.
"""

import math
import time
from typing import Any

import numpy as np


def measure(
    lengths: Any, n_items: int, *, factors: int, blocks: int, heads: int, negatives: int, dropout: float
) -> Any:
    """Returns a function that makes one step on one thread and returns its CPU seconds."""
    import torch
    from torch import nn
    from torch.nn import functional

    torch.set_num_threads(1)
    torch.manual_seed(0)

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mix, self.out = nn.Linear(factors, 3 * factors, bias=False), nn.Linear(factors, factors, bias=False)
            self.up, self.down = (
                nn.Linear(factors, 4 * factors, bias=False),
                nn.Linear(4 * factors, factors, bias=False),
            )
            self.drop = nn.Dropout(dropout)

        def forward(self, x: Any) -> Any:
            n, length, _ = x.shape
            parts = self.mix(functional.rms_norm(x, (factors,))).view(n, length, 3, heads, -1).permute(2, 0, 3, 1, 4)
            heard = functional.scaled_dot_product_attention(parts[0], parts[1], parts[2], is_causal=True)
            x = x + self.drop(self.out(heard.transpose(1, 2).reshape(n, length, factors)))
            return x + self.drop(self.down(functional.relu(self.up(functional.rms_norm(x, (factors,))))))

    items = nn.Embedding(n_items, factors)
    nn.init.normal_(items.weight, std=0.05)
    network, gain = nn.Sequential(*[Block() for _ in range(blocks)]), nn.Parameter(torch.ones(factors))
    adam = torch.optim.Adam([*items.parameters(), *network.parameters(), gain], lr=1e-3, fused=True)
    rng, drop = np.random.default_rng(0), nn.Dropout(dropout)
    longest = int(max(lengths))
    real = torch.tensor(np.arange(longest) < np.asarray(lengths)[:, None])
    codes, targets = (torch.tensor(rng.integers(0, n_items, real.shape)) for _ in range(2))
    own = targets[real]

    def step() -> float:
        began = time.process_time()
        h = network(drop(items(codes) * math.sqrt(factors)))
        h = functional.rms_norm(h[real], (factors,)) * gain
        drawn = torch.randint(n_items, (negatives,))
        logits = h @ items(drawn).T + math.log(n_items / negatives)
        logits = logits.masked_fill(drawn[None, :] == own[:, None], -1e30)
        mine = (h * items(own)).sum(1, keepdim=True)
        loss = functional.cross_entropy(torch.cat([mine, logits], 1), torch.zeros(len(own), dtype=torch.long))
        adam.zero_grad()
        loss.backward()
        adam.step()
        return time.process_time() - began

    return step
