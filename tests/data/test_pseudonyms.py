"""Pseudonyms: no byte of a model or a journal holds an id, and a caller with the key still gets answers."""

import hashlib

import numpy as np
import pytest

import fastrec as fr
from fastrec.data import pseudonym
from fastrec.data.pseudonyms import Pseudonyms, is_pseudonym, make_pseudonyms, read_key
from fastrec.online import Journal, Versions
from tests.forgetting.test_forget import data, holds

KEY = bytes(range(32))


def test_it_is_a_keyed_hash_that_any_language_can_make():
    wanted = hashlib.blake2b("änna".encode(), digest_size=16, key=KEY, person=b"user/str").hexdigest()
    assert pseudonym("änna", KEY) == wanted
    wanted = hashlib.blake2b(b"-42", digest_size=16, key=KEY, person=b"user/int").hexdigest()
    assert pseudonym(np.int64(-42), KEY) == wanted
    assert len({pseudonym(one, key) for one in (42, "42") for key in (KEY, KEY[:16])}) == 4


@pytest.mark.parametrize(("key", "error"), [("text" * 8, TypeError), (b"short", ValueError), (b"x" * 65, ValueError)])
def test_a_key_must_be_secret(key, error):
    with pytest.raises(error, match="key must"):
        pseudonym("anna", key)


@pytest.mark.parametrize("user", [None, 1.5, float("nan")])
def test_an_invalid_id_has_no_pseudonym(user):
    with pytest.raises((TypeError, ValueError)):
        pseudonym(user, KEY)


def test_codes_stay():
    for ids in (["b", "a", "c"], [7, 3, 2**40]):
        vocabulary = fr.Vocabulary(ids).pseudonymised(KEY)
        assert vocabulary.ids.tolist() == make_pseudonyms(ids, KEY)
        assert vocabulary.encode([pseudonym(one, KEY) for one in ids]).tolist() == [0, 1, 2]
    assert len(fr.Vocabulary([]).pseudonymised(KEY)) == 0


@pytest.mark.parametrize("kind", [str, int])
def test_no_id_is_in_any_byte_and_whose_pseudonym_is_given_is_answered_exported_and_forgotten(kind, tmp_path):
    given = data(kind)
    ids = given.users.ids.tolist()
    versions, path = Versions(tmp_path / "versions"), tmp_path / "events.db"
    plain = fr.EASE(5.0).fit(given)
    versions.publish(fr.EASE(5.0).fit(given.pseudonymised(KEY)))
    user = pseudonym(ids[0], KEY)
    with Journal(path) as journal:
        journal.append([(user, "item3", 1.0, None, "order 1")])
        model = versions.load().model
        np.testing.assert_array_equal(model.recommend(user).codes, plain.recommend(ids[0]).codes)
        assert len(fr.export_user(model, user, journal)["events"]) == 1
    files = [one for one in tmp_path.rglob("*") if one.is_file()]
    assert not [one for one in files if holds(one, [*ids, KEY.decode("latin-1")]) or KEY in one.read_bytes()]
    assert [one for one in files if holds(one, [user])]
    fr.forget(None, user, journal=path, versions=versions)
    assert not [one for one in tmp_path.rglob("*") if one.is_file() and holds(one, [user])]


def test_a_text_stands_for_the_integer_that_it_is_written_as_where_only_that_is_known():
    pseudonyms = Pseudonyms(KEY)
    number, text = pseudonym(42, KEY), pseudonym("42", KEY)
    assert pseudonyms.find("42", {number}.__contains__) == number
    for known in (set(), {text}, {text, number}):
        assert pseudonyms.find("42", known.__contains__) == text
    assert pseudonyms.find(42, {text}.__contains__) == number
    assert pseudonyms.find("042", {number}.__contains__) == pseudonym("042", KEY)
    assert is_pseudonym(number)
    assert not is_pseudonym(number.upper())


def test_a_key_is_read_from_hexadecimal_digits(tmp_path):
    path = tmp_path / "users.key"
    path.write_text(KEY.hex() + "\n")
    assert read_key(path) == KEY
    for content in (KEY, b"", b"ab" * 15, b"ab" * 65, "ключ".encode()):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="32 to 128 hexadecimal digits"):
            read_key(path)
