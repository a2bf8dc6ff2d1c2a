"""Files with wrong contents: 300 of the cases of bench/fuzz_files.py, spread over its files, arrays and changes."""

import random
import shutil
from pathlib import Path

import pytest

from bench import fuzz_files

FOLDER = Path(__file__).parent / "fixtures" / "upgrades"
# One file of each family, codec and index: the others differ in ids.
SUBJECTS = [
    *("ImplicitALS-ids", "SGDFactorization-plusplus", "ContentRecommender-matrix", "ItemKNN-ids", "UserKNN-integers"),
    *("EASE-matrix", "GraphFilter-matrix", "Popularity-half-life", "MLPRecommender-normalization", "Blend-ids"),
    *("FixedFactors-matrix", "TwoTowerRecommender-matrix", "PureSVD-matrix", "ExplicitALS-ids", "Item2Vec-matrix"),
    *("compressed-pq", "compressed-binary+int8", "compressed-int4", "compressed-EASE-int8", "features-ImplicitALS"),
    *("index", "ExactIndex-ip-int8", "ExactIndex-l2-float32", "IVFIndex-ip-float16", "IVFIndex-cosine-None"),
]


@pytest.mark.filterwarnings("ignore")
def test_files_that_lie_are_refused_or_answer(tmp_path):
    for name in SUBJECTS:
        shutil.copyfile(FOLDER / f"{name}.fastrec", tmp_path / f"{name}.fastrec")
    rng = random.Random(0)
    cases, allowed = fuzz_files.prepare(tmp_path, rng)
    of_arrays = [case for case in cases if case.kind in {*fuzz_files.ARRAY_CHANGES, "swapped", "missing"}]
    chosen = [*rng.sample(of_arrays, 200), *rng.sample(cases, 60), *fuzz_files.several(cases, rng, 40)]
    failed = [
        f"{case.subject}: {case.place}, {case.kind}: {said}"
        for case, said in fuzz_files.results(tmp_path, chosen, allowed)
        if not fuzz_files.is_well(said)
    ]
    assert not failed, "\n".join(failed)
