"""The contest: the hidden part, the tried options, and the models that stay in."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastrec as fr
from fastrec.evaluation.automatic import contest as contest_module
from fastrec.evaluation.automatic.contest import BEST_FAMILIES, FINALISTS, OTHER_PARTS, Contest, hide_events
from fastrec.evaluation.automatic.families import Shape, families_for
from fastrec.evaluation.automatic.planning import Plan


def made_up(n_users=40, n_items=12, seed=0, times=False):
    rng = np.random.default_rng(seed)
    users, items = np.nonzero(rng.random((n_users, n_items)) < 0.5)
    when = rng.integers(0, 10**6, len(users)) if times else None
    values = rng.integers(1, 6, len(users))
    return fr.Interactions(users, items, values, when, users=np.arange(n_users), items=np.arange(n_items))


@settings(max_examples=30)
@given(st.integers(1, 30), st.integers(0, 99), st.booleans())
def test_a_fifth_of_each_users_events_is_hidden_the_last_or_random_ones(n_users, seed, last):
    data = made_up(n_users, seed=seed, times=True)
    counts = np.bincount(data.user_codes, minlength=n_users)
    if not (counts >= 3).any():
        return
    train, test = hide_events(data, seed, "last" if last else "random")
    hidden = np.bincount(test.user_codes, minlength=n_users)
    assert hidden.tolist() == np.where(counts >= 3, np.maximum(1, counts // 5), 0).tolist()
    assert train.n_interactions + test.n_interactions == data.n_interactions
    if last:
        for user in np.flatnonzero(hidden):
            assert train.times[train.user_codes == user].max() <= test.times[test.user_codes == user].min()


def test_events_of_one_pair_stay_together():
    data = fr.Interactions(np.repeat(np.arange(9), 20), np.tile(np.repeat(np.arange(10), 2), 9))
    train, test = hide_events(data, 0, "random")
    pairs = [set(zip(part.user_codes.tolist(), part.item_codes.tolist(), strict=True)) for part in (train, test)]
    assert not pairs[0] & pairs[1]


def test_only_some_users_are_asked_of_many(monkeypatch):
    monkeypatch.setattr(contest_module, "MOST_JUDGES", 7)
    monkeypatch.setattr(contest_module, "FEWEST_JUDGES", 3)
    data = made_up()
    train, test = hide_events(data, 0, "random")
    assert len(np.unique(test.user_codes)) == 7
    assert train.n_interactions + test.n_interactions == data.n_interactions
    monkeypatch.setattr(contest_module, "HIDDEN_EVENTS", 1)
    assert len(np.unique(hide_events(data, 0, "random").test.user_codes)) == 3


def test_last_events_need_times():
    with pytest.raises(ValueError, match="to hide the last events needs times"):
        hide_events(made_up(), 0, "last")


def test_nothing_to_hide_is_told():
    with pytest.raises(ValueError, match="no user has three interactions"):
        hide_events(fr.Interactions([0, 0, 1], [0, 1, 1]), 0, "random")


def hold(data, plan, seed=0):
    told = []
    part = "random" if data.times is None else "last"
    families = families_for(Shape(*data.shape, data.n_interactions, part == "last"))
    options = dict(metric="ndcg@5", seed=seed, n_jobs=1, tell=told.append)
    contest = Contest(data, families[:5], ["binary", "raw"], plan, part=part, **options)
    return contest, contest.run(), told


def test_the_better_half_goes_on_and_the_same_seed_gives_the_same():
    contest, entries, told = hold(made_up(), Plan(2, 1.0))
    assert told == entries
    assert {entry.hidden for entry in entries} == {"random"}
    families = [{entry.family for entry in entries if entry.round == round_} for round_ in (1, 2, 3)]
    assert [len(found) for found in families] == [5, 3, 2]
    best = {name: max(e.score for e in entries if e.family == name and e.round == 1) for name in families[0]}
    assert min(best[name] for name in families[1]) >= max(best[name] for name in families[0] - families[1])
    assert all(entry.options == {} for entry in entries if entry.round == 1)  # the defaults, on each form
    again = hold(made_up(), Plan(2, 1.0))[1]
    assert [entry[:6] for entry in again] == [entry[:6] for entry in entries]
    places = [(entry.share, entry.parts, entry.score) for entry in contest.ranked()]
    assert places == sorted(places, reverse=True)


def test_the_best_of_few_events_are_repeated_on_other_hidden_parts():
    contest, entries, _ = hold(made_up(), Plan(2, 1.0))
    repeated = [entry for entry in entries if entry.parts > 1]
    by_family = [[entry for entry in repeated if entry.family == name] for name in {e.family for e in repeated}]
    assert all(FINALISTS <= len(entries) <= FINALISTS + 1 for entries in by_family)
    assert all(any(not entry.options for entry in entries) for entries in by_family)
    assert len({entry.family for entry in repeated}) == BEST_FAMILIES
    assert {entry.parts for entry in repeated} == {1 + OTHER_PARTS}
    assert contest.ranked()[0].score == max(entry.score for entry in repeated)
    winner = contest.ranked()[0]
    family = next(family for family in contest.families if family.name == winner.family)
    assert contest.score_new(family.make(winner.options, winner.form, 0, 1)) == pytest.approx(winner.score)


@pytest.mark.parametrize("errors", [0.0, 0.9, 1.1, 5.0])
def test_defaults_within_a_standard_error_of_the_best_are_taken(errors):
    contest, entries, _ = hold(made_up(), Plan(1, 1.0))
    values = np.random.default_rng(0).normal(size=80)
    values += errors * values.std() / 80**0.5 - values.mean()  # the lead is so many standard errors
    best = entries[0]._replace(family="EASE", options={"regularization": 9.0}, form="raw", parts=1, score=0.5)
    others = [best._replace(family="ItemKNN", options={}), best._replace(options={}), best._replace(form="binary")]
    contest.entries = [best, *(entry._replace(score=0.4) for entry in others)]
    contest._by_user = [values, np.zeros(80), np.zeros(80), np.zeros(80)]
    assert contest.best() == contest.entries[2 if errors <= 1 else 0]
    contest.entries[0] = best._replace(options={})  # the best are defaults, on another form
    assert contest.best() == contest.entries[0]


def test_there_is_but_one_part_of_last_events():
    entries = hold(made_up(times=True), Plan(2, 1.0))[1]
    assert {(entry.hidden, entry.parts) for entry in entries} == {("last", 1)}


def test_rounds_on_some_users_end_with_all():
    contest, entries, _ = hold(made_up(200), Plan(2, 0.5))
    assert {entry.share for entry in entries} == {0.5, 1.0}
    assert contest.ranked()[0].share == 1.0
    repeated = [entry.family for entry in entries if entry.share == 1.0]
    assert len(repeated) == len(set(repeated)) == BEST_FAMILIES


def test_a_part_of_the_users_is_learned_from_without_the_rarest_items():
    rng = np.random.default_rng(0)
    items = np.minimum(rng.geometric(0.02, 8000) - 1, 299)
    users, when = rng.integers(0, 400, 8000), np.arange(8000)
    data = fr.Interactions(users, items, times=when, items=np.arange(300) * 7, duplicates="last")
    train, test = hold(data, Plan(1, 0.5))[0].sample
    found = np.bincount(items, minlength=300)
    left = train.items.decode(np.arange(train.shape[1])) // 7
    assert train.shape[0] <= 200
    assert train.n_interactions + test.n_interactions == pytest.approx(0.95 * 4000, rel=0.05)
    assert len(left) < (found > 0).sum()
    assert found[left].min() >= 0.3 * np.median(found[found > 0])
    assert set(np.flatnonzero(found >= 20)) <= set(left)


def test_a_family_that_fails_is_out(monkeypatch):
    def fail(self, options, form, seed, n_jobs):
        raise ValueError("no room")

    data = made_up()
    families = families_for(Shape(*data.shape, data.n_interactions, False))[:2]
    monkeypatch.setattr(type(families[0]), "make", fail)
    options = dict(part="random", metric="ndcg@5", seed=0, n_jobs=1, tell=lambda entry: None)
    contest = Contest(data, families, ["raw"], Plan(1, 1.0), **options)
    with pytest.raises(ValueError, match="no model could be fitted; the first failed with: ValueError: no room"):
        contest.run()
    assert all(math.isnan(entry.score) for entry in contest.entries)
