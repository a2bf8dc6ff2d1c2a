"""MLPRecommender's training beside PyTorch: samples per second and validation loss; HR@10 among 99 negatives on ML-1M.

PyTorch runs in an interpreter of its own (FASTREC_BENCH_TORCH, the path of a python that has torch 2.13), since its
threads and ours would be in each other's way: `python mlp.py torch MODEL BATCH SPARSE` is what it is asked to do.
"""

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

Record = dict[str, Any]
THREADS = 2
MODELS: dict[str, Record] = {
    "neumf": dict(architecture="neumf", factors=32, layers=(64, 32, 16)),
    "keras": dict(architecture="dot", factors=10, layers=()),
}
BATCHES = (32, 256, 4096)
USERS, ITEMS, SAMPLES = 6040, 3706, 1 << 21
SECONDS = 3.0
# Found on the last but one item of each user.
LEAVE_ONE_OUT: Record = dict(
    factors=64, layers=(128, 64, 32), batch_size=1024, learning_rate=0.001, regularization=0.1, iterations=7
)


def samples() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns (users, items, labels) of pairs of a planted model of rank 4; the last 65 536 are for validation."""
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, USERS, SAMPLES), rng.integers(0, ITEMS, SAMPLES)
    a, b = rng.normal(size=(USERS, 4)), rng.normal(size=(ITEMS, 4))
    chance = 1 / (1 + np.exp(2.0 - (a[users] * b[items]).sum(axis=1)))
    return users, items, (rng.random(SAMPLES) < chance).astype(np.float32)


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean(np.logaddexp(0, logits) - labels * logits))


def train_here(model: str, batch: int) -> Record:
    """Runs our step over the same samples in the same order, until the time is up or no samples are left."""
    from fastrec.solvers.network_layout import NetworkLayout
    from fastrec.solvers.network_scoring import Scorer
    from fastrec.solvers.network_training import Trainer, make_pace, runner

    users, items, labels = samples()
    users, items, ones = users.astype(np.int32), items.astype(np.int32), np.ones(SAMPLES, np.float32)
    options = MODELS[model]
    layout = NetworkLayout(options["architecture"], options["factors"], options["layers"], None)
    rng = np.random.default_rng(0)
    sides = [layout.pad_rows(rng.normal(0, 0.05, (n, len(layout.columns))).astype(np.float32)) for n in (USERS, ITEMS)]
    with runner(THREADS) as run:
        trainer = Trainer(
            layout, layout.start(rng), *sides, loss="logistic", dropout=0.0, pace=make_pace(1e-3, 0.0), batch=batch,
            run=run,
        )  # fmt: skip

        def step(number: int) -> None:
            part = slice(number * batch, (number + 1) * batch)
            trainer.step(users[part], items[part], labels[part], ones[part], number)

        done, rate = timed(step, batch)
        trainer.settle()
    vectors = [layout.unpad_rows(side) for side in sides]
    scorer = Scorer(layout, trainer.weights, None, vectors[1], "squared")  # logits
    part = slice(-65536, None)
    logits = scorer.score_pairs(vectors[0], users[part], items[part], THREADS)
    return {"samples": done, "samples_per_s": rate, "validation_loss": cross_entropy(logits, labels[part])}


def timed(step: Any, batch: int) -> tuple[int, float]:
    """Makes steps for some seconds, or BENCH_STEPS, after three to warm up; returns (samples, samples per second)."""
    most = int(os.environ.get("BENCH_STEPS", (SAMPLES - 65536) // batch))
    for number in range(3):
        step(number)
    began = time.perf_counter()
    number = 3
    fixed = "BENCH_STEPS" in os.environ
    while number < most and (fixed or time.perf_counter() - began < SECONDS):
        step(number)
        number += 1
    return number * batch, (number - 3) * batch / (time.perf_counter() - began)


def train_torch(model: str, batch: int, sparse: bool) -> Record:
    """Does the same with PyTorch, with dense (fused) Adam, or SparseAdam for the embeddings."""
    import torch
    from torch import nn

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    arrays = [torch.from_numpy(array) for array in samples()]
    width = MODELS[model]["factors"]

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            n = 2 if model == "neumf" else 1
            self.users = nn.ModuleList(nn.Embedding(USERS, width, sparse=sparse) for _ in range(n))
            self.items = nn.ModuleList(nn.Embedding(ITEMS, width, sparse=sparse) for _ in range(n))
            for table in (*self.users, *self.items):
                nn.init.normal_(table.weight, std=0.05)
            widths = (2 * width, *MODELS[model]["layers"])
            layers: list[nn.Module] = []
            for inputs, outputs in itertools.pairwise(widths):
                layers += [nn.Linear(inputs, outputs), nn.ReLU()]
            self.layers = nn.Sequential(*layers)
            self.out = nn.Linear(1 if model == "keras" else width + widths[-1], 1)
            if model == "keras":
                nn.init.ones_(self.out.weight)

        def forward(self, u: Any, i: Any) -> Any:
            product = self.users[0](u) * self.items[0](i)
            if model == "keras":
                return self.out(product.sum(dim=1, keepdim=True))[:, 0]
            h = self.layers(torch.cat([self.users[1](u), self.items[1](i)], dim=1))
            return self.out(torch.cat([product, h], dim=1))[:, 0]

    net = Net()
    tables = [table.weight for table in (*net.users, *net.items)]
    rest = [weight for weight in net.parameters() if not any(weight is table for table in tables)]
    adam = torch.optim.Adam
    optimizers = (
        [torch.optim.SparseAdam(tables, lr=1e-3), adam(rest, lr=1e-3, fused=True)]
        if sparse
        else [adam(net.parameters(), lr=1e-3, fused=True)]
    )
    loss = nn.BCEWithLogitsLoss()

    def step(number: int) -> None:
        part = slice(number * batch, (number + 1) * batch)
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss(net(arrays[0][part], arrays[1][part]), arrays[2][part]).backward()
        for optimizer in optimizers:
            optimizer.step()

    done, rate = timed(step, batch)
    with torch.no_grad():
        logits = net(arrays[0][-65536:], arrays[1][-65536:]).numpy().astype(np.float64)
    return {
        "samples": done,
        "samples_per_s": rate,
        "validation_loss": cross_entropy(logits, arrays[2][-65536:].numpy()),
    }


def ask(python: str, *arguments: str) -> Record:
    """Runs this file with arguments and returns the record that it prints."""
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    printed = subprocess.run(
        [python, __file__, *arguments], capture_output=True, text=True, check=True, env=environment
    ).stdout
    record: Record = json.loads(printed.splitlines()[-1])
    return record


def race(folder: Any, repeats: int) -> Iterator[Record]:
    """Samples per second, the best of some runs in turn, and the loss on the same samples held out."""
    torch = os.environ.get("FASTREC_BENCH_TORCH")
    if not torch:
        raise ImportError("FASTREC_BENCH_TORCH must be the path of a python that has torch")
    for model in MODELS:
        for batch in BATCHES:
            runs = {
                "fastrec": (sys.executable, "here", model, str(batch)),
                "torch Adam": (torch, "torch", model, str(batch), ""),
                "torch SparseAdam": (torch, "torch", model, str(batch), "sparse"),
            }
            best: dict[str, Record] = {}
            for _ in range(repeats):
                for name, run in runs.items():
                    record = ask(*run)
                    if name not in best or record["samples_per_s"] > best[name]["samples_per_s"]:
                        best[name] = record
            fastest = max(best[name]["samples_per_s"] for name in best if name != "fastrec")
            for name, record in best.items():
                ratio = best["fastrec"]["samples_per_s"] / fastest if name == "fastrec" else None
                yield {"model": model, "batch": batch, "by": name, **record, "ratio": ratio}


def leave_one_out(folder: Any, repeats: int) -> Iterator[Record]:
    """HR@10 and NDCG@10 of the last item among 99 that the user has not; for comparison with the literature only."""
    import scipy.sparse as sp
    from data import codes

    from fastrec.models import MLPRecommender

    users, items, times = folder.columns("ml-1m", "user", "item", "timestamp")
    users, items = codes(users), codes(items)
    order = np.lexsort((np.arange(len(users)), times, users))
    users, items = users[order], items[order]
    last = np.append(np.flatnonzero(np.diff(users)), len(users) - 1)
    kept = np.ones(len(users), bool)
    kept[last] = False
    shape = (users.max() + 1, items.max() + 1)
    whole = sp.csr_array((np.ones(len(users), np.float32), (users, items)), shape=shape)
    train = sp.csr_array((np.ones(kept.sum(), np.float32), (users[kept], items[kept])), shape=shape)
    rng = np.random.default_rng(1)
    candidates = np.empty((shape[0], 100), np.int64)
    for row in range(shape[0]):
        own = whole.indices[whole.indptr[row] : whole.indptr[row + 1]]
        candidates[row, 1:] = rng.permutation(np.setdiff1d(np.arange(shape[1]), own))[:99]
    candidates[:, 0] = items[last]
    began = time.perf_counter()
    model = MLPRecommender(**LEAVE_ONE_OUT, random_state=0, n_jobs=THREADS).fit(train)
    seconds = time.perf_counter() - began
    scores = model.predict_pairs(np.repeat(np.arange(shape[0]), 100), candidates.ravel()).reshape(-1, 100)
    rank = (scores[:, 1:] >= scores[:, :1]).sum(axis=1)
    gain = np.where(rank < 10, 1 / np.log2(rank + 2), 0)
    yield {"hr@10": float((rank < 10).mean()), "ndcg@10": float(gain.mean()), "fit_s": seconds, **LEAVE_ONE_OUT}


PARTS = (race, leave_one_out)

if __name__ == "__main__":
    kind, name, size, *more = sys.argv[1:]
    print(json.dumps(train_here(name, int(size)) if kind == "here" else train_torch(name, int(size), bool(more[0]))))
