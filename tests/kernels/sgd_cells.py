"""Makes a small cell of samples, with both sides' parameters, for the kernels of stochastic gradients."""

import numpy as np
import pytest

from fastrec.kernels._jit import Static
from fastrec.kernels.sgd_steps import Parameters, StepSizes
from fastrec.kernels.sparse import Entries
from tests.reference import sgd as plain

WIDTH, N_USERS, N_ITEMS = 16, 6, 30
LENGTHS = 4, 0, 9, 1
OPTIMIZERS = {"sgd": 0, "adagrad": 1, "adam": 2}
RATE, DECAY, BIAS_DECAY = 0.05, 0.1, 0.02
PACE = StepSizes(np.float32(RATE), np.float32(DECAY), np.float32(BIAS_DECAY))

every_optimizer = pytest.mark.parametrize("optimizer", list(OPTIMIZERS))


def cell(seed=0, unit=False):
    """Returns samples in runs of users, two starting sides, a pool and its seed."""
    rng = np.random.default_rng(seed)
    chosen = [np.sort(rng.choice(N_ITEMS, n, replace=False)) for n in (5, 1, 9, 3)]
    users = np.repeat(np.array([4, 0, 2, 5], np.int32), [len(items) for items in chosen])
    items = np.concatenate(chosen).astype(np.int32)
    rows = [rng.normal(0, 0.5, (n, WIDTH)).astype(np.float32) for n in (N_USERS, N_ITEMS)]
    if unit:
        rows = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in rows]
    biases = [rng.normal(0, 0.5, n).astype(np.float32) for n in (N_USERS, N_ITEMS)]
    pool = np.repeat(np.arange(N_ITEMS, dtype=np.int32), rng.integers(1, 3, N_ITEMS))
    weights = rng.uniform(0.5, 2, len(users)).astype(np.float32)
    return users, items, weights, rows, biases, pool


def compiled(rows, biases):
    n = len(rows)
    memory = [np.zeros(n * WIDTH, np.float32) for _ in range(2)]
    bias_memory = [np.zeros(n, np.float32) for _ in range(2)]
    counts = np.zeros(n, np.int32)
    return Parameters(rows.copy().reshape(-1), biases.copy(), *memory, *bias_memory, counts, None, None)


def twins(rows, biases, optimizer, has_priors=False):
    sides = [compiled(*side) for side in zip(rows, biases, strict=True)]
    references = [plain.Side(*side, optimizer, RATE, DECAY, BIAS_DECAY) for side in zip(rows, biases, strict=True)]
    if has_priors:
        rng = np.random.default_rng(4)
        for place, reference in enumerate(references):
            priors = [rng.normal(0, 0.5, array.shape) for array in (reference.rows, reference.biases)]
            reference.priors = priors
            flat = [array.astype(np.float32).reshape(-1) for array in priors]
            sides[place] = sides[place]._replace(priors=flat[0], bias_priors=flat[1])
    return sides, references


def assert_alike(sides, references, tolerance=2e-4):
    for side, reference in zip(sides, references, strict=True):
        np.testing.assert_allclose(side.rows.reshape(-1, WIDTH), reference.rows, atol=tolerance, rtol=tolerance)
        np.testing.assert_allclose(side.biases, reference.biases, atol=tolerance, rtol=tolerance)


def static(optimizer):
    return Static(OPTIMIZERS[optimizer]), Static(WIDTH)


def histories(one_value):
    """Returns rows of different lengths, one of them empty; one value for all entries, or one for each."""
    rng = np.random.default_rng(3)
    indptr = np.concatenate([[0], np.cumsum(LENGTHS)]).astype(np.int64)
    indices = np.concatenate([np.sort(rng.choice(N_ITEMS, n, replace=False)) for n in LENGTHS]).astype(np.int32)
    values = rng.uniform(0.5, 2, 1 if one_value else len(indices)).astype(np.float32)
    return Entries(indptr, indices, values)
