"""Forgetting gives the bits of a fit without the users, and no file keeps a byte of them."""

import copy

import numpy as np
import pytest

import fastrec as fr
from fastrec.models import estimators
from fastrec.online import Journal, Versions
from fastrec.privacy import NotPrivateWarning
from tests.test_estimators import assert_same_learned, in_order, quick

ITEMS = [f"item{n}" for n in range(12)]
GONE = ["anna-4711-xyz", "bert-0815-xyz"]
KINDS = [kind for kind in estimators().values() if kind.__module__.startswith("fastrec.models.")]


def data(kind=str, gone=()):
    """Returns the data of forty users; forgotten ones have empty rows."""
    rng = np.random.default_rng(0)
    cells = np.argwhere(rng.random((40, 12)) < 0.4)
    users = (
        [*GONE, *(f"user-{n}" for n in range(38))]
        if kind is str
        else [4_711_081_542_424_711 + 7 * n for n in range(40)]
    )
    cells = cells[~np.isin(cells[:, 0], gone)]
    return fr.Interactions(cells[:, 0], cells[:, 1], rng.integers(1, 4, 400)[cells[:, 1]], users=users, items=ITEMS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_model_is_that_of_a_fit_with_the_rows_emptied(kind):
    model = quick(kind).fit(in_order(kind, data()))
    before = copy.copy(model)
    needed = in_order(kind, data()) if kind.__name__ in ("Blend", "Item2Vec", "SequenceKNN", "TIFUKNN") else None
    receipt = fr.forget(model, GONE, needed)
    if not kind.keeps_users:
        assert receipt.how.startswith("nothing: a private model")
        assert_same_learned(model, before)
        return
    assert receipt.how == "refit"
    assert (receipt.users, receipt.known, receipt.entries) == (2, 2, before.seen_.nnz)
    expected = quick(kind).fit(in_order(kind, data(gone=[0, 1])))
    assert not set(GONE) & set(model.users_.ids.tolist())
    assert model.users_.ids.tolist()[2:] == expected.users_.ids.tolist()[2:]
    expected.users_ = model.users_
    assert_same_learned(without_members(model), without_members(expected))
    assert set(GONE) <= set(before.users_.ids.tolist())


def without_members(model):
    model = copy.copy(model)
    vars(model).pop("members_", None)
    return model


@pytest.mark.parametrize("kind", [str, int])
def test_nothing_of_the_users_is_left_in_any_byte(kind, tmp_path):
    given = data(kind)
    gone = given.users.ids[:2].tolist()
    versions, journal = Versions(tmp_path / "versions"), Journal(tmp_path / "events.db")
    for _ in range(2):
        versions.publish(fr.EASE(5.0).fit(given))
    journal.append([(gone[0], ITEMS[0]), (given.users.ids[5].item() if kind is int else "user-3", ITEMS[1])])
    (tmp_path / "batch.csv").write_text(f"{gone[1]},{ITEMS[2]}\n")
    before = [path for path in tmp_path.rglob("*") if path.is_file() and holds(path, gone)]
    assert len(before) >= 4
    receipt = fr.forget(None, gone, journal=journal, versions=versions, files=[tmp_path / "batch.csv"])
    left = [path for path in tmp_path.rglob("*") if path.is_file() and holds(path, gone)]
    assert left == [tmp_path / "batch.csv"]
    assert receipt.traces == (str(tmp_path / "batch.csv"),)
    assert len(receipt.removed) == 2
    assert [path for path, *_ in receipt.rewritten] == [str(versions.path(versions.current()))]
    assert all(str(user) not in receipt.to_json() for user in gone)
    assert versions.load().model.seen_[[0, 1]].nnz == 0
    assert len(journal.history(gone[0])) == 0
    journal.close()


def holds(path, users):
    content = path.read_bytes()
    forms = [str(user).encode(how) for user in users for how in ("utf-8", "utf-16-le", "utf-16-be")]
    forms += [user.to_bytes(8, order) for user in users if isinstance(user, int) for order in ("little", "big")]
    return any(form in content for form in forms)


def test_a_model_file_is_written_anew(tmp_path):
    path = tmp_path / "m.fastrec"
    fr.Popularity().fit(data()).save(path)
    receipt = fr.forget(path, GONE[0])
    ((name, before, after),) = receipt.rewritten
    assert name == str(path)
    assert before != after
    assert not holds(path, GONE[:1])
    assert holds(path, GONE[1:])


def test_a_model_without_ids_forgets_codes():
    X = data().matrix
    model = fr.ItemKNN().fit(X)
    fr.forget(model, [0, 1])
    X = X.toarray()
    X[:2] = 0
    assert_same_learned(model, fr.ItemKNN().fit(X))
    with pytest.raises(ValueError, match="users must be codes from 0 to 39"):
        fr.forget(model, 40)


def test_a_model_that_cannot_be_fitted_again_needs_the_data_and_stays_unchanged(tmp_path):
    model = fr.Item2Vec(factors=4, random_state=0).fit(data())
    journal = Journal(tmp_path / "e.db")
    journal.append([(GONE[0], ITEMS[0])])
    with pytest.raises(ValueError, match=r"Item2Vec cannot forget users with its own data alone: .* Give the data"):
        fr.forget(model, GONE, journal=journal)
    assert len(journal.history(GONE[0])) == 1
    assert GONE[0] in model.users_
    with pytest.raises(ValueError, match="CompressedFactors cannot forget"):
        fr.forget(fr.compress(fr.ImplicitALS(factors=4, random_state=0).fit(data())), GONE)
    journal.close()


def test_a_dry_run_says_what_would_be_done_and_does_nothing():
    model = fr.EASE(5.0).fit(data())
    receipt = fr.forget(model, GONE, dry_run=True)
    assert (receipt.how, receipt.seconds, receipt.entries) == ("refit", None, model.seen_.nnz)
    assert GONE[0] in model.users_
    assert fr.forget(model, "nobody").how == "nothing: the model knows none of them"


def test_a_stripped_model_has_nothing_to_forget():
    stripped = fr.strip(fr.EASE(5.0).fit(data()))
    receipt = fr.forget(stripped, GONE)
    assert (receipt.how, receipt.known) == ("nothing: the model was stripped of its users", 0)


def test_user_features_are_forgotten_too():
    features = np.random.default_rng(1).random((40, 3)).astype(np.float32)
    model = fr.ImplicitALS(factors=4, random_state=0).fit(data(), user_features=features)
    fr.forget(model, GONE)
    assert model.user_features_[[0, 1]].nnz == 0
    assert model.user_features_[[2]].nnz == 3


def test_a_private_model_with_a_seed_is_left_alone_too(tmp_path):
    model = fr.PrivatePopularity(5.0, 1e-3, noise_seed=0).fit(data())
    with pytest.warns(NotPrivateWarning):
        model.save(tmp_path / "m")
    assert fr.forget(model, GONE).known == 0
