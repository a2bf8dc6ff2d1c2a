"""Compressed models: the protocol of any model, close answers, mapped files, and no training."""

import mmap
import pickle

import numpy as np
import pytest

import fastrec as fr
from fastrec.models import CompressedFactors, Recommender, compress, load
from fastrec.models.base.registry import estimators, loadable
from tests import test_estimators as shared
from tests.models.composed.factor_models import QUICK, RATINGS, models, overlap, random_matrix

# The checks that every model must pass and that ask for no training; on a model of 30 users and 20 items.
PROTOCOL = [
    shared.test_batch_equals_its_rows_one_by_one,
    shared.test_scores_are_those_of_the_pairs,
    shared.test_recommendations_are_the_best_that_are_left,
    shared.test_predict_is_the_best_item_outside_the_row,
    shared.test_cold_items_are_never_recommended,
    shared.test_similar_items_leave_the_item_itself_out,
    shared.test_nothing_left_gives_rows_of_nothing,
    shared.test_k_beyond_the_items_pads,
    shared.test_k_below_one_is_refused,
    shared.test_another_width_is_refused_and_a_transposed_matrix_named,
    shared.test_wrong_choices_are_refused,
    shared.test_nobody_asked_is_nobody_answered,
    shared.test_learned_arrays_cannot_be_written_to,
    shared.test_score_hides_the_same_part_in_any_order_of_rows,
]


@pytest.mark.parametrize("codec", ["float16", "int8", "int4", "pq", "binary+int8", "ease"])
@pytest.mark.parametrize("check", PROTOCOL, ids=lambda check: check.__name__[5:])
def test_protocol(check, codec):
    model = _small(codec)
    check(type(model), lambda kind: model)


@pytest.mark.parametrize("check", [shared.test_filters_in_all_their_forms, shared.test_ids_go_in_and_come_out])
@pytest.mark.parametrize("codec", ["int8", "ease"])
def test_protocol_with_ids(check, codec):
    model = _small(codec)
    named = lambda kind, ids=str: _small(codec, ids)
    if check is shared.test_ids_go_in_and_come_out:
        for ids in (int, str):
            check(_Claims(model), ids, lambda kind: model, named)
    else:
        check(type(model), lambda kind: model, named)


class _Claims:
    """Returns the model's own capabilities to a test that asks a class."""

    def __init__(self, model):
        self.capabilities = model.capabilities


_made = {}


def _small(codec, ids=None):
    if (codec, ids) not in _made:
        X = shared.random_matrix()
        data = X if ids is None else shared.as_interactions(X, ids)
        model = fr.EASE(n_jobs=1) if codec == "ease" else fr.ImplicitALS(4, iterations=2, random_state=0, n_jobs=1)
        _made[codec, ids] = compress(model.fit(data), "int8" if codec == "ease" else codec)
    return _made[codec, ids]


@models
@pytest.mark.parametrize(("codec", "least"), [("float16", 0.97), ("int8", 0.9), ("int4", 0.6)])
def test_answers_are_close_to_the_original(name, codec, least, fitted, compressed):
    model, small, X = fitted(name), compressed(name, codec), random_matrix()
    if name in RATINGS:  # the mean is in all scores, and differences between items are small beside it
        least -= 0.1
    assert overlap(model.recommend(range(59), 5), small.recommend(range(59), 5)) > least
    assert overlap(model.recommend(X, 5), small.recommend(X, 5)) > least  # folded in
    assert overlap(model.similar_items(range(39), 5), small.similar_items(range(39), 5)) > least
    if codec != "int4":
        users, items = np.repeat(np.arange(59), 40), np.tile(np.arange(40), 59)
        exact = model.predict_pairs(users, items)
        assert np.abs(small.predict_pairs(users, items) - exact).max() < 0.05 * np.abs(exact).max()
    assert np.shares_memory(small.seen_.indices, model.seen_.indices)


@models
def test_capabilities_are_those_of_the_original(name, fitted, compressed):
    model, small = fitted(name), compressed(name, "int8")
    assert small.capabilities == model.capabilities | {"partial_fit"}
    for method in ("transform", "similar_users", "explain"):
        assert hasattr(small, method) == (method in model.capabilities)
    if "explain" in model.capabilities:
        reasons, close = model.explain(4, 7), small.explain(4, 7)
        assert sorted(reasons.items) == sorted(close.items)
        assert close.score == pytest.approx(reasons.score, abs=0.03 * max(1, abs(reasons.score)))
        assert close.contributions.sum() == pytest.approx(close.score, rel=1e-3, abs=1e-5)
    if "transform" in model.capabilities:
        X = random_matrix()
        vectors = small.transform(X)
        scale = np.abs(model.transform(X)).max()
        np.testing.assert_allclose(vectors, model.transform(X), atol=0.1 * scale)
        for row in (0, 5, 59):  # for any other users in the question
            np.testing.assert_array_equal(small.transform(X[[row]])[0], vectors[row])


@models
@pytest.mark.parametrize("codec", ["int8", "float16"])
def test_files_hold_all_and_are_mapped(name, codec, fitted, compressed, tmp_path):
    small, X = compressed(name, codec), random_matrix()
    small.save(tmp_path / "small.fastrec")
    for again in (load(tmp_path / "small.fastrec"), pickle.loads(pickle.dumps(small))):
        assert type(again) is type(small)
        assert again.capabilities == small.capabilities
        shared.same(again.recommend(range(60)), small.recommend(range(60)))
        shared.same(again.recommend(X), small.recommend(X))
        shared.same(again.similar_items(range(40)), small.similar_items(range(40)))
        if "explain" in small.capabilities:
            assert again.explain(3, 5).score == small.explain(3, 5).score
    mapped = load(tmp_path / "small.fastrec", verify="header")
    owner = mapped.weight_codes_ if name == "EASE" else mapped.item_codes_
    while isinstance(owner, np.ndarray):
        owner = owner.base
    assert isinstance(owner.obj if isinstance(owner, memoryview) else owner, mmap.mmap)
    mapped.save(tmp_path / "again.fastrec")
    assert (tmp_path / "again.fastrec").read_bytes() == (tmp_path / "small.fastrec").read_bytes()


def test_training_is_refused_with_a_reason(compressed):
    small = compressed("ImplicitALS", "int8")
    for ask in (small.fit, small.fit_transform):
        with pytest.raises(
            TypeError, match="codes cannot be trained: fit or update the ImplicitALS and compress it again"
        ):
            ask(random_matrix())
    assert small.recommend(0).valid.any()
    with pytest.raises(TypeError, match="CompressedFactors cannot be fitted"):
        CompressedFactors().fit(random_matrix())
    assert "CompressedFactors" not in estimators()
    assert "CompressedFactors" in loadable()


def test_ids_titles_and_evaluation_go_along(tmp_path):
    X = random_matrix()
    data = shared.as_interactions(X, item_info={"title": [f"T{i}" for i in range(40)]})
    model = fr.ImplicitALS(**QUICK).fit(data)
    compress(model, "int8").save(tmp_path / "m.fastrec")
    small = load(tmp_path / "m.fastrec")
    assert list(small.recommend("1003").to_frame()["title"]) == list(model.recommend("1003").to_frame()["title"])
    assert list(small.item_info_["title"][:2]) == ["T0", "T1"]
    test = shared.as_interactions(random_matrix(seed=1))
    report = fr.evaluate({"whole": model, "small": small}, test, ["ndcg@10"], exclude_seen=False)
    assert len(report.estimates) == 2
    assert isinstance(small, Recommender)
