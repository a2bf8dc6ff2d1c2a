"""ALS in parts: a part of the rows, Gramians or first factors has the same bits as the whole."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.matrix.arrays import aligned_zeros
from fastrec.matrix.code_matrix import check_matrix
from fastrec.matrix.rows import pick_rows
from fastrec.models import ImplicitALS
from fastrec.solvers.als import BLOCK, Side, Solver, block_cuts, gather, gramian, rotate, start_rows, sum_gramian
from fastrec.solvers.als_bases import eigenbasis

SIZES = st.one_of(st.integers(0, 5), st.integers(BLOCK - 1, 3 * BLOCK + 1), st.integers(64 * BLOCK - 1, 200 * BLOCK))


@given(SIZES)
def test_pieces_are_cut_at_multiples_of_a_block(n):
    cuts = block_cuts(n)
    assert cuts[0] == 0
    assert cuts[-1] == n
    assert not (cuts[:-1] % BLOCK).any()
    assert (np.diff(cuts) > 0).all() or n == 0
    assert 1 <= len(cuts) - 1 <= 64


@settings(max_examples=20, deadline=None)
@given(n=st.integers(1, 70 * BLOCK), seed=st.integers(0, 9), jobs=st.sampled_from([1, 2, 5]))
def test_gramians_of_pieces_add_up_to_the_bits_of_the_whole(n, seed, jobs):
    factors = np.random.default_rng(seed).standard_normal((n, 3), np.float32)
    cuts = block_cuts(n)
    total = np.zeros((3, 3))
    for first, last in itertools.pairwise(cuts):
        total += sum_gramian(factors[first:last].copy())
    assert np.array_equal(total, gramian(factors, jobs))


@settings(max_examples=20, deadline=None)
@given(n=st.integers(1, 5 * BLOCK), data=st.data())
def test_factors_start_alike_in_parts(n, data):
    whole, parts = np.zeros((n, 16), np.float32), np.zeros((n, 16), np.float32)
    start_rows(whole, 5, [3, 1])
    cuts = [0, *sorted(data.draw(st.sets(st.integers(0, n // BLOCK), max_size=3))), n]
    cuts = [0, *(BLOCK * cut for cut in cuts[1:-1]), n]
    for first, last in itertools.pairwise(cuts):
        start_rows(parts[first:last], 5, [3, 1], first)
    assert np.array_equal(whole, parts)
    assert not whole[:, 5:].any()
    other = np.zeros_like(whole)
    start_rows(other, 5, [3, 0])
    assert not np.array_equal(whole, other)


def test_rows_solved_in_parts_have_the_bits_of_all_rows_solved_at_once():
    rng = np.random.default_rng(0)
    matrix = check_matrix((rng.random((300, 40)) < 0.2) * rng.integers(1, 4, (300, 40)))
    vectors = aligned_zeros(40, 16)
    vectors[:, :9] = rng.standard_normal((40, 9))
    values, basis = eigenbasis(gramian(vectors, 1), 9)
    rotate(vectors, basis, 1)
    gathered, solver = gather(vectors, values, "float16", 1), Solver("cg", 2, 0.0, 1.4, 2)
    whole, parts = aligned_zeros(300, 16), aligned_zeros(300, 16)
    all_of_it = Side(matrix, 2.0, 0.01, 1.0).solve(whole, gathered, solver)
    some = [
        Side(pick_rows(matrix, slice(first, last)), 2.0, 0.01, 1.0).solve(parts[first:last], gathered, solver)
        for first, last in ((0, 70), (70, 71), (71, 300))
    ]
    assert np.array_equal(whole, parts)
    np.testing.assert_allclose(np.sum(some, axis=0), all_of_it, rtol=1e-12)


def test_a_model_is_completed_from_item_factors_made_elsewhere():
    rng = np.random.default_rng(0)
    X = (rng.random((60, 30)) < 0.2) * 1.0
    model = ImplicitALS(factors=5, random_state=0, n_jobs=1).fit(X)
    other = ImplicitALS(factors=5, random_state=0, n_jobs=1)._learn(X, item_factors=model.item_factors_)
    np.testing.assert_allclose(
        other.item_factors_ @ other.user_factors_.T, model.item_factors_ @ model.user_factors_.T, rtol=1e-4, atol=1e-5
    )
    assert np.array_equal(other.recommend(range(60)).codes, model.recommend(range(60)).codes)


def test_the_loss_has_the_same_bits_wherever_the_arrays_lie():
    # A loop that both sums and writes has its sums in another order if LLVM finds its arrays side by side.
    rng = np.random.default_rng(0)
    X = (rng.random((30, 20)) < 0.2) * rng.integers(1, 5, (30, 20))
    curves = set()
    for _ in range(20):
        held = [np.empty(size, np.float32) for size in rng.integers(1, 5000, 5)]  # so that memory is allocated anew
        curves.add(ImplicitALS(factors=64, random_state=0, n_jobs=1).fit(X).loss_curve_.tobytes())
        del held[::2]
    assert len(curves) == 1
