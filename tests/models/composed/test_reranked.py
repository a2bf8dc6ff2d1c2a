"""Re-ranked models give the same answer in every way to ask; all wrappers of models do, or refuse by name."""

import copy
import csv
import inspect
import pickle

import numpy as np
import pytest
from sklearn.base import clone

import fastrec as fr
from fastrec.matrix.rows import hide_part, pick_rows
from fastrec.metrics import ndcg
from fastrec.models.base.audience import Audience
from fastrec.models.base.recommender import Recommender
from fastrec.models.base.registry import estimators, loadable
from fastrec.online import Event, Snapshot
from fastrec.storage import FileError, read_arrays, write_arrays

RNG = np.random.default_rng(0)
X = (RNG.random((40, 60)) < 0.2).astype(np.float32)
GENRES = np.array(["Drama", "Comedy", "War|Drama", "War"])[np.arange(60) % 4]
DATA = fr.Interactions.from_matrix(
    X, users=[f"u{n}" for n in range(40)], items=np.arange(100, 160), item_info={"genre": GENRES}
)

RULES = {
    "mmr": fr.MMR(0.9),
    "mmr by a column": fr.MMR(0.7, "genre"),
    "mmr by vectors": fr.MMR(0.7, RNG.normal(size=(60, 3))),
    "calibration": fr.Calibration(0.9, "genre"),
    "cap": fr.GroupCap(1, "genre"),
    "cap by labels": fr.GroupCap(1, GENRES.tolist()),
}
INNER = {
    "ImplicitALS": lambda: fr.ImplicitALS(8, iterations=2, random_state=0),
    "EASE": fr.EASE,
    "Blend": lambda: fr.Blend([fr.PureSVD(4, random_state=0), fr.ItemKNN(5)], weights=[1, 2]),
    "Reranked": lambda: fr.Reranked(fr.PureSVD(4, random_state=0), fr.GroupCap(2, "genre")),
}


def wrappers():
    """Returns a fitted model of every class that is made of other models, by name."""
    made = {f"{name}, {rule}": (INNER[name], RULES[rule]) for name in INNER for rule in RULES}
    if_vectors = {"mmr": ("ImplicitALS", "Reranked")}
    found = {
        name: lambda inner=inner, rule=rule: fr.Reranked(inner(), rule, 30).fit(DATA)
        for name, (inner, rule) in made.items()
        if name.split(", ")[0] in if_vectors.get(name.split(", ")[1], INNER)
    }
    found["Blend"] = lambda: INNER["Blend"]().fit(DATA)
    found["Switch"] = lambda: fr.Switch([fr.EASE(), fr.ItemKNN(5)], [3]).fit(DATA)
    found["Slots"] = lambda: fr.Slots([fr.EASE(), fr.Popularity()]).fit(DATA)  # slots have scores of their own
    found["TwoStage"] = lambda: fr.TwoStage([fr.EASE(), fr.ItemKNN(5)], candidates=60, random_state=0).fit(DATA)
    found["Pipeline"] = lambda: fr.Pipeline([("weights", fr.TfidfWeight()), ("model", fr.EASE())]).fit(DATA)
    found["CompressedFactors"] = lambda: fr.compress(INNER["ImplicitALS"]().fit(DATA), "int8")
    found["CompressedWeights"] = lambda: fr.compress(fr.EASE().fit(DATA), "int8")
    found["FixedFactors"] = lambda: fr.FixedFactors(*(RNG.normal(size=(n, 4)) for n in (40, 60))).fit(DATA)
    found["Reranked, compressed"] = lambda: fr.Reranked(found["CompressedFactors"](), fr.GroupCap(1, "genre"))
    return found


WRAPPERS = wrappers()


@pytest.fixture(scope="module")
def made():
    models = {}

    def get(name):
        if name not in models:
            models[name] = WRAPPERS[name]()
        return models[name]

    return get


every = pytest.mark.parametrize("name", WRAPPERS)


def lists(model, users=None, k=5, **options):
    return model.recommend(DATA.users.ids if users is None else users, k, **options).codes


def test_every_class_made_of_models_is_here():
    """The table has the classes that hold another model, and those that cannot be fitted."""
    kinds = {name.split(",")[0] for name in WRAPPERS} | {"Reranked"}
    not_fitted = loadable().keys() - estimators().keys()
    holding = {
        name
        for name, kind in loadable().items()
        if any({"members_", "origin_", "inner_"} & set(inspect.get_annotations(base)) for base in kind.__mro__)
    }
    assert {name for name in not_fitted | holding if loadable()[name].__module__.startswith("fastrec.")} <= kinds


@every
def test_a_file_of_recommendations_holds_the_models_lists(made, name, tmp_path):
    model, path = made(name), tmp_path / "all.csv"
    model.recommend_to(path, k=5, batch_size=7)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    expected = model.recommend(DATA.users.ids, 5)
    assert [int(row["item"]) for row in rows] == expected.items[expected.valid].tolist()
    assert [row["user"] for row in rows] == np.repeat(expected.users, expected.valid.sum(axis=1)).tolist()


@every
def test_a_score_is_that_of_the_models_lists(made, name):
    model = made(name)
    histories, truth = hide_part(model._histories(DATA))
    rows = np.flatnonzero(np.diff(truth.indptr))
    codes = lists(model, pick_rows(histories, rows), 10)
    assert model.score(DATA) == pytest.approx(float(np.mean(ndcg(codes, pick_rows(truth, rows), 10))))


@every
def test_a_report_is_about_the_models_lists(made, name):
    model = made(name)
    _, test = fr.split_random(DATA, 0.3, random_state=0)
    report = fr.evaluate(model, test, ["ndcg@5"], exclude_seen=False)
    rows = np.flatnonzero(np.diff(test.matrix.indptr))
    own = ndcg(lists(model, DATA.users.ids[rows], exclude_seen=False), pick_rows(test.matrix, rows), 5)
    assert report.mean("ndcg@5") == pytest.approx(float(np.mean(own)))


@every
@pytest.mark.parametrize("way", ["file", "pickle", "copy"])
def test_a_copy_is_the_model(made, name, way, tmp_path):
    model = made(name)
    if way == "file":
        model.save(tmp_path / "model.fastrec")
        back = fr.load(tmp_path / "model.fastrec")
    else:
        back = copy.copy(model) if way == "copy" else pickle.loads(pickle.dumps(model))
    assert type(back) is type(model)
    for users in (None, DATA[:9]):
        np.testing.assert_array_equal(lists(back, users), lists(model, users))
    np.testing.assert_array_equal(lists(back, deny=[101, 107]), lists(model, deny=[101, 107]))
    if way == "file" and getattr(type(model), "learns", True) is not False:
        np.testing.assert_array_equal(lists(clone(back).fit(DATA)), lists(clone(model).fit(DATA)))


@every
def test_histories_and_single_users_are_answered_as_the_batch(made, name):
    model = made(name)
    whole = lists(model)
    for row in (0, 3):
        np.testing.assert_array_equal(lists(model, DATA.users.ids[row]), whole[row : row + 1])
    np.testing.assert_array_equal(model.predict(DATA), lists(model, DATA, 1)[:, 0])
    known = model.answer(Audience.of_users(model, np.array([3], np.int32)), 5)
    np.testing.assert_array_equal(known.codes, whole[3:4])


@every
def test_scores_beside_lists_are_those_of_the_pairs(made, name):
    model = made(name)
    top = model.recommend(DATA.users.ids, 5)
    rows, places = np.nonzero(top.valid & ~top.fallback[:, None])
    pairs = model.predict_pairs(DATA.users.ids[rows], top.items[rows, places])
    np.testing.assert_allclose(pairs, top.scores[rows, places], rtol=1e-5)


@every
def test_a_snapshot_answers_as_the_model(made, name):
    model = made(name)
    snapshot = Snapshot(model)
    np.testing.assert_array_equal(snapshot.recommend(["u3"], 5).codes, lists(model, "u3"))
    later = snapshot.after([Event("u3", 107, seq=1), Event("new", 103, seq=2)])
    row = model.histories([[103]])
    np.testing.assert_array_equal(later.recommend(["new"], 5).codes, lists(model, row))


PROTOCOL = [
    name
    for name, member in inspect.getmembers(Recommender)
    if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property))
]


@pytest.mark.parametrize("kind", [fr.Reranked, *(loadable()[name] for name in ("Blend", "CompressedFactors"))])
def test_a_wrapper_hands_on_no_method_unseen(kind):
    """A class and its bases define every answer of a recommender, and `__getattr__` gives no method."""
    for name in PROTOCOL:
        assert inspect.getattr_static(kind, name, None) is not None
    model = fr.Reranked(fr.ImplicitALS(4, iterations=1).fit(X), fr.MMR())
    with pytest.raises(AttributeError, match="'Reranked' object has no attribute 'decode_items'"):
        model.decode_items([0])
    assert model.item_factors_.shape == (60, 4)
    with pytest.raises(AttributeError) as refused:
        fr.Reranked(fr.Popularity().fit(DATA), fr.GroupCap(1, "genre")).explain("u1", 100)
    assert "explain" in str(refused.value)
    with pytest.raises(TypeError, match="compress its model"):
        fr.compress(model)
    with pytest.raises(TypeError, match="re-rank the Blend"):
        fr.Blend([model]).fit(X)


def test_updates_keep_the_rule():
    inner = fr.ImplicitALS(4, iterations=2, random_state=0).fit(DATA)
    model = fr.Reranked(inner, fr.Calibration(0.9, "genre"))
    before = lists(model)
    new = fr.Interactions(
        [0, 0, 1], [0, 1, 2], users=["u3", "x"], items=[100, 101, 999], item_info={"genre": ["Drama", "Comedy", "War"]}
    )
    assert model.partial_fit(new) is model
    updated = copy.copy(inner).partial_fit(new)
    again = fr.Reranked(updated, fr.Calibration(0.9, "genre"))
    users = ["u3", "x", "u5"]
    np.testing.assert_array_equal(lists(model, users), lists(again, users))
    assert model.n_features_in_ == 61
    np.testing.assert_array_equal(lists(fr.Reranked(inner, fr.Calibration(0.9, "genre"))), before)
    capped = fr.Reranked(inner, fr.GroupCap(1, GENRES))
    with pytest.raises(ValueError, match=r"GroupCap.groups has 60 rows, the model has 61 items"):
        capped.partial_fit(new)
    assert capped.n_features_in_ == 60
    model.update_users(["u3"], model.histories([[101]]), how="replace")
    np.testing.assert_array_equal(
        lists(model, "u3"), lists(fr.Reranked(model.inner_[0], fr.Calibration(0.9, "genre")), "u3")
    )
    assert lists(model.build_index(), exact=True).tolist() == lists(copy.copy(model).exact_model()).tolist()


def test_options_act_at_once_and_clones_are_fitted_anew():
    inner = fr.ImplicitALS(4, iterations=2, random_state=0).fit(DATA)
    model = fr.Reranked(inner, fr.MMR(0.9))
    model.set_params(rule=fr.GroupCap(1, "genre"), depth=20)
    np.testing.assert_array_equal(lists(model), lists(fr.Reranked(inner, fr.GroupCap(1, "genre"), 20)))
    copied = clone(model)
    assert not copied.__sklearn_is_fitted__()
    np.testing.assert_array_equal(lists(copied.fit(DATA)), lists(model))
    scores = fr.cross_validate({"model": copied}, DATA, cv=0.2, metrics=["ndcg@5"])
    assert scores is not None


def test_a_rule_that_no_file_holds_is_refused_by_name(tmp_path):
    model = fr.Reranked(fr.EASE().fit(X), lambda top, k, histories: fr.GroupCap(1, GENRES)(top, k))
    np.testing.assert_array_equal(
        model.recommend(range(40)).codes,
        fr.Reranked(fr.EASE().fit(X), fr.GroupCap(1, GENRES)).recommend(range(40)).codes,
    )
    with pytest.raises(TypeError, match=r"Reranked\.rule_"):
        model.save(tmp_path / "model")


@pytest.mark.parametrize("rule", [fr.GroupCap(1, [[1.0], [1.0]]), fr.Calibration(features=[[1.0], [1.0]])])
def test_a_file_with_negative_shares_or_labels_is_refused(rule, tmp_path):
    path = tmp_path / "model.fastrec"
    fr.Reranked(fr.Popularity().fit(np.eye(2)), rule).save(path)
    arrays, record = read_arrays(path, mapped=False)
    name = next(name for name in arrays if name in ("rule", "rule/data"))
    write_arrays(path, {**arrays, name: -arrays[name]}, record)
    with pytest.raises(FileError, match="must not be negative"):
        fr.load(path)
