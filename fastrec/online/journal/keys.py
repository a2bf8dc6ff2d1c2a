"""Keys: the values derived from a journal's secret key."""

from hashlib import blake2b
from zlib import crc32

from fastrec.online.journal.events import Id


class Keys:
    """A journal's name, the seed of its checksums, and its hashes of ids, which differ by type and purpose.

    Parameters
    ----------
    key
        The secret key, which differs in every journal.
    """

    def __init__(self, key: bytes) -> None:
        self.seed = crc32(key)
        self.name = blake2b(digest_size=16, key=key, person=b"journal").hexdigest()
        self._keyed = {
            (purpose, kind == b"/str"): blake2b(digest_size=16, key=key, person=purpose + kind)
            for purpose in (b"event", b"user")
            for kind in (b"/str", b"/int")
        }

    def hash_event(self, given: str) -> bytes:
        """Returns the hash of an event's id."""
        return self._hash(b"event", given)

    def hash_user(self, user: Id) -> bytes:
        """Returns the hash of a user's id."""
        return self._hash(b"user", user)

    def _hash(self, purpose: bytes, given: Id) -> bytes:
        is_text = isinstance(given, str)
        keyed = self._keyed[purpose, is_text].copy()
        keyed.update(given.encode("utf-8", "surrogatepass") if isinstance(given, str) else b"%d" % given)
        return keyed.digest()
