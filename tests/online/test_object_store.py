"""Objects of a store by name, and errors that name them."""

import pytest

pytest.importorskip("fsspec", reason="needs fastrec[s3]")

from fastrec.online.object_store import ObjectStore


def test_objects_are_written_read_listed_and_removed(s3, tmp_path):
    store = ObjectStore(s3 + "/")
    assert (store.address, store.names()) == (s3, [])
    store.write("a", b"one")
    (tmp_path / "b").write_bytes(b"twice")
    store.upload(tmp_path / "b", "b")
    assert (sorted(store.names()), store.read("a"), store.size("b")) == (["a", "b"], b"one", 5)
    store.download("b", tmp_path / "c", 0o640)
    assert (tmp_path / "c").read_bytes() == b"twice"
    store.write("a", b"two")
    assert store.read("a") == b"two"
    for _ in range(2):
        store.remove("a")
    assert store.names() == ["b"]


def test_errors_name_the_object(s3, tmp_path, monkeypatch):
    store = ObjectStore(s3)
    for ask in (store.read, store.size, lambda name: store.download(name, tmp_path / name, 0o600)):
        with pytest.raises(FileNotFoundError, match=f"{s3}/none"):
            ask("none")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(OSError, match=f"{s3}/none: .*127.0.0.1:1"):
        ObjectStore(s3).read("none")


def test_an_address_that_is_none_is_refused():
    with pytest.raises(ValueError, match="nowhere"):
        ObjectStore("nowhere://models")
