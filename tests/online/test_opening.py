"""Versions by their address."""

import sys

import pytest

from fastrec.online import Versions, open_versions
from fastrec.online.opening import is_published


def test_a_path_is_a_folder(tmp_path):
    assert isinstance(open_versions(tmp_path / "models"), Versions)
    assert is_published(str(tmp_path / "models"))
    assert not is_published(str(tmp_path / "model.fastrec"))
    assert is_published("s3://shop/models")


def test_packages_that_a_store_needs_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    monkeypatch.delitem(sys.modules, "fastrec.online.object_store", raising=False)
    monkeypatch.delitem(sys.modules, "fastrec.online.stored_versions", raising=False)
    with pytest.raises(ValueError, match=r"fastrec\[s3\]"):
        open_versions("s3://shop/models")
