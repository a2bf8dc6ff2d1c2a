"""Files of earlier versions load for ever, and answer as they did: see tests/fixtures/upgrades/make.py.

The folded scores of SGDFactorization with "bpr", "warp" and "logistic" are those of a later fold-in, which begins
elsewhere and takes shorter steps. Its files and the scores of known users are of the earlier version.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import fastrec as fr
from fastrec.online import Event, Journal
from tests.fixtures.upgrades import make

FOLDER = Path(__file__).parent / "fixtures" / "upgrades"
ANSWERS = json.loads((FOLDER / "answers.json").read_text())
MODELS, INDEXES = ANSWERS["models"], ANSWERS["indexes"]


def close(scores, expected):
    """Compares scores up to the rounding of a CPU, and fold-in, which has become more exact, more loosely."""
    largest = max((abs(score) for score in np.ravel(expected) if score > -1e30), default=1.0)
    np.testing.assert_allclose(scores, expected, rtol=5e-3, atol=5e-3 * largest)


def histories(n_items):
    X = make.matrix()[3:6]
    return sp.hstack([X, sp.csr_array((3, n_items - X.shape[1]), dtype=np.float32)]).tocsr()


@pytest.mark.parametrize("name", MODELS)
def test_models_load_and_answer_as_before(name):
    told, model = MODELS[name], fr.load(FOLDER / f"{name}.fastrec")
    assert type(model).__name__ == told["class"]
    users, n_items = told["users"], model.n_features_in_
    items = list(range(n_items)) if model.items_ is None else np.asarray(model.items_.ids).tolist()
    pairs = [model.predict_pairs([user] * n_items, items) for user in users]
    close(pairs, told["pairs"])
    top = model.recommend(users, k=4)
    close(make.listed(top.scores), told["scores"])
    for row, codes in enumerate(top.codes):  # only ties and near ties may change places
        kept = codes[codes >= 0]
        if not top.fallback[row]:
            close(np.asarray(told["pairs"])[row][kept], top.scores[row][: len(kept)])
    close(make.listed(model.recommend(histories(n_items), k=4).scores), told["folded_scores"])
    close(make.listed(model.similar_items(items[:3], k=3).scores), told["similar_scores"])


@pytest.mark.parametrize("name", INDEXES)
def test_indexes_load_and_answer_as_before(name):
    kind = fr.ExactIndex if name.startswith("Exact") else fr.IVFIndex
    top = kind.load(FOLDER / f"{name}.fastrec").search(make.vectors()[:3] + np.float32(0.125), 5)
    assert top.codes.tolist() == INDEXES[name]["codes"]
    close(top.scores, INDEXES[name]["scores"])


def test_a_journal_opens_and_goes_on(tmp_path):
    path = tmp_path / "journal.sqlite"
    shutil.copyfile(FOLDER / "journal.sqlite", path)
    with Journal(path) as log:
        assert log.time_unit == "ms"
        assert log.last_seq() == ANSWERS["journal_last"]
        events = [event for event in log.read(0) if isinstance(event, Event)]
        assert [list(event[:6]) for event in events] == ANSWERS["journal"]
        assert all(event.recommendation is None for event in events)
        assert [checkpoint.version for checkpoint in log.checkpoints()] == ["v1"]
        log.append([("ann", "Alien", 4.0, 1_700_000_000_000, "click-1")])  # known by its id
        assert len(log.history("ann")) == 1
        log.append([("new", "Alien", 4.0, 1_700_000_000_000, "click-9")])
        assert len(log.history("new")) == 1


def test_every_class_has_a_file():
    kinds = {told["class"] for told in MODELS.values()}
    assert kinds >= {"CompressedFactors", "CompressedWeights"}
    made = {path.stem for path in FOLDER.glob("*.fastrec")}
    assert made == {*MODELS, *INDEXES}
