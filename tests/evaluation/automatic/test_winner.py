"""The winner of a contest."""

import numpy as np
import pytest

import fastrec as fr
from fastrec.evaluation.automatic import winner as winner_module
from fastrec.evaluation.automatic.contest import Contest
from fastrec.evaluation.automatic.families import Shape, families_for
from fastrec.evaluation.automatic.planning import Plan
from fastrec.evaluation.automatic.winner import find_winner


@pytest.fixture(scope="module")
def contest():
    rng = np.random.default_rng(0)
    X = np.kron(np.eye(3), np.ones((20, 8))) * (rng.random((60, 24)) < 0.6)
    data = fr.Interactions.from_matrix(X)
    families = families_for(Shape(*data.shape, data.n_interactions, False))[:3]
    options = dict(part="random", metric="ndcg@5", seed=0, n_jobs=1, tell=lambda entry: None)
    made = Contest(data, families, ["raw"], Plan(1, 1.0), **options)
    made.run()
    return made


def test_without_a_blend_the_best_trial_wins(contest):
    winner = find_winner(contest, blend=False)
    assert winner.entry == contest.best()
    assert repr(winner.model) == repr(contest.make(winner.entry))
    assert winner.reason.startswith(f"ndcg@5 {winner.entry.score:.4f} on the hidden events, ")


def test_a_blend_wins_where_it_is_worth_it(contest, monkeypatch):
    score = contest.score_new

    def score_weighed(blend):
        found = score(blend)
        blend.weights_ = np.ones(len(blend.weights_))
        return found

    monkeypatch.setattr(contest, "score_new", score_weighed)
    for worth, wins in ((-1.0, True), (9.0, False)):
        monkeypatch.setattr(winner_module, "WORTH", worth)
        winner = find_winner(contest, blend=True)
        assert isinstance(winner.model, fr.Blend) == wins
        assert ("this Blend of the best families" in winner.reason) == wins


@pytest.mark.parametrize(("weights", "members"), [([1.0, 0.0, 0.0], 0), ([0.5, 0.0, 1.0], 2), ([1.0, 1.0, 1.0], 3)])
def test_members_without_a_weight_are_no_part_of_a_blend(contest, monkeypatch, weights, members):
    monkeypatch.setattr(winner_module, "WORTH", -1.0)
    monkeypatch.setattr(winner_module, "NEAR", 0.0)

    def score(blend):
        blend.weights_ = np.array(weights)
        return 1.0

    monkeypatch.setattr(contest, "score_new", score)
    model = find_winner(contest, blend=True).model
    assert len(getattr(model, "models", ())) == members
    assert members == 0 or model.weights == [weight for weight in weights if weight]
