"""Compressed factors: few bytes, nothing inflated, and users that are kept up to date."""

import copy
import gc
import pickle
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp

import fastrec as fr
from fastrec.compression import ResidualCodec
from fastrec.models import compress, load
from fastrec.models.base.registry import estimators
from fastrec.storage import read_arrays, write_arrays
from tests import test_estimators as shared
from tests.models.composed.factor_models import FACTOR_MODELS, QUICK, overlap, random_matrix


def test_every_family_of_factors_is_tried():
    tried = {type(model) for model in FACTOR_MODELS.values()}
    families = {kind for kind in estimators().values() if issubclass(kind, fr.models.FactorRecommender)}
    ordered = {kind for kind in families if kind.needs_order}  # its own tests compress it: values are places there
    assert ordered == {fr.SequenceAttention}
    assert families - ordered - tried == {shared.estimators()["TinyFactors"]} & set(estimators().values())


@pytest.fixture(scope="module")
def wide():
    """Returns a model whose factors outweigh all else: 3000 users, 2000 items, 128 factors, few events."""
    rng = np.random.default_rng(0)
    X = sp.csr_array(
        (np.ones(6000, np.float32), (rng.integers(0, 3000, 6000), rng.integers(0, 2000, 6000))), (3000, 2000)
    )
    users, items = (rng.normal(size=(n, 128)).astype(np.float32) for n in (3000, 2000))
    return fr.FixedFactors(users, items, n_jobs=1).fit(X)


@pytest.mark.parametrize(("codec", "most"), [("float16", 0.5), ("int8", 0.26), ("int4", 0.128)])
def test_memory_and_file_are_a_half_a_quarter_an_eighth(codec, most, wide, tmp_path):
    full = wide.user_factors_.nbytes + wide.item_factors_.nbytes
    shared_bytes = (
        wide.gramian_.nbytes + 2 * (128 * 128 + 256) * 4
    )  # and axes and steps, which do not grow with the catalogue
    small = compress(wide, codec)
    assert small.item_codes_.nbytes + small.user_codes_.nbytes <= most * full
    wide.save(tmp_path / "wide.fastrec")
    small.save(tmp_path / "small.fastrec")
    other = (tmp_path / "wide.fastrec").stat().st_size - full
    assert (tmp_path / "small.fastrec").stat().st_size <= most * full + shared_bytes + other + 4096
    held = len(pickle.dumps(small)) - (len(pickle.dumps(wide)) - 2 * full)  # its options are its factors once more
    assert held <= most * full + shared_bytes + 8192


@pytest.mark.parametrize("codec", ["float16", "int8", "int4", "pq"])
def test_nothing_is_inflated(codec, wide, tmp_path):
    compress(wide, codec).save(tmp_path / "small.fastrec")
    small = load(tmp_path / "small.fastrec")
    asks = [
        lambda: small.recommend(range(64), 10),
        lambda: small.recommend(5, 10),
        lambda: small.similar_items(range(8), 10),
        lambda: small.predict_pairs(range(50), range(50)),
        lambda: small.transform(wide.seen_[:8]),
    ]
    for ask in asks:
        ask()  # kernels are compiled, and kept arrays are made
        gc.collect()
        tracemalloc.start()
        ask()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < wide.item_factors_.nbytes / 2


def test_decoding_on_request(wide):
    small = compress(wide, "int8")
    np.testing.assert_allclose(small.decode_items([3, 1999]), wide.item_factors_[[3, 1999]], atol=0.05)
    np.testing.assert_allclose(small.decode_users(7), wide.user_factors_[[7]], atol=0.05)
    assert not hasattr(small, "item_factors_")
    with pytest.raises(ValueError, match="items must be codes from 0 to 1999, got 2000"):
        small.decode_items([0, 2000])


def test_files_that_do_not_fit_together_are_refused(fitted, tmp_path):
    """The files are not altered by accident, which checksums would find, but written with wrong contents."""
    compress(fitted("bpr"), "int8").save(tmp_path / "m.fastrec")
    arrays, record = read_arrays(tmp_path / "m.fastrec")
    names = [column["name"] for column in record["learned"]["kept_"]["columns"]]
    pool = f"kept/{names.index('whole/pool')}"
    bad = {
        "item_codes": arrays["item_codes"][:-1],
        "user_codes": arrays["user_codes"][:, :-1],
        pool: arrays[pool] + 1000,
    }
    for name, array in bad.items():
        write_arrays(tmp_path / "bad.fastrec", {**arrays, name: array}, record)
        with pytest.raises(ValueError, match="holds no model that can be loaded"):
            load(tmp_path / "bad.fastrec")
    nan = arrays["item_codes"].copy()
    nan[3, -8:] = 255
    write_arrays(tmp_path / "bad.fastrec", {**arrays, "item_codes": nan}, record)
    with pytest.raises(ValueError, match="lengths of what is coded of item_factors_"):
        load(tmp_path / "bad.fastrec")


@pytest.mark.parametrize("codec", ["float16", "int8", "int4", "pq", "binary+int8"])
@pytest.mark.parametrize("name", [name for name in FACTOR_MODELS if name != "EASE"])
def test_changed_users_are_folded_in_and_items_stay(name, codec, fitted):
    small, X = compress(fitted(name), codec), random_matrix()
    more = sp.csr_array(np.where(np.arange(60)[:, None] % 7 == 3, random_matrix(seed=5).toarray(), 0).astype("f4"))
    before, answers = copy.copy(small), small.recommend(range(60)).codes
    items = small.item_codes_.copy()
    assert small.partial_fit(more) is small
    np.testing.assert_array_equal(small.item_codes_, items)
    np.testing.assert_array_equal(small.seen_.toarray(), (X + more).toarray())
    changed = np.flatnonzero(more.sum(axis=1))
    again = small.codecs_["user_factors_"].transform(small.transform(small.seen_[changed]))
    np.testing.assert_array_equal(small.user_codes_[changed], again)
    others = np.setdiff1d(np.arange(59), changed)  # the last user has no history, and gets popular items
    np.testing.assert_array_equal(small.user_codes_[others], before.user_codes_[others])
    np.testing.assert_array_equal(small.recommend(others).codes, answers[others])
    np.testing.assert_array_equal(before.recommend(range(60)).codes, answers)
    assert not small.user_codes_.flags.writeable


@pytest.mark.parametrize("name", [name for name in FACTOR_MODELS if name != "EASE"])
def test_new_users_and_items_join(name, fitted, tmp_path):
    small = compress(fitted(name), "int8")
    cells = [(3, 39), (64, 1), (64, 2), (64, 41)]
    later = fr.Interactions(
        *(np.array(part) for part in zip(*cells, strict=True)), np.ones(4), users=range(65), items=range(42)
    )
    small.partial_fit(later)
    assert small.seen_.shape == (65, 42)
    assert small.n_features_in_ == 42
    top = small.recommend(range(60, 65), k=50)
    assert top.fallback.tolist() == [True] * 4 + [False]
    assert not np.isin(top.codes[4], (1, 2, 40, 41)).any(), "neither seen items, nor those without a vector"
    rows = small.codecs_["user_factors_"].transform(small.transform(small.seen_[[64]]))
    np.testing.assert_array_equal(small.user_codes_[[64]], rows)
    small.save(tmp_path / "small.fastrec")
    again = load(tmp_path / "small.fastrec")
    np.testing.assert_array_equal(again.recommend(range(65)).codes, small.recommend(range(65)).codes)
    one, other = again.update_users([64, 2], random_matrix(2, 42)), small.update_users([64, 2], random_matrix(2, 42))
    np.testing.assert_array_equal(one.user_codes_, other.user_codes_)
    if "explain" in small.capabilities:
        assert small.explain(64, 5).items.size


@pytest.mark.parametrize("name", [name for name in FACTOR_MODELS if name != "EASE"])
@pytest.mark.parametrize("codec", ["float16", "int8", "pq"])
@pytest.mark.parametrize("value", [1e6, 1e14])
def test_an_extreme_event_makes_no_update_fail(name, codec, value, fitted):
    model, other = (compress(fitted(name), codec) for _ in range(2))
    histories = np.zeros((2, 40), np.float32)
    histories[0, 3], histories[1, 5:8] = value, 1
    top = model.update_users([0, 1], histories).recommend([0, 1, 2], k=5)
    assert np.isfinite(top.scores).all()
    plain = other.update_users([1], histories[1:]).recommend([1, 2], k=5)
    assert top.codes[1:].tolist() == plain.codes.tolist(), "others are answered as before"


def test_a_failed_update_leaves_a_compressed_model_as_it_was(fitted):
    small = compress(fitted("ImplicitALS"), "int8")
    answers = small.recommend(range(60)).codes
    for bad, error in ((random_matrix(59), ValueError), (random_matrix(60, 39), ValueError)):
        with pytest.raises(error):
            small.partial_fit(bad)
    small._fold_in = lambda matrix: 1 / 0
    with pytest.raises(ZeroDivisionError):
        small.partial_fit(random_matrix(seed=3))
    del small._fold_in
    np.testing.assert_array_equal(small.recommend(range(60)).codes, answers)


def test_users_with_features_are_not_updated():
    model = fr.ImplicitALS(**QUICK).fit(random_matrix(), user_features=np.eye(60, 5))
    with pytest.raises(TypeError, match="users have features cannot be updated"):
        compress(model).partial_fit(random_matrix(seed=3))


@pytest.mark.parametrize("name", [name for name in FACTOR_MODELS if name not in ("EASE", "FixedFactors")])
def test_users_may_be_folded_in_instead_of_kept(name, fitted, tmp_path):
    model, X = fitted(name), random_matrix()
    small = compress(model, "int8", user_codec="histories")
    assert small.user_codes_.shape == (60, 0)
    assert list(small.codecs_) == [key for key in compress(model, "int8").codecs_ if key != "user_factors_"]
    assert small.compressed_bytes_ < compress(model, "int8").compressed_bytes_ - 60 * 16
    np.testing.assert_array_equal(small.decode_users([3, 0]), small.transform(X[[3, 0]]))
    shared.same(small.recommend(range(60)), small.recommend(X))
    assert overlap(model.recommend(range(59), 5), small.recommend(range(59), 5)) > 0.8
    with pytest.raises(TypeError, match="and this model keeps none"):
        small.similar_users([0])
    small.partial_fit(random_matrix(seed=5))
    shared.same(small.recommend(range(60)), small.recommend(small.seen_))
    small.update_users([64], random_matrix(1, 40, seed=6))
    small.save(tmp_path / "m.fastrec")
    again = load(tmp_path / "m.fastrec")
    shared.same(again.recommend(range(65)), small.recommend(range(65)))
    assert again.seen_.shape == (65, 40)
    assert again.user_codes_.shape == (65, 0)


def test_users_that_do_not_follow_from_histories_are_kept(fitted):
    with pytest.raises(ValueError, match="do not follow from histories alone"):
        compress(fitted("FixedFactors"), "int8", user_codec="histories")
    model = fr.ImplicitALS(**QUICK).fit(random_matrix(), user_features=np.eye(60, 5))
    with pytest.raises(ValueError, match="do not follow from histories alone"):
        compress(model, "int8", user_codec="histories")
    with pytest.raises(ValueError, match="or 'histories', got 'history'; did you mean 'histories'"):
        compress(model, "int8", user_codec="history")
    folded = fr.FixedFactors(None, np.random.default_rng(0).normal(size=(40, 16))).fit(random_matrix())
    assert compress(folded, "int8", user_codec="histories").recommend(range(5)).valid.all()


def test_an_index_stays_with_the_original(tmp_path):
    X = random_matrix(80, 600, density=0.05)
    model = fr.ImplicitALS(**QUICK).fit(X)
    compress(model).save(tmp_path / "plain.fastrec")
    model.build_index(fr.IVFIndex(n_probe=3, random_state=0))
    small = compress(model)
    small.save(tmp_path / "indexed.fastrec")
    assert (tmp_path / "plain.fastrec").read_bytes() == (tmp_path / "indexed.fastrec").read_bytes()
    with pytest.raises(TypeError, match="takes no index"):
        small.build_index()


def test_given_users_without_a_history_are_answered_as_before(tmp_path):
    rng = np.random.default_rng(0)
    X = random_matrix(6, 5)
    users, items = rng.normal(size=(6, 8)), rng.normal(size=(5, 8))
    users[4] = 0
    X = sp.csr_array(X.toarray() * np.array([1, 0, 1, 1, 0, 1])[:, None])
    model = fr.FixedFactors(users, items).fit(X)
    compress(model, "float16").save(tmp_path / "m.fastrec")
    small = load(tmp_path / "m.fastrec")
    np.testing.assert_array_equal(small.recommend(range(6)).fallback, model.recommend(range(6)).fallback)
    np.testing.assert_array_equal(small.recommend(range(6), 2).codes, model.recommend(range(6), 2).codes)


def test_a_residual_codec_ranks_the_best_of_the_coarse_codes_again():
    rng = np.random.default_rng(0)
    users, items = rng.normal(size=(20, 32)).astype(np.float32), rng.normal(size=(3000, 32)).astype(np.float32)
    model = fr.FixedFactors(users, items).fit(sp.csr_array((20, 3000), dtype=np.float32))
    found = {}
    for depth in (10, 400):
        small = compress(model, ResidualCodec(depth=depth), user_codec="float16")
        found[depth] = overlap(model.recommend(range(20), 10), small.recommend(range(20), 10))
    assert found[10] < found[400]
    assert found[400] > 0.95
