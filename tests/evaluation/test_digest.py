import datetime
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import scipy.sparse as sp
from scipy import stats
from sklearn.pipeline import make_pipeline

import fastrec as fr
from fastrec.evaluation.digest import digest


def spoilt(array, place, value):
    array = np.array(array)
    array[place] = value
    return array


LONG = np.zeros(5000)
PAIRS = fr.Interactions([0, 0, 1], [0, 1, 1])

UNLIKE = [
    (1, 1.0),
    (1, True),
    (1, "1"),
    ("ab", ["a", "b"]),
    (["ab", "c"], ["a", "bc"]),
    ([1, [2]], [[1], 2]),
    ([1], (1,)),
    ({"a": 1}, {"a": 2}),
    ({1, 2}, {1, 3}),
    (LONG, spoilt(LONG, 2500, 1)),
    (LONG, LONG.reshape(50, 100)),
    (LONG, LONG.astype(np.float32)),
    (np.array(["a", "bc"], object), np.array(["ab", "c"], object)),
    (sp.csr_array(np.eye(3)), sp.csr_array(np.eye(3, k=1))),
    (PAIRS, fr.Interactions([0, 0, 1], [0, 1, 0], items=range(2))),
    (PAIRS, fr.Interactions([0, 0, 1], [0, 1, 1], users=["a", "b"])),
    (PAIRS, fr.Interactions([0, 0, 1], [0, 1, 1], times=[1, 2, 3])),
    (PAIRS, fr.Interactions([0, 0, 1], [0, 1, 1], item_info={"title": ["a", "b"]})),
    (fr.ImplicitALS(4), fr.ImplicitALS(5)),
    (fr.ImplicitALS(), fr.ExplicitALS()),
    (fr.FixedFactors(LONG, LONG), fr.FixedFactors(LONG, spoilt(LONG, 2500, 1))),
    (make_pipeline(fr.KCore(2, 2), fr.EASE()), make_pipeline(fr.KCore(2, 3), fr.EASE())),
    (stats.uniform(0, 1), stats.uniform(0, 2)),
    (stats.uniform(0, 1), stats.norm(0, 1)),
    (stats.rv_discrete(values=([1, 2], [0.5, 0.5]))(), stats.rv_discrete(values=([1, 3], [0.5, 0.5]))()),
    (stats.uniform, stats.norm),
    (stats.rv_discrete(values=([1, 2], [0.5, 0.5])), stats.rv_discrete(values=([1, 3], [0.5, 0.5]))),
    (partial(max, 1), partial(max, 2)),
    (datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)),
    (np.random.default_rng(0), np.random.default_rng(1)),
    (np.add, np.multiply),
    ([1, 2].index, [1, 3].index),
]


@pytest.mark.parametrize(("one", "other"), UNLIKE)
def test_unlike_values_have_unlike_digests(one, other):
    assert digest(one) != digest(other)
    assert digest([one]) != digest(one)


def test_what_gives_the_same_has_the_same_digest():
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest(sp.csr_array(np.eye(3))) == digest(sp.coo_array(np.eye(3)))
    assert digest(LONG[::2]) == digest(LONG[:2500])
    assert digest(fr.ImplicitALS(n_jobs=1, verbose=True)) == digest(fr.ImplicitALS(n_jobs=2))


def test_a_digest_is_the_same_in_another_process():
    made = "[stats.norm(0), stats.uniform, fr.EASE(3), {'b', 'a'}, np.arange(3), print, np.random.default_rng(0)]"
    code = "import numpy as np, fastrec as fr; from scipy import stats; from fastrec.evaluation.digest import digest; "
    shown = subprocess.run([sys.executable, "-c", f"{code}print(digest({made}))"], check=True, capture_output=True)
    assert shown.stdout.decode().strip() == digest(eval(made))


@pytest.mark.parametrize("value", [lambda: 1, (n for n in ())])
def test_what_pickle_cannot_keep_is_refused(value):
    with pytest.raises(ValueError, match="cannot be told from others of its kind"):
        digest(value)


def test_a_circle_is_refused():
    circle = []
    circle.append(circle)
    with pytest.raises(ValueError, match="refers to itself"):
        digest(circle)
