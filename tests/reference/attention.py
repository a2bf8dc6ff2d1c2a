"""The transformer of `fastrec.solvers.attention_layout` and the loss of its steps, in plain NumPy and float64."""

from itertools import pairwise

import numpy as np


def normalize(x, factors):
    """Returns rows with a mean square of 1 over their true width."""
    return x / np.sqrt((x**2).sum(1, keepdims=True) / factors + 1e-6)


def attend(q, k, v, biases, heads, scale):
    """Returns causal attention within one sequence; `biases` are of shape (heads, span), the nearest last."""
    out, width = np.zeros_like(q), q.shape[1] // heads
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        for i in range(len(q)):
            logits = k[: i + 1, part] @ q[i, part] * scale + biases[head, biases.shape[1] - 1 - i :]
            shares = np.exp(logits - logits.max())
            out[i, part] = shares @ v[: i + 1, part] / shares.sum()
    return out


def outputs(layout, weights, rows):
    """Returns the network's output for the padded rows of one sequence."""
    weights, x = weights.astype(np.float64), rows.astype(np.float64)
    parts = [weights[at : at + n * m].reshape(n, m) for n, m, at, _, _ in layout.matrices()]
    inner, blocks = layout.inner, max(1, layout.blocks)
    biases = [
        weights[b * layout.block_size + layout.biases : (b + 1) * layout.block_size].reshape(-1, layout.span)
        for b in range(blocks)
    ]
    if not layout.blocks:
        x = attend(0 * x, 0 * x, x, biases[0], 1, 1.0)
    scale = 1 / np.sqrt(-(-layout.factors // layout.heads))
    for block in range(layout.blocks):
        mix, out, up, down = parts[4 * block : 4 * block + 4]
        mixed = normalize(x, layout.factors) @ mix
        q, k, v = (mixed[:, n * inner : (n + 1) * inner] for n in range(3))
        x = x + attend(q, k, v, biases[block], layout.heads, scale) @ out
        x = x + np.maximum(normalize(x, layout.factors) @ up, 0) @ down
    return normalize(x, layout.factors) * weights[layout.gain : layout.gain + layout.width]


def losses(h, targets, vectors, codes, corrections):
    """Returns the loss of each row among the candidates and its own target."""
    lost = []
    for row, target in zip(h, targets, strict=True):
        others = codes != target
        logits = vectors[codes[others]] @ row - corrections[others]
        own = vectors[target] @ row
        lost.append(np.log(np.exp(own) + np.exp(logits).sum()) - own)
    return np.array(lost)


def step_loss(layout, weights, vectors, starts, items, targets, codes, corrections):
    """Returns the mean loss of the events of a step."""
    vectors, total = vectors.astype(np.float64), 0.0
    for begin, end in pairwise(starts):
        h = outputs(layout, weights, vectors[items[begin:end]] * np.sqrt(layout.factors))
        total += losses(h, targets[begin:end], vectors, codes, corrections).sum()
    return total / len(items)
