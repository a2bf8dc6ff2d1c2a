"""One model is chosen for both the next items and other items that users like."""

import numpy as np
from sklearn.base import clone

import fastrec as fr
from fastrec.evaluation.automatic import compromise
from fastrec.evaluation.automatic.compromise import find_compromise
from fastrec.evaluation.automatic.contest import Contest
from fastrec.evaluation.automatic.families import Shape, families_for
from fastrec.evaluation.automatic.planning import Plan


def run_contests(data, names):
    """Runs the contests for last and for random events, each with one family at its defaults."""
    contests = []
    for part, name in names.items():
        families = [one for one in families_for(Shape(*data.shape, data.n_interactions, True)) if one.name == name]
        options = dict(part=part, metric="ndcg@5", seed=0, n_jobs=1, tell=lambda entry: None)
        contests.append(Contest(data, families, ["raw"], Plan(1, 1.0), **options))
        contests[-1].run()
    return contests


def circles(n=150, seed=0):
    """Returns events in which items of a circle and items of three groups take turns."""
    rng = np.random.default_rng(seed)
    taste, start = rng.integers(0, 3, n), rng.integers(0, 12, n)
    likes = np.array([12 + 10 * kind + rng.permutation(10)[:7] for kind in taste])
    steps = (start[:, None] + np.arange(7)) % 12
    items = np.concatenate([likes, steps], axis=1)
    return fr.Interactions(np.repeat(np.arange(n), 14), items.ravel(), times=np.tile(np.arange(14), n))


def test_if_winners_differ_a_blend_keeps_most_of_the_last_events_and_is_better_for_random_ones():
    contests = run_contests(circles(), {"last": "SequenceRules", "random": "EASE"})
    found = find_compromise(contests, blend=False)
    assert isinstance(found.model, fr.Blend)
    assert [type(model).__name__ for model in found.model.models] == ["SequenceRules", "EASE"]
    assert 'validation="last"' in found.reason
    assert 'validation="random"' in found.reason
    alone = [contest.make(contest.best()) for contest in contests]
    weight, step = found.model.weights[0], 1 / 2**compromise.HALVINGS
    less = clone(found.model).set_params(weights=[weight - step, 1 - weight + step])
    scores = {}
    for name, model in {"blend": found.model, "less": less, "last": alone[0], "random": alone[1]}.items():
        scores[name] = np.array([contest.score(model.fit(contest.whole.train)) for contest in contests])
    best = np.array([scores["last"][0], scores["random"][1]])
    shares = {name: found / best for name, found in scores.items()}
    assert shares["less"][0] < compromise.KEPT <= shares["blend"][0]
    assert shares["blend"][1] > 1.1 * shares["last"][1]


def test_a_winner_that_is_good_in_both_is_taken_as_it_is(monkeypatch):
    contests = run_contests(circles(), {"last": "Popularity", "random": "Popularity"})
    found = find_compromise(contests, blend=False)
    assert isinstance(found.model, fr.Popularity)
    assert "it has 100% of the best score" in found.reason
    monkeypatch.setattr(compromise, "ENOUGH", 2.0)  # a Blend is tried, and loses
    assert not isinstance(find_compromise(contests, blend=False).model, fr.Blend)
