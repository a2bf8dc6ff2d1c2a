"""Model files of commands."""

import stat
import sys

import numpy as np
import pytest

import fastrec as fr
from fastrec.cli.models import load_model, save_model


def test_a_written_model_is_read(tmp_path):
    model = fr.EASE().fit(np.eye(3) + 1)
    save_model(model, tmp_path / "m.fastrec", "640")
    np.testing.assert_array_equal(load_model(tmp_path / "m.fastrec").recommend([0]).codes, model.recommend([0]).codes)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
def test_a_file_has_the_permissions_that_are_told(tmp_path):
    save_model(fr.EASE().fit(np.eye(3) + 1), tmp_path / "m.fastrec", "640")
    assert stat.S_IMODE((tmp_path / "m.fastrec").stat().st_mode) == 0o640
