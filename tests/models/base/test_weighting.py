"""Values in another form: learned from, answered, updated, saved and compressed as if they had come in that form."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp

import fastrec as fr
from fastrec.models import EASE, GraphFilter, HeavyTailWarning, ImplicitALS, ItemKNN, PureSVD, UserKNN, compress, load
from fastrec.models.base.weighting import has_heavy_tail

MODELS = [
    EASE(10.0), GraphFilter(4, random_state=0), ImplicitALS(8, random_state=0), ItemKNN(5), PureSVD(4, random_state=0),
    UserKNN(5),
]  # fmt: skip
IDS = [type(model).__name__ for model in MODELS]


def hours(n_users=40, n_items=25, seed=0):
    """Returns hours played: a few outweigh all others."""
    rng = np.random.default_rng(seed)
    played = rng.random((n_users, n_items)) < 0.3
    return sp.csr_array(np.where(played, rng.lognormal(2, 2, played.shape), 0).astype(np.float32))


def with_values(X, values):
    return sp.csr_array((values.astype(np.float32), X.indices, X.indptr), shape=X.shape)


def logarithms(X, unit):
    return with_values(X, np.log2(1 + X.data.astype(np.float64) / unit))


def fitted(model, X, weighting):
    return type(model)(**{**model.get_params(), "weighting": weighting}).fit(X)


def answers(model, histories):
    """Returns answers for users, for histories, and for pairs."""
    known, folded = model.recommend(range(9), 4), model.recommend(histories, 4)
    return [known.codes, known.scores, folded.codes, folded.scores, model.predict_pairs([1, 2, 3], [4, 5, 6])]


def same(some, others):
    for one, other in zip(some, others, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_a_form_is_what_learning_from_values_in_that_form_gives(model, tmp_path):
    X, later = hours(), hours(12, seed=1)
    for form, formed in (
        ("binary", lambda X: with_values(X, np.ones(X.nnz))),
        ("log", lambda X: logarithms(X, np.median(hours().data))),
    ):
        found, plain = fitted(model, X, form), fitted(model, formed(X), "raw")
        assert (found.weighting_, plain.weighting_) == (form, "raw")
        expected = answers(plain, formed(later))
        same(answers(found, later), expected)
        np.testing.assert_array_equal(found.seen_.data, X.data)  # the values as they came, for updates to add to
        found.save(tmp_path / "model.fastrec")
        same(answers(load(tmp_path / "model.fastrec"), later), expected)
        if isinstance(model, EASE | ImplicitALS | PureSVD):
            codec = "float16"
            same(answers(compress(found, codec), later), answers(compress(plain, codec), formed(later)))
        if "explain" in found.capabilities:
            one, other = found.explain(3, 7), plain.explain(3, 7)
            same((one.items, one.contributions), (other.items, other.contributions))


@pytest.mark.parametrize(
    "model", [m for m in MODELS if "partial_fit" in m.capabilities], ids=lambda m: type(m).__name__
)
def test_updates_bring_values_as_they_come(model):
    X, more, asked = hours(), hours(seed=2), hours(5, seed=3)
    found = fitted(model, X, "binary").partial_fit(more)
    np.testing.assert_allclose(found.seen_.toarray(), (X + more).toarray(), rtol=1e-6)
    if isinstance(model, ItemKNN | EASE | UserKNN):  # models whose updates are refits
        same(answers(found, asked), answers(fitted(model, X + more, "binary"), asked))
    assert found.weighting_ == "binary"


@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_a_heavy_tail_is_told_and_taken_as_ones(model):
    X = hours()
    with pytest.warns(HeavyTailWarning, match=rf"outweigh .* {type(model).__name__} takes each as 1. Say weighting="):
        found = fitted(model, X, "auto")
    same(answers(found, X[:5]), answers(fitted(model, X, "binary"), X[:5]))


@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_sums_of_weights_that_were_chosen_keep_their_order(model):
    rng = np.random.default_rng(0)
    often = np.ceil(rng.lognormal(1, 1.6, 900)).astype(int)  # the number of a user's events with an item
    users, items = (np.repeat(rng.integers(0, n, 900), often) for n in (60, 40))
    weights = rng.choice([1.0, 3.0, 5.0], len(users), p=[0.8, 0.15, 0.05])
    events = fr.Interactions(users, items, weights, duplicates="sum")
    with pytest.warns(
        HeavyTailWarning, match=r'takes their logarithms. Say weighting="log" if that is right, "binary"'
    ):
        found = fitted(model, events, "auto")
    assert found.unit_ == np.median(events.matrix.data)
    same(answers(found, events.matrix[:5]), answers(fitted(model, events, "log"), events.matrix[:5]))
    with pytest.warns(HeavyTailWarning, match="takes each as 1"):  # counts of events that are alike
        assert fitted(model, events._replace(values=None), "auto").weighting_ == "binary"


@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_by_itself_nothing_else_is_changed(model):
    X, rng = hours(), np.random.default_rng(0)
    for values in (
        rng.integers(1, 6, X.nnz),  # ratings
        rng.choice([1, 3, 50], X.nnz, p=[0.9, 0.08, 0.02]),  # weights of kinds of events
        X.data / X.data.max(),  # deliberately counted for less, as TimeDecay does
        1 + rng.exponential(1, X.nnz),
    ):
        weighed = with_values(X, values)
        same(answers(fitted(model, weighed, "auto"), X[:5]), answers(fitted(model, weighed, "raw"), X[:5]))


@pytest.mark.parametrize("model", [EASE(10.0), PureSVD(4, random_state=0)], ids=["EASE", "PureSVD"])
def test_dislikes_stay_dislikes(model):
    X = hours()
    X.data[::5] *= -1
    assert fitted(model, X, "auto").weighting_ == "raw"
    signs = with_values(X, np.sign(X.data))
    same(answers(fitted(model, X, "binary"), X[:5]), answers(fitted(model, signs, "raw"), signs[:5]))
    unit = np.median(np.abs(X.data))
    logs = with_values(X, np.sign(X.data) * np.log2(1 + np.abs(X.data.astype(np.float64)) / unit))
    same(answers(fitted(model, X, "log"), X[:5]), answers(fitted(model, logs, "raw"), logs[:5]))


def test_the_least_of_values_is_no_zero_as_a_logarithm():
    X = with_values(hours(), np.where(np.arange(hours().nnz) % 2, 1e-38, 1e30))
    model = EASE(10.0, weighting="log").fit(X)
    assert (model._training.data > 0).all()
    assert model._training.nnz == X.nnz


def test_events_of_value_0_are_had_in_any_form():
    events = fr.Interactions([0, 0, 1, 1, 2], [0, 1, 1, 2, 2], [0.0, 4.0, 2.0, 9.0, 1.0])
    model = ItemKNN(weighting="log").fit(events)
    assert model.unit_ == 3
    assert model.recommend(0, 3).codes[0].tolist() == [2, -1, -1]
    assert model.item_counts_.tolist() == [0, 2, 2]


@pytest.mark.parametrize(
    "values", [np.ones(1000), np.arange(1.0, 6).repeat(200), np.linspace(1, 100, 1000), np.ones(3)]
)
def test_values_without_a_heavy_tail(values):
    assert not has_heavy_tail(values.astype(np.float32))


def test_bad_forms_are_refused():
    with pytest.raises(ValueError, match=r"EASE\.weighting must be one of 'auto', 'raw', 'log', 'binary', got 'ones'"):
        EASE(weighting="ones").fit(np.eye(3))


def test_nothing_is_told_where_the_form_is_said():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for form in ("raw", "log", "binary"):
            ItemKNN(weighting=form).fit(hours())


@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_values_that_a_step_has_weighted_are_taken_unchanged(model):
    rng = np.random.default_rng(0)
    values = rng.lognormal(3, 2, 900).astype(np.float32)
    events = fr.Interactions(rng.integers(60, size=900), rng.integers(40, size=900), values, duplicates="sum")
    weighed = fr.TfidfWeight().fit_transform(events)
    assert weighed.weighed
    assert not events.weighed
    same(answers(fitted(model, weighed, "auto"), weighed[:5]), answers(fitted(model, weighed, "raw"), weighed[:5]))
