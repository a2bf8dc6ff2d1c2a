import json
import os
import pickle
import subprocess
import sys
import zlib

import numpy as np
import pytest
import safetensors.numpy
import scipy.sparse as sp

from fastrec.data import Interactions
from fastrec.models import Popularity, load, save
from fastrec.models.base import persistence
from fastrec.storage import FileError, read_arrays, write_arrays
from tests.reference.tiny_factors import TinyFactors


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.fastrec"


def random_matrix():
    return sp.random_array((12, 9), density=0.4, rng=0, format="csr", dtype=np.float32)


def named_data(**options):
    return Interactions([0, 0, 1], [0, 1, 2], [1.0, 2.0, 3.0], users=["ann", "bøb"], items=["a", "b/c", ""], **options)


def test_the_file_is_open_to_others(path):
    model = TinyFactors(random_state=0).fit(named_data())
    save(model, path)
    arrays = {name: a for name, a in safetensors.numpy.load_file(path).items() if not name.startswith("__")}
    np.testing.assert_array_equal(arrays["item_factors"], model.item_factors_)
    np.testing.assert_array_equal(arrays["seen/indptr"], [0, 2, 3])
    assert arrays["users/utf8"].tobytes() == "annbøb".encode()
    record = read_arrays(path)[1]
    assert record["class"] == "TinyFactors"
    assert record["options"] == {"factors": 4, "random_state": 0, "n_jobs": None}
    assert record["options_left_out"] == []


def test_arrays_in_a_file_without_a_model_are_no_model(path):
    write_arrays(path, {"a": np.zeros(3)}, {"what": "else"})
    with pytest.raises(FileError, match="holds arrays, but no fastrec model"):
        load(path)
    safetensors.numpy.save_file({"a": np.zeros(3)}, path)
    with pytest.raises(FileError, match="holds arrays, but no fastrec model"):
        load(path)


def test_no_code_of_a_pickle_is_run(path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(path) + ".ran",)

    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(FileError, match="is a pickle"):
        load(path)
    assert not os.path.exists(str(path) + ".ran")


def forge(path, change):
    """Writes a file with sound checksums whose content makes no sense."""
    arrays, record = read_arrays(path)
    arrays = {name: array.copy() for name, array in arrays.items()}
    change(arrays, record)
    write_arrays(path, arrays, record)


def put(name, value):
    return lambda arrays, record: arrays.update({name: value(arrays[name])})


def learn(name, **fields):
    return lambda arrays, record: record["learned"].update({name: fields})


FORGERIES = [
    (lambda arrays, record: record.update({"class": "os.system"}), "not one of fastrec's"),
    (lambda arrays, record: record.update({"class": ["Popularity"]}), None),
    (lambda arrays, record: record.update({"class": "Recommender"}), "not one of fastrec's"),
    (lambda arrays, record: record["options"].update({"shape": 3}), "has no option 'shape'"),
    (lambda arrays, record: record.pop("options"), "options"),
    (lambda arrays, record: record["learned"].pop("seen_"), "seen_"),
    (lambda arrays, record: record["learned"].pop("item_factors_"), "item_factors_"),
    (lambda arrays, record: record["learned"].pop("user_factors_"), "user_factors_"),
    (lambda arrays, record: record["learned"].pop("users_"), "users_"),
    (learn("__class__", kind="value", value=1), "has no attribute '__class__'"),
    (learn("fit", kind="value", value=1), "has no attribute 'fit'"),
    (learn("n_iter_", kind="code"), "code"),
    (learn("seen_", kind="value", value=None), None),
    (learn("n_features_in_", kind="value", value=10), "n_features_in_ must be of shape"),
    (
        learn("item_info_", kind="columns", columns=[{"name": "x", "kind": "vocabulary"}]),
        "not of a kind that columns can have",
    ),
    (lambda arrays, record: arrays.pop("seen/indices"), "indices"),
    (lambda arrays, record: record["learned"]["seen_"].update(shape=[12, 8]), "n_items is 8"),
    (lambda arrays, record: record["learned"]["seen_"].update(shape=[2**70, 9]), "fit"),
    (lambda arrays, record: record["learned"]["seen_"].update(shape=["a", 9]), None),
    (put("seen/indices", lambda a: a + 1), "must be codes below 9"),
    (put("seen/indices", lambda a: a[::-1].copy()), "must rise in each row"),
    (put("seen/indices", lambda a: a.astype(np.int64)), "types"),
    (put("seen/indices", lambda a: a[:-1]), "fit each other"),
    (put("seen/indptr", lambda a: a[::-1].copy()), "must run from 0"),
    (put("seen/indptr", lambda a: a * 2), "must run from 0"),
    (put("seen/data", lambda a: a.reshape(1, -1)), "fit each other"),
    (put("item_factors", lambda a: a[:-1]), "must be of shape"),
    (put("item_factors", lambda a: a.astype(np.float64)), "must be an array of float32"),
    (put("item_factors", lambda a: a.ravel()), None),
    (put("user_factors", lambda a: a[:, :2]), "must be of shape"),
    (put("user_factors", lambda a: np.full_like(a, np.nan)), "must hold finite numbers"),
    (put("item_counts", lambda a: a[:-1]), "item_counts_ must be of shape"),
    (put("item_counts", lambda a: a + 1), "item_counts_ must be the number of users"),
]


@pytest.mark.parametrize(("change", "reason"), FORGERIES)
def test_files_whose_parts_do_not_fit_are_refused(path, change, reason):
    save(TinyFactors(random_state=0).fit(random_matrix()), path)
    forge(path, change)
    with pytest.raises(FileError, match=reason) as caught:
        load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (put("items/offsets", lambda a: a[::-1].copy()), None),
        (put("items/offsets", lambda a: a[:-1]), "order must be of shape"),
        (put("users/utf8", lambda a: a[:-1]), None),
        (lambda arrays, record: arrays.pop("users/utf8"), None),
        (put("item_scores", lambda a: a.astype(np.int8)), "must be an array of float32"),
    ],
)
def test_vocabularies_that_do_not_fit_are_refused(path, change, reason):
    save(Popularity().fit(named_data()), path)
    forge(path, change)
    with pytest.raises(FileError, match=reason):
        load(path)


def test_arrays_that_lie_unaligned_are_copied_into_place(path):
    model = TinyFactors(random_state=0).fit(random_matrix())
    arrays, record = persistence.describe(model)
    odd = {"!": np.zeros(1, np.uint8), **{name: np.ascontiguousarray(array) for name, array in arrays.items()}}
    told = {"fastrec": json.dumps({"format_version": 1, "crc32": {}, "metadata": record})}
    content = safetensors.numpy.save(odd, {**told, "fastrec_header_crc32": "00000000"})
    length = 8 + int.from_bytes(content[:8], "little")
    head = content[8:length].replace(b'_crc32":"00000000"', b'_crc32":"%08x"' % zlib.crc32(content[8:length]))
    path.write_bytes(content[:8] + head + content[length:])
    again = load(path, verify="header")
    assert again.item_factors_.flags.aligned
    np.testing.assert_array_equal(again.recommend(range(12)).codes, model.recommend(range(12)).codes)


def test_a_model_loads_in_another_process(path):
    model = Popularity().fit(named_data(item_info={"title": ["Ä", "B", "C"]}))
    model.save(path)
    script = "import fastrec, sys; print(fastrec.load(sys.argv[1]).recommend('ann').items.tolist())"
    output = subprocess.run(
        [sys.executable, "-X", "utf8", "-W", "error", "-c", script, str(path)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert output.strip() == str(model.recommend("ann").items.tolist())
