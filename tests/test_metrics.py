import importlib.util
import inspect
import math
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score, roc_auc_score

from fastrec import metrics


def _load_reference():
    spec = importlib.util.spec_from_file_location(
        "reference_metrics", Path(__file__).parent / "reference" / "metrics.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference = _load_reference()
NAMES = [function.__name__ for function in reference.PER_USER]


@st.composite
def cases(draw):
    """Rankings (short, empty, longer than the catalogue is relevant), truths with empty, negative and zero entries."""
    n_users, n_items = draw(st.integers(1, 5)), draw(st.integers(1, 9))
    width = draw(st.integers(1, 12))
    rows = []
    for _ in range(n_users):
        items = draw(st.permutations(range(n_items)))[: draw(st.integers(0, min(width, n_items)))]
        rows.append(list(items) + [-1] * (width - len(items)))
    grade = st.sampled_from([0, 0, 0, 1, 1, 2, 5, 0.25, -1])
    truth = [draw(st.lists(grade, min_size=n_items, max_size=n_items)) for _ in range(n_users)]
    return np.array(rows), np.array(truth, dtype=float), draw(st.integers(1, 14))


@settings(max_examples=150, deadline=None)
@given(cases())
def test_every_metric_agrees_with_its_definition(case):
    ranking, truth, k = case
    for function in reference.PER_USER:
        values = getattr(metrics, function.__name__)(ranking, sp.csr_array(truth), k)
        np.testing.assert_allclose(values, reference.per_user(function, ranking, truth, k), atol=1e-12, rtol=0)


@settings(max_examples=80, deadline=None)
@given(cases(), st.sets(st.integers(1, 14), min_size=1))
def test_several_cutoffs_in_one_pass_equal_one_at_a_time(case, ks):
    ranking, truth, _ = case
    labels = [f"{name}@{k}" for name in NAMES for k in ks]
    values = metrics.measure(ranking, truth, labels)
    assert list(values) == labels
    for label in labels:
        name, k = label.split("@")
        np.testing.assert_array_equal(values[label], getattr(metrics, name)(ranking, truth, int(k)))


@settings(max_examples=80, deadline=None)
@given(cases())
def test_auc_counts_pairs(case):
    ranking, truth, k = case
    n_items = truth.shape[1]
    expected = reference.per_user(lambda row, rel, k: reference.auc(row, rel, k, n_items), ranking, truth, k)
    np.testing.assert_allclose(metrics.auc(ranking, truth, k), expected, atol=1e-12, rtol=0)


@settings(max_examples=80, deadline=None)
@given(cases())
def test_no_metric_leaves_its_range(case):
    ranking, truth, k = case
    for name in [*NAMES, "auc"]:
        values = getattr(metrics, name)(ranking, truth, k)
        values = values[~np.isnan(values)]
        assert np.all((values >= 0) & (values <= 1 + 1e-12)), name


@pytest.mark.parametrize("graded", [False, True])
def test_ndcg_agrees_with_scikit_learn_on_complete_rankings(graded):
    random = np.random.default_rng(3)
    scores = random.random((40, 25))
    truth = random.integers(0, 5 if graded else 2, (40, 25)).astype(float)
    truth[:, 0] = 1  # scikit-learn has 0 where fastrec has NaN
    ranking = np.argsort(-scores, axis=1)
    ours = metrics.graded_ndcg if graded else metrics.ndcg
    for k in (1, 5, 25):
        theirs = [ndcg_score(truth[[u]], scores[[u]], k=k) for u in range(40)]
        np.testing.assert_allclose(ours(ranking, truth, k), theirs, atol=1e-12, rtol=0)


def test_auc_agrees_with_scikit_learn_on_complete_rankings():
    random = np.random.default_rng(4)
    scores, truth = random.random((30, 20)), random.integers(0, 2, (30, 20))
    truth[:, 0], truth[:, 1] = 0, 1
    theirs = [roc_auc_score(truth[u], scores[u]) for u in range(30)]
    np.testing.assert_allclose(metrics.auc(np.argsort(-scores, axis=1), truth), theirs, atol=1e-12, rtol=0)


def test_exponential_gain_is_two_to_the_grade_less_one():
    ranking, truth = np.array([[1, 0]]), np.array([[3.0, 1.0]])
    expected = (1 + 7 / math.log2(3)) / (7 + 1 / math.log2(3))
    np.testing.assert_allclose(metrics.graded_ndcg(ranking, truth, gain="exponential"), [expected], atol=1e-12)
    with pytest.raises(ValueError, match="at most 500"):
        metrics.graded_ndcg(ranking, np.array([[1e4, 1.0]]), gain="exponential")
    with pytest.raises(ValueError, match="gain must be one of"):
        metrics.graded_ndcg(ranking, truth, gain="quadratic")


def test_an_empty_truth_is_nan_in_every_metric():
    for name in [*NAMES, "auc"]:
        assert np.isnan(getattr(metrics, name)([[0, 1]], np.zeros((1, 3)), 2)).all(), name


def test_a_short_list_is_no_shortcut():
    # implicit's precision@60 reaches 2.33 on 40 items, since it divides by something else than k.
    truth = np.ones((1, 40))
    assert metrics.precision(np.arange(40)[None, :], truth, 60)[0] == pytest.approx(40 / 60)
    assert metrics.precision([[0, -1, -1, -1]], truth, 4)[0] == 0.25
    assert metrics.recall([[-1, -1]], truth, 2)[0] == 0.0


def test_a_repeated_item_counts_once():
    truth = np.array([[1, 1, 0, 0]])
    assert metrics.recall([[0, 0, 0]], truth)[0] == 0.5
    assert metrics.ndcg([[0, 0]], truth)[0] < 1
    assert metrics.average_precision([[0, 0]], truth)[0] == 0.5
    ranking, once = [[0, 0, 1, 2, 2]], [[0, 1, 2]]
    counts, features = [8, 2, 4, 1], np.eye(4)[[0, 0, 1, 2]]
    for metric in (metrics.novelty, metrics.average_popularity, metrics.tail_share):
        extra = (8,) if metric is metrics.novelty else ()
        assert metric(ranking, counts, *extra) == metric(once, counts, *extra)
    assert metrics.gini(ranking, 4) == metrics.gini(once, 4)
    assert metrics.auc(ranking, truth) == metrics.auc(once, truth)
    assert metrics.auc([[2, 2, 0]], truth, n_candidates=3) == metrics.auc([[2, 0]], truth, n_candidates=3)
    assert metrics.diversity(ranking, features) == metrics.diversity(once, features)


def test_what_is_handed_in_wrongly_is_named():
    with pytest.raises(ValueError, match="fill short lists with -1"):
        metrics.recall([[0, 1], [0]], np.eye(2))
    with pytest.raises(ValueError, match="n_candidates must be an integer"):
        metrics.auc([[0]], np.eye(2)[:1], n_candidates=1.7)
    with pytest.raises(ValueError, match="at most n_users = 2, got 3"):
        metrics.novelty([[0]], [3], 2)
    with pytest.raises(ValueError, match="n_jobs must be"):
        metrics.measure([[0]], np.eye(2)[:1], "recall@1", n_jobs=0)


def test_an_empty_place_in_the_middle_keeps_its_rank():
    assert metrics.reciprocal_rank([[-1, 0]], np.array([[1]]))[0] == 0.5


def test_negative_and_zero_values_are_not_relevant_and_duplicates_are_summed():
    coo = sp.coo_array(([1.0, 1.0, -2.0, 0.0], ([0, 0, 0, 0], [0, 0, 1, 2])), shape=(1, 4))
    assert metrics.recall([[0, 1, 2, 3]], coo, 1)[0] == 1.0
    assert metrics.hit_rate([[1, 2, 3]], coo)[0] == 0.0


@pytest.mark.parametrize("make", [np.asarray, sp.csr_array, sp.csc_array, sp.coo_array, sp.csr_matrix, sp.lil_array])
@pytest.mark.parametrize("dtype", [bool, np.int8, np.int64, np.float32, np.float64])
def test_any_kind_of_truth_and_ranking(make, dtype):
    dense = np.array([[1, 0, 1], [0, 0, 0]], dtype=dtype)
    truth = make(dense)
    ranking = np.asfortranarray(np.array([[2, 1], [0, 1]], dtype=np.uint8))
    ranking.flags.writeable = False
    np.testing.assert_array_equal(metrics.recall(ranking, truth), [0.5, np.nan])
    assert np.array_equal(np.asarray(truth.todense() if sp.issparse(truth) else truth), dense)


def test_a_topk_and_interactions_are_taken_as_they_are():
    class Top:
        codes = np.array([[0, 1]], dtype=np.int32)

    np.testing.assert_array_equal(metrics.recall(Top(), np.array([[0, 1]])), [1.0])


def test_no_users_and_no_places():
    assert metrics.ndcg(np.empty((0, 5), dtype=int), sp.csr_array((0, 3))).shape == (0,)
    np.testing.assert_array_equal(metrics.recall(np.empty((1, 0), dtype=int), np.ones((1, 2))), [0.0])


@pytest.mark.parametrize(
    ("ranking", "truth", "k", "message"),
    [
        ([[0, 3]], np.ones((1, 3)), None, "code 3 at row 0, column 1, beyond the 3 items"),
        ([[0, -2]], np.ones((1, 3)), None, "code -2 at row 0, column 1"),
        ([[2**31]], np.ones((1, 3)), None, "code 2147483648 at row 0, column 0"),
        ([[0]], np.ones((2, 3)), None, "got 1 and 2 rows"),
        ([0], np.ones((1, 3)), None, "two-dimensional"),
        ([[0]], np.ones(3), None, "truth"),
        ([[0]], np.array([[1, np.nan]]), None, "truth contains NaN in row 0, column 1"),
        ([[0]], np.ones((1, 3)), 0, "k must be an integer of at least 1"),
    ],
)
def test_bad_input_is_a_value_error_that_says_where(ranking, truth, k, message):
    with pytest.raises(ValueError, match=message):
        metrics.recall(ranking, truth, k)


def test_wrong_types_are_type_errors():
    with pytest.raises(TypeError, match="integer item codes"):
        metrics.recall([[0.5]], np.ones((1, 3)))
    with pytest.raises(TypeError, match="k must be an integer"):
        metrics.recall([[0]], np.ones((1, 3)), 2.5)
    with pytest.raises(TypeError, match="named by a string"):
        metrics.measure([[0]], np.ones((1, 3)), [10])


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("ndgc@10", "unknown metric 'ndgc@10'; known are"),
        ("ndcg", "needs a cut-off, as in 'ndcg@10'"),
        ("ndcg@0", "at least 1"),
        ("ndcg@1.5", "at least 1"),
        ("ndcg@100000000000", "an integer of at least 1, with at most 9 digits"),
        ("coverage@10", "use fastrec.metrics.coverage"),
    ],
)
def test_a_wrong_metric_name_is_explained(label, message):
    with pytest.raises(ValueError, match=message):
        metrics.measure([[0]], np.ones((1, 3)), [label])


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_threads_do_not_change_the_result(jobs):
    random = np.random.default_rng(0)
    ranking = random.permuted(np.tile(np.arange(60), (4000, 1)), axis=1)[:, :50]
    truth = sp.random_array((4000, 60), density=0.1, rng=random, format="csr")
    labels = [f"{name}@{k}" for name in NAMES for k in (5, 50)]
    alone, together = (metrics.measure(ranking, truth, labels, n_jobs=n) for n in (1, jobs))
    for label in labels:
        np.testing.assert_array_equal(alone[label], together[label])


def test_auc_needs_enough_candidates():
    with pytest.raises(ValueError, match="row 0"):
        metrics.auc([[0, 1]], np.array([[0, 0, 1]]), n_candidates=2)
    np.testing.assert_array_equal(metrics.auc([[1, 2]], np.array([[0, 0, 1, 0]]), n_candidates=[3]), [0.5])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=20))
def test_gini_is_half_the_relative_mean_difference(counts):
    ranking = np.repeat(np.arange(len(counts)), counts)[:, None]
    value = metrics.gini(ranking, n_items=len(counts))
    if sum(counts) == 0:
        assert math.isnan(value)
    else:
        assert value == pytest.approx(reference.gini(counts), abs=1e-12)


def test_coverage_counts_distinct_items_within_k():
    ranking = np.array([[0, 1], [0, -1]])
    assert metrics.coverage(ranking, 5) == 0.4
    assert metrics.coverage(ranking, 5, k=1) == 0.2
    with pytest.raises(ValueError, match="beyond the 1 items"):
        metrics.coverage(ranking, 1)


def test_weights_are_averaged_over_what_is_listed():
    ranking, counts = np.array([[0, 2, -1], [-1, -1, -1]]), [16, 4, 0]
    np.testing.assert_allclose(metrics.novelty(ranking, counts, n_users=16), [2.0, np.nan])
    np.testing.assert_allclose(metrics.novelty(ranking, counts, n_users=16, k=1), [0.0, np.nan])
    np.testing.assert_allclose(metrics.average_popularity(ranking, counts), [8.0, np.nan])


def test_the_tail_holds_at_most_a_fifth_of_the_events():
    counts = [50, 30, 10, 6, 4]
    np.testing.assert_allclose(metrics.tail_share(np.arange(5)[:, None], counts), [0, 0, 1, 1, 1])
    assert metrics.tail_share([[0]], [0]) == [1.0]
    with pytest.raises(ValueError, match="not negative"):
        metrics.tail_share([[0]], [-1])


def test_errors_of_predictions():
    assert metrics.rmse([1, 2, 3], [1, 2, 6]) == pytest.approx(math.sqrt(3))
    assert metrics.mae([1, 2, 3], [1, 2, 6]) == pytest.approx(1)
    for function in (metrics.rmse, metrics.mae):
        with pytest.raises(ValueError, match="predictions has nan at position 1"):
            function([1, 2], [1, np.nan])
        with pytest.raises(ValueError, match="alike"):
            function([1, 2], [1])
        with pytest.raises(ValueError, match="empty"):
            function([], [])


def test_every_public_metric_has_an_example():
    for name in metrics.__all__:
        assert ">>>" in inspect.getdoc(getattr(metrics, name)), name


def test_agrees_with_ir_measures():
    ir_measures = pytest.importorskip("ir_measures")
    random = np.random.default_rng(5)
    ranking = random.permuted(np.tile(np.arange(30), (50, 1)), axis=1)[:, :20]
    truth = random.integers(0, 3, (50, 30)) * (random.random((50, 30)) < 0.3)
    truth[:, 0] = 1
    grades = [
        ir_measures.Qrel(str(u), str(i), int(truth[u, i])) for u in range(50) for i in range(30) if truth[u, i] > 0
    ]
    run = [ir_measures.ScoredDoc(str(u), str(i), 100.0 - r) for u in range(50) for r, i in enumerate(ranking[u])]
    from ir_measures import AP, RR, P, R, Rprec, Success, nDCG

    pairs = {
        "average_precision@10": AP @ 10,
        "reciprocal_rank@10": RR @ 10,
        "precision@10": P @ 10,
        "recall@10": R @ 10,
        "hit_rate@5": Success @ 5,
        "graded_ndcg@10": nDCG @ 10,
        "r_precision@20": Rprec,
    }
    ours = metrics.measure(ranking, truth, list(pairs))
    for label, theirs in pairs.items():
        found = {value.query_id: value.value for value in ir_measures.iter_calc([theirs], grades, run)}
        np.testing.assert_allclose(ours[label], [found[str(u)] for u in range(50)], atol=1e-9, rtol=0, err_msg=label)


def test_every_kernel_is_compiled_for_one_signature_only():
    from fastrec.kernels import metrics as kernels

    truths = [np.eye(3), sp.csc_array(np.eye(3)), sp.csr_array(np.eye(3, dtype=np.int8)), np.asfortranarray(np.eye(3))]
    for truth in truths:
        for ranking in (np.zeros((3, 1), dtype=np.int64), np.arange(6, dtype=np.uint16).reshape(3, 2) % 3):
            metrics.measure(ranking, truth, ["ndcg@1"])
            metrics.measure(ranking, truth, ["graded_ndcg@1", "recall@7"], n_jobs=2)
            metrics.novelty(ranking[:, ::-1], np.ones(3, dtype=int), 4)
    for kernel in (kernels.tally_rankings, kernels.average_weights):
        assert len(kernel.signatures) == 1, kernel.signatures


@settings(max_examples=80, deadline=None)
@given(cases(), st.integers(0, 2**32 - 1))
def test_metrics_of_whole_lists_agree_with_their_definitions(case, seed):
    ranking, truth, k = case
    rng = np.random.default_rng(seed)
    n_items = truth.shape[1]
    vectors = (rng.random((n_items, 3)) * (rng.random((n_items, 3)) < 0.5)).astype(np.float32).astype(float)
    history = (rng.random(truth.shape) < 0.4).astype(float)
    expected = rng.permuted(np.tile(np.arange(n_items), (len(truth), 1)), axis=1)
    pairs = [
        (metrics.diversity(ranking, vectors, k), [reference.diversity(row, vectors, k) for row in ranking]),
        (
            metrics.calibration(ranking, history, sp.csr_array(vectors), k),
            [reference.calibration(row, had, vectors, k) for row, had in zip(ranking, history, strict=True)],
        ),
        (
            metrics.serendipity(ranking, truth, expected, k),
            [
                reference.serendipity(row.tolist(), np.flatnonzero(rel > 0).tolist(), e.tolist(), k)
                if (rel > 0).any()
                else math.nan
                for row, rel, e in zip(ranking, truth, expected, strict=True)
            ],
        ),
    ]
    for found, wanted in pairs:
        np.testing.assert_allclose(found, wanted, atol=1e-9, rtol=0)


def test_metrics_of_whole_lists_check_what_they_get():
    with pytest.raises(ValueError, match="beyond the 2 items"):
        metrics.diversity([[0, 2]], np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"[Nn]egative"):
        metrics.calibration([[0]], np.ones((1, 2)), [[1.0], [-1.0]])
    with pytest.raises(ValueError, match="history must have the shape"):
        metrics.calibration([[0]], np.ones((2, 2)), np.ones((2, 1)))
    with pytest.raises(ValueError, match="got 1 and 2 rows"):
        metrics.serendipity([[0]], np.ones((1, 2)), [[0], [1]])
    with pytest.raises(ValueError, match="beyond the 2 items"):
        metrics.serendipity([[0]], np.ones((1, 2)), [[5]])
