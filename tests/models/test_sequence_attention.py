"""SequenceAttention as its users meet it."""

import numpy as np
import pytest

import fastrec as fr
from fastrec.models import SequenceAttention, compress, load

QUICK = dict(
    factors=16, blocks=1, window=10, learning_rate=0.01, iterations=10, batch_size=128, random_state=0, n_jobs=1
)


def walk(n_users=240, n_items=24, seed=0):
    """Returns users who go up the catalogue, even ones by one item at a time, odd ones by two."""
    rng = np.random.default_rng(seed)
    users = np.repeat(np.arange(n_users), 6)
    items = (rng.integers(n_items, size=n_users)[users] + np.tile(np.arange(6), n_users) * (1 + users % 2)) % n_items
    return fr.Interactions(
        users, items, times=np.arange(len(users)), time_unit="s", users=range(n_users), items=range(n_items)
    )


def share_found(model, data, last):
    return np.mean(model.recommend(data, k=1).codes[:, 0] == last)


@pytest.mark.parametrize("options", [{}, {"negatives": 8}, {"heads": 3, "hidden": 20}])
def test_the_next_item_is_found_by_the_steps_before_in_histories_never_seen(options):
    # By the last item alone, two next items are equally likely.
    train, test = fr.split_last(walk(seed=1), 1)
    last = np.empty(240, int)
    last[test.user_codes] = test.item_codes
    model = SequenceAttention(**{**QUICK, "iterations": 20, **options}, validation_fraction=0).fit(walk(1200))
    assert share_found(model, train, last) > 0.7


@pytest.mark.parametrize("blocks", [0, 1])
def test_answers_hang_on_the_order_of_a_history(blocks):
    model = SequenceAttention(**{**QUICK, "blocks": blocks}).fit(walk())
    there, back = (
        fr.Interactions([0] * 3, [3, 4, 5], times=times, items=range(24)) for times in ([1, 2, 3], [3, 2, 1])
    )
    assert not np.array_equal(model.recommend(there, k=9).codes, model.recommend(back, k=9).codes)
    ordered, turned = np.zeros((2, 24))
    ordered[3:6], turned[3:6] = [1, 2, 3], [9, 8, 7]  # places, of which the largest is the newest
    expected = np.vstack([model.transform(there), model.transform(back)])
    np.testing.assert_array_equal(model.transform([ordered, turned]), expected)


def test_answers_follow_from_histories_alone_in_any_company(tmp_path):
    data = walk()
    model = SequenceAttention(**QUICK).fit(data)
    np.testing.assert_array_equal(model.transform(data), model.user_factors_)
    np.testing.assert_array_equal(model.transform(data[[5]]), model.user_factors_[[5]])
    scores = model.user_factors_ @ model.item_factors_.T
    np.testing.assert_allclose(model.predict_pairs(5, range(24)), scores[5], rtol=1e-4, atol=1e-5)
    assert np.array_equal(model.recommend(data[[7]], k=3).codes, model.recommend([7], k=3).codes)
    model.save(tmp_path / "model.fastrec")
    again = load(tmp_path / "model.fastrec")
    np.testing.assert_array_equal(again.transform(data), model.user_factors_)


def test_fits_are_the_same_to_the_bit_for_any_number_of_threads():
    data = walk(900)
    one, other = (SequenceAttention(**{**QUICK, "n_jobs": n, "iterations": 2}).fit(data) for n in (1, 3))
    for name in ("item_factors_", "user_factors_", "parameters_", "loss_curve_", "validation_curve_"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_training_stops_by_the_events_held_out_and_keeps_the_best_epoch():
    data = walk()
    model = SequenceAttention(**{**QUICK, "iterations": 40}, validation_fraction=0.2, n_iter_no_change=2).fit(data)
    assert model.n_iter_ < 40
    assert model.n_iter_ - 1 - int(np.argmax(model.validation_curve_)) == 2
    best = SequenceAttention(**{**QUICK, "iterations": 40}, validation_fraction=0.2)
    best.callback = lambda epoch, seconds, loss: epoch == int(np.argmax(model.validation_curve_)) + 1
    np.testing.assert_array_equal(best.fit(data).item_factors_, model.item_factors_)
    assert SequenceAttention(**QUICK, validation_fraction=0).fit(data).validation_curve_ is None
    train, test = fr.split_last(data, 1)
    given = SequenceAttention(**QUICK).fit(train, X_val=test)
    assert len(given.validation_curve_) == given.n_iter_


def test_events_of_an_update_count_at_once_and_new_items_are_learned():
    data = walk()
    model = SequenceAttention(**{**QUICK, "iterations": 20}).fit(data)
    before = model.item_factors_
    path = fr.Interactions([0, 0, 0], [18, 19, 20], times=[1, 2, 3], items=range(24))
    model.update_users([0], path, how="replace")
    np.testing.assert_array_equal(model.item_factors_, before)
    assert model.recommend([0], k=1).codes[0, 0] in {21, 22}
    np.testing.assert_array_equal(model.user_factors_[[0]], model.transform(path))
    day = fr.Interactions(np.arange(60), np.zeros(60, int), times=np.arange(60) + 9999, users=range(60), items=[24])
    model.partial_fit(day)
    assert model.item_factors_.shape[0] == 25
    assert model.item_factors_[24].any()


def test_its_vectors_go_into_an_index_and_into_codes():
    data = walk()
    model = SequenceAttention(**{**QUICK, "iterations": 20}).fit(data)
    plain = model.recommend(data, k=3).codes
    small = compress(model, "float16")
    assert np.mean(small.recommend(data, k=3).codes == plain) > 0.95
    assert np.mean(small.recommend(list(range(240)), k=3).codes == plain) > 0.95
    model.build_index(fr.IVFIndex(n_lists=4, n_probe=4, random_state=0))
    assert np.array_equal(model.recommend(data, k=3).codes, plain)


def test_data_that_cannot_be_learned_are_refused():
    with pytest.raises(ValueError, match="SequenceAttention learns from the order of events, but X has no times"):
        SequenceAttention().fit(fr.Interactions([0, 1], [1, 0]))
    with pytest.raises(FloatingPointError, match=r"SequenceAttention has diverged. A learning_rate below 1e\+20"):
        SequenceAttention(**{**QUICK, "learning_rate": 1e20}).fit(walk())
    alone = SequenceAttention(**QUICK).fit(np.eye(4))  # nothing comes next
    assert np.isfinite(alone.user_factors_).all()
