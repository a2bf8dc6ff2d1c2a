"""Item2Vec: windows, subsampling, the learned vectors, the same result for any threads, fold-in, explanations."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastrec.data import Interactions
from fastrec.models import Item2Vec, compress, load
from fastrec.models.item2vec import _kept_shares
from fastrec.storage import FileError, read_arrays, write_arrays

QUICK = dict(factors=8, iterations=15, learning_rate=0.1, random_state=0)


def walks(n_users=400, n_items=60, length=30, seed=0):
    """Returns sequences in which the next item lies near the last one on a ring."""
    rng = np.random.default_rng(seed)
    steps = rng.integers(1, 3, (n_users, length))
    items = (rng.integers(0, n_items, (n_users, 1)) + np.cumsum(steps, axis=1)) % n_items
    users = np.repeat(np.arange(n_users), length)
    times = np.tile(np.arange(length), n_users)
    order = rng.permutation(len(users))  # the order of rows has no meaning, times have
    return Interactions(
        users[order].astype(np.int32), items.ravel()[order].astype(np.int32), times=times[order].astype(np.int64),
        time_unit="s",
    )  # fmt: skip


def test_frequent_items_are_left_out_as_word2vec_does():
    counts = np.array([1000, 10, 0])
    shares = _kept_shares(counts, 0.01)
    f = 1000 / 1010
    assert shares[0] == pytest.approx(np.sqrt(0.01 / f) + 0.01 / f)
    assert shares[1] == 1
    assert (_kept_shares(counts, 0) == 1).all()


def test_neighbours_on_the_ring_are_similar():
    model = Item2Vec(window=3, subsample=0, **QUICK).fit(walks())
    near = model.similar_items(np.arange(60), 4).codes
    distance = np.abs(near - np.arange(60)[:, None])
    assert (np.minimum(distance, 60 - distance) <= 6).mean() > 0.95
    assert model.loss_curve_[-1] < model.loss_curve_[0]


def test_baskets_have_no_order():
    rng = np.random.default_rng(0)
    own = np.arange(200)[:, None] % 4 == np.arange(40)[None, :] % 4
    X = sp.csr_array((rng.random((200, 40)) < np.where(own, 0.5, 0.03)).astype(np.float32))
    model = Item2Vec(**QUICK).fit(X)
    near = model.similar_items(np.arange(40), 5).codes
    assert (near % 4 == np.arange(40)[:, None] % 4).mean() > 0.9


def test_threads_change_no_bit():
    data = walks(n_items=300)  # more than one block
    one, two, five = (Item2Vec(n_jobs=jobs, **{**QUICK, "iterations": 2}).fit(data) for jobs in (1, 2, 5))
    for other in (two, five):
        np.testing.assert_array_equal(one.item_factors_, other.item_factors_)
        np.testing.assert_array_equal(one.context_factors_, other.context_factors_)


def test_similar_items_are_scored_by_unit_vectors():
    data = walks(50)
    model = Item2Vec(scoring="similar", **QUICK).fit(data)
    assert model.center_factors_ is None
    np.testing.assert_allclose(np.linalg.norm(model.item_factors_, axis=1), 1, rtol=1e-5)
    X = data.matrix
    row = X[[3]].toarray()[0]
    np.testing.assert_allclose(model.user_factors_[3], row @ model.item_factors_ / row.sum(), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(model.transform(X[[3]])[0], model.user_factors_[3])


@pytest.mark.parametrize(("exponent", "used"), [("auto", 1.0), (0.0, 0.0), (-1.5, -1.5)])
def test_the_next_item_is_scored_by_pairs_and_popularity(exponent, used):
    data = walks(50)
    model = Item2Vec(popularity_exponent=exponent, **QUICK).fit(data)
    same = Item2Vec(scoring="similar", **QUICK).fit(data)
    np.testing.assert_array_equal(model.context_factors_, same.context_factors_)
    centers = same.item_factors_ * same.item_norms_[:, None]
    np.testing.assert_array_equal(model.center_factors_, centers)
    history = data.matrix[[3]]
    row = history.toarray()[0]
    wanted = (row @ centers / row.sum()) @ model.context_factors_.T + used * np.log(model.item_counts_)
    np.testing.assert_allclose(model.predict_pairs([3] * 60, np.arange(60)), wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        model.user_factors_ @ model.item_factors_[7], model.predict_pairs(range(50), 7), rtol=1e-4
    )
    reasons = model.explain(3, 7)
    assert reasons.score == pytest.approx(wanted[7], rel=1e-4)
    assert reasons.contributions.sum() == pytest.approx(wanted[7], rel=1e-4)
    assert model.user_factors_.shape == (50, 9)


def test_neighbours_are_the_same_whatever_is_scored(tmp_path):
    data = walks(80)
    models = [Item2Vec(scoring=scoring, **QUICK).fit(data) for scoring in ("next", "similar")]
    for model in models:
        model.save(tmp_path / "model.fastrec")
        models = [*models, load(tmp_path / "model.fastrec")]
    tops = [model.similar_items(np.arange(60), 5) for model in models]
    small = [compress(model, "float16") for model in models[:2]]
    for top in tops[1:]:
        np.testing.assert_allclose(top.scores, tops[0].scores, rtol=1e-5)
    for model, top in zip(small, tops, strict=False):
        np.testing.assert_allclose(model.similar_items(np.arange(60), 5).scores, top.scores, rtol=1e-2)
        mine, theirs = model.recommend(data.matrix, 5), models[small.index(model)].recommend(data.matrix, 5)
        np.testing.assert_allclose(mine.scores, theirs.scores, rtol=1e-2, atol=1e-2)
        assert model.similar_users([3], 4).scores[0, 0] == pytest.approx(
            float(models[small.index(model)].similar_users([3], 4).scores[0, 0]), abs=1e-2
        )


def test_updates_train_the_same_vectors_whatever_is_scored():
    first, then = walks(60), walks(60, seed=1)
    both = [Item2Vec(scoring=scoring, **QUICK).fit(first).partial_fit(then) for scoring in ("next", "similar")]
    np.testing.assert_allclose(both[0].context_factors_, both[1].context_factors_, rtol=1e-3, atol=1e-5)
    bias = np.log(both[0].item_counts_).astype("f4")
    np.testing.assert_array_equal(both[0].item_factors_[:, -1], bias)  # of the present counts


def test_a_file_without_the_option_is_of_what_there_was(tmp_path):
    model = Item2Vec(scoring="similar", **QUICK).fit(walks(50))
    model.save(tmp_path / "now.fastrec")
    arrays, record = read_arrays(tmp_path / "now.fastrec")
    for option in ("scoring", "popularity_exponent", "recency"):
        del record["options"][option]
    del record["learned"]["center_factors_"]
    write_arrays(tmp_path / "then.fastrec", arrays, record)
    again = load(tmp_path / "then.fastrec")
    assert again.scoring == "similar"
    np.testing.assert_array_equal(again.recommend(range(50), 5).scores, model.recommend(range(50), 5).scores)
    record["options"]["scoring"] = "next"
    write_arrays(tmp_path / "wrong.fastrec", arrays, record)
    with pytest.raises(FileError, match="where width is 9"):
        load(tmp_path / "wrong.fastrec")


@pytest.mark.parametrize("window", [None, 1, 5])
def test_sequences_of_one_event_and_repeats_have_no_pairs(window):
    users, items = np.array([0, 1, 2, 3, 3, 3]), np.array([0, 1, 2, 1, 1, 1])
    data = Interactions(users, items, times=np.arange(6), time_unit="s", duplicates="sum")
    model = Item2Vec(4, window=window, iterations=2, random_state=0).fit(data)
    np.testing.assert_array_equal(model.loss_curve_, 0)
    np.testing.assert_array_equal(model.center_factors_.any(axis=1), True)
    assert not np.isin(1, model.recommend(3, 2).codes)


def test_validation_keeps_the_best_epoch():
    model = Item2Vec(validation_fraction=0.2, n_iter_no_change=2, **{**QUICK, "iterations": 30}).fit(walks())
    assert model.validation_curve_.shape == (model.n_iter_,)
    assert model.validation_curve_.max() > 0.1


def test_the_best_epoch_is_kept():
    options = {
        **QUICK,
        "factors": 16,
        "validation_fraction": 0.2,
        "n_iter_no_change": 20,
        "n_jobs": 1,
        "scoring": "similar",
    }
    long = Item2Vec(**options).fit(walks(100))
    best = int(long.validation_curve_.argmax())
    assert best + 1 < long.n_iter_
    short = Item2Vec(callback=lambda epoch, seconds, loss: epoch == best + 1, **options).fit(walks(100))
    for name in ("item_factors_", "item_norms_", "context_factors_"):
        np.testing.assert_array_equal(getattr(long, name), getattr(short, name))


def test_divergence_names_the_learning_rate():
    with pytest.raises(FloatingPointError, match=r"Item2Vec has diverged. A learning_rate below 1e\+30 may help"):
        Item2Vec(factors=4, learning_rate=1e30, random_state=0).fit(walks(50))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(window=0), "Item2Vec.window must be an integer of at least 1, got 0"),
        (dict(n_negatives=0), "Item2Vec.n_negatives"),
        (dict(scoring="last"), "Item2Vec.scoring"),
        (dict(popularity_exponent=9), "Item2Vec.popularity_exponent"),
        (dict(subsample=-1), "Item2Vec.subsample"),
        (dict(learning_rate=0), "Item2Vec.learning_rate"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        Item2Vec(**options).fit(np.eye(3))
