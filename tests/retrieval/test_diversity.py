import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastrec as fr
from fastrec import MMR, Calibration, GroupCap, Reranked, TopK, metrics


def random_top(seed, n=6, depth=9, items=14):
    rng = np.random.default_rng(seed)
    codes = np.argsort(rng.random((n, items)), axis=1)[:, :depth].astype(np.int32)
    scores = -np.sort(-rng.normal(size=(n, depth)).astype(np.float32), axis=1)
    for row, length in enumerate(rng.integers(0, depth + 1, n)):  # some lists are short
        codes[row, length:], scores[row, length:] = -1, -np.inf
    return TopK(codes, scores, users=[f"u{row}" for row in range(n)])


def relevance(scores):
    span = scores.max() - scores.min()
    return (scores - scores.min()) / (span or 1)


def plain_mmr(codes, scores, vectors, share, k):
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-300)
    chosen, worth = [], relevance(scores.astype(float))
    while len(chosen) < min(k, len(codes)):

        def value(place):
            near = max((unit[codes[place]] @ unit[codes[other]] for other in chosen), default=0.0)
            return (1 - share) * worth[place] - share * near

        rest = [place for place in range(len(codes)) if place not in chosen]
        chosen.append(max(rest, key=lambda place: (round(value(place), 12), -place)))
    return [int(codes[place]) for place in chosen]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.2, 0.5, 1.0]), st.integers(1, 12))
def test_mmr_is_a_plain_loops(seed, share, k):
    top = random_top(seed)
    vectors = np.random.default_rng(seed).normal(size=(14, 3))
    result = MMR(share, vectors)(top, k)
    assert result.codes.shape == (6, k)
    assert result.users.tolist() == top.users.tolist()
    for row in range(6):
        valid = top.valid[row]
        expected = plain_mmr(top.codes[row][valid], top.scores[row][valid], vectors, share, k) if valid.any() else []
        assert result.codes[row][result.valid[row]].tolist() == expected
        score = dict(zip(top.codes[row].tolist(), top.scores[row].tolist(), strict=True))
        assert [score[code] for code in expected] == result.scores[row][result.valid[row]].tolist()


def test_without_a_trade_off_lists_stay_as_they_are():
    top = random_top(3)
    vectors = np.random.default_rng(0).random((14, 3))
    for same in (MMR(0.0, vectors)(top, 5), Calibration(0.0, vectors)(top, 5, np.ones((6, 14)))):
        np.testing.assert_array_equal(same.codes, top.codes[:, :5])


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from([0.3, 0.9, 1.0]), st.integers(1, 6))
def test_calibration_takes_the_best_next_item_by_its_objective(seed, weight, k):
    top = random_top(seed)
    rng = np.random.default_rng(seed)
    features = rng.random((14, 4)) * (rng.random((14, 4)) < 0.6)
    history = (rng.random((6, 14)) < 0.4).astype(float)
    result = Calibration(weight, features)(top, k, history)
    for row in range(6):
        codes = top.codes[row][top.valid[row]]
        if not len(codes):
            assert not result.valid[row].any()
            continue
        worth = dict(zip(codes.tolist(), relevance(top.scores[row][top.valid[row]].astype(float)), strict=True))
        taken = []
        for code in result.codes[row][result.valid[row]].tolist():

            def objective(extra, taken=taken, worth=worth, row=row):
                listed = [*taken, extra]
                far = metrics.calibration(np.array([listed]), history[row : row + 1], features)[0]
                if np.isnan(far):  # a list without features: q is zero, and only p counts
                    mix = history[row] @ (features / np.maximum(features.sum(1, keepdims=True), 1e-300))
                    p = mix / mix.sum() if mix.sum() else mix
                    far = float((p[p > 0] * np.log(1 / 0.01)).sum())
                return (1 - weight) * sum(worth[one] for one in listed) - weight * far

            best = max(objective(code) for code in codes.tolist() if code not in taken)
            assert objective(code) == pytest.approx(best, abs=1e-9)
            taken.append(code)
        assert len(taken) == min(k, len(codes))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 3), st.integers(1, 8))
def test_a_cap_is_kept_and_nothing_is_left_out_without_need(seed, most, k):
    top = random_top(seed)
    rng = np.random.default_rng(seed)
    member = rng.random((14, 5)) < 0.3
    result = GroupCap(most, member)(top, k)
    for row in range(6):
        taken, counts = [], np.zeros(5, int)
        for code in top.codes[row][top.valid[row]].tolist():
            if len(taken) < k and not (counts[member[code]] >= most).any():
                taken.append(code)
                counts += member[code]
        assert result.codes[row][result.valid[row]].tolist() == taken


def test_a_cap_by_labels_is_one_by_a_matrix():
    top = random_top(1)
    labels = ["a", "b", None, "a", "", "c", "b", "a", "c", "a", "b", "a", "c", "d"]
    names = ["a", "b", "c", "d"]
    matrix = np.array([[label == name for name in names] for label in labels])
    np.testing.assert_array_equal(GroupCap(1, labels)(top, 6).codes, GroupCap(1, matrix)(top, 6).codes)


def test_cost_and_gain_are_shown_by_evaluate():
    rng = np.random.default_rng(0)
    genres = np.array(["Drama", "Comedy", "War|Drama"])[np.arange(30) % 3]
    data = fr.Interactions(
        rng.integers(0, 40, 900),
        rng.integers(0, 30, 900),
        users=[f"u{n}" for n in range(40)],
        items=range(30),
        item_info={"genre": genres},
        duplicates="sum",
    )
    train, test = fr.split_random(data, 0.3, random_state=0)
    model = fr.ImplicitALS(4, iterations=2, random_state=0).fit(train)
    models = {
        "plain": model,
        "mmr": Reranked(model, MMR(0.8)),
        "calibrated": Reranked(model, Calibration(0.9, "genre")),
        "capped": Reranked(model, GroupCap(2, "genre")),
    }
    report = fr.evaluate(models, test, ["ndcg@5"])
    assert report.mean("ndcg@5", "mmr") <= report.mean("ndcg@5", "plain")
    by_genre = fr.evaluate(models, test, ["diversity@5", "calibration@5"], item_features="genre")
    assert by_genre.mean("calibration@5", "calibrated") < by_genre.mean("calibration@5", "plain")
    assert by_genre.mean("diversity@5", "capped") > by_genre.mean("diversity@5", "plain")
    by_factors = fr.evaluate(models, test, "diversity@5", item_features=model.item_factors_)
    assert by_factors.mean("diversity@5", "mmr") > by_factors.mean("diversity@5", "plain")
    again = pickle.loads(pickle.dumps(models["calibrated"]))
    np.testing.assert_array_equal(again.recommend(["u1"]).codes, models["calibrated"].recommend(["u1"]).codes)
    history = train[:3]
    by_history = models["calibrated"].recommend(history, 5)
    assert by_history.users.tolist() == ["u0", "u1", "u2"]
    np.testing.assert_array_equal(by_history.codes, models["calibrated"].recommend(["u0", "u1", "u2"], 5).codes)
    # An unknown user gets popular items, and has no mix to be near to.
    assert models["calibrated"].recommend(["nobody"], 5, on_unknown="popular").fallback.tolist() == [True]


def test_bad_input_is_named():
    top = random_top(0)
    with pytest.raises(ValueError, match=r"MMR.trade_off must be a finite number from 0 to 1"):
        MMR(1.5, np.ones((14, 2)))(top)
    with pytest.raises(ValueError, match=r"MMR.vectors has 3 rows, and the list holds the code"):
        MMR(0.5, np.ones((3, 2)))(top)
    with pytest.raises(ValueError, match="goes in a Reranked"):
        MMR(0.5)(top)
    with pytest.raises(ValueError, match="Calibration needs histories"):
        Calibration(0.5, np.ones((14, 2)))(top)
    with pytest.raises(ValueError, match=r"Calibration.features must not be negative"):
        Calibration(0.5, -np.ones((14, 2)))(top, 3, np.ones((6, 14)))
    with pytest.raises(ValueError, match=r"histories must be of shape \(6, 14\)"):
        Calibration(0.5, np.ones((14, 2)))(top, 3, np.ones((5, 14)))
    with pytest.raises(ValueError, match=r"GroupCap.most must be an integer of at least 1"):
        GroupCap(0, ["a"] * 14)(top)
    with pytest.raises(TypeError, match="rule must be an MMR"):
        Reranked(fr.Popularity().fit(np.ones((2, 2))), 5)
    with pytest.raises(ValueError, match="Popularity has no item_factors_"):
        Reranked(fr.Popularity().fit(np.ones((2, 2))), MMR())
    with pytest.raises(ValueError, match="not a column of the model's item_info: none"):
        Reranked(fr.Popularity().fit(np.ones((2, 2))), GroupCap(1, "artist"))


@pytest.mark.parametrize("rule", [MMR(0.5, np.empty((0, 3))), Calibration(0.5, np.ones((4, 3)))])
def test_a_list_of_nothing_stays_one(rule):
    assert rule(TopK([[-1]], [[-np.inf]]), 2, np.zeros((1, 4))).codes.tolist() == [[-1, -1]]


def test_items_that_no_list_holds_are_not_looked_at():
    vectors = np.random.default_rng(0).random((14, 3))
    top = TopK([[3, 5, 7]], [[0.9, 0.8, 0.7]])
    others = np.full((14, 3), np.nan)
    others[[3, 5, 7]] = vectors[[3, 5, 7]]
    np.testing.assert_array_equal(MMR(0.5, others)(top, 2).codes, MMR(0.5, vectors)(top, 2).codes)
    with pytest.raises(ValueError, match="finite"):
        MMR(0.5, others)(TopK([[1]], [[1.0]]), 1)


def test_an_mmr_looks_at_no_biases():
    X = (np.random.default_rng(0).random((30, 20)) < 0.3).astype(np.float32)
    model = fr.SGDFactorization(4, loss="squared", iterations=2, random_state=0).fit(X)
    assert Reranked(model, MMR()).rule_.vectors.shape[1] == 4 < model.item_factors_.shape[1]
