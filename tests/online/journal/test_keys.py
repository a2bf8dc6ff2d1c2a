"""Values derived from a secret key."""

from fastrec.online.journal.keys import Keys


def test_hashes_tell_types_purposes_and_keys_apart():
    keys = Keys(b"secret")
    hashes = {keys.hash_user(42), keys.hash_user("42"), keys.hash_event("42"), Keys(b"other").hash_user(42)}
    assert len(hashes) == 4
    assert {keys.name, keys.seed} != {Keys(b"other").name, Keys(b"other").seed}
    assert Keys(b"secret").hash_user("é") == keys.hash_user("é")
