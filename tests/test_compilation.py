"""Kernels are compiled ahead of time: the chosen ones, for the chosen classes, and the next process finds them."""

import subprocess
import sys

import pytest

import fastrec as fr
from fastrec.compilation import _prepare
from fastrec.models import estimators

COUNT = """
import sys, fastrec as fr, numpy as np
from fastrec.kernels import _jit
model = fr.SGDFactorization(16, loss="logistic", n_jobs=1, iterations=2, random_state=0)
if sys.argv[1] == "warm":
    fr.warmup(models=[model])
else:
    model.fit(np.eye(70, 60) + np.eye(70, 60, 2)).recommend([0, 3])
    model.recommend(np.eye(2, 60))
    model.update_users([0], np.eye(1, 60))
    import numba
    from fastrec.kernels import sgd_folding, sgd_labels, splice
    for kernel in (sgd_labels.step_labels, sgd_folding.fold_labels, splice.count_merged, splice.splice_rows):
        print(sum(kernel.stats.cache_misses.values()), sum(kernel.stats.cache_hits.values()))
"""


def test_the_next_process_compiles_nothing_of_a_model_with_its_options():
    run = [sys.executable, "-c", COUNT]
    subprocess.run([*run, "warm"], check=True)
    found = subprocess.run([*run, "count"], check=True, capture_output=True, text=True)
    assert found.stdout.split() == ["0", "1"] * 4


def test_names_are_prepared_for_all_factors_and_estimators_for_their_own():
    assert [model.factors for model in _prepare("SGDFactorization", [16, 32])] == [16, 32]
    assert len(list(_prepare("EASE", [16, 32]))) == 1
    given = fr.SGDFactorization(48, loss="warp")
    (made,) = _prepare(given, [16])
    assert made is not given
    assert (made.factors, made.loss) == (48, "warp")


@pytest.mark.parametrize("name", [name for name in estimators() if name not in ("MLPRecommender", "TinyFactors")])
def test_every_model_can_be_warmed_up(name):
    assert fr.warmup(16, name) >= 0


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="models must be one of 'Blend'"):
        fr.warmup(models=["LightFM"])
    with pytest.raises(ValueError, match="factors must be an integer"):
        fr.warmup(0)
