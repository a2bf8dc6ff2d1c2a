"""Access to the server: tokens, each of one scope."""

import hmac
import os
from collections.abc import Mapping
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

from fastrec.serving.asgi import Headers
from fastrec.serving.refusal import Refusal

LARGEST_TOKEN = 1024
TOKENS_OF_A_SCOPE = 2
SHORTEST_ADVISED = 16
# Where tokens are in the environment; that without a scope in its name may do all.
VARIABLES = {
    "FASTREC_TOKEN": "admin",
    "FASTREC_READ_TOKEN": "read",
    "FASTREC_WRITE_TOKEN": "write",
    "FASTREC_ADMIN_TOKEN": "admin",
}


class Scope(StrEnum):
    """The permissions of a token."""

    read = "read"  # ask what follows from users' histories: lists by user id, histories, ids, metrics
    write = "write"  # tell what users did, and what is so of items
    admin = "admin"  # delete users, have models made; and all that the others may


NOTHING: frozenset[Scope] = frozenset()
EVERYTHING = frozenset(Scope)
GRANTS = {Scope.read: frozenset({Scope.read}), Scope.write: frozenset({Scope.write}), Scope.admin: EVERYTHING}

Tokens = Mapping[str, tuple[str, ...]]


class Access:
    """Lets requests in, or refuses them, before anything is looked up.

    Parameters
    ----------
    tokens
        The tokens of each scope; none at all: who reaches this machine's own address may do everything, others may ask
        only what tells nothing of users.
    is_local
        Whether only this machine reaches the server.

    Examples
    --------
    >>> access = Access({"read": ("a-long-secret",)}, is_local=True)
    >>> access.allowed([(b"authorization", b"Bearer a-long-secret")]), access.allowed([])
    (frozenset({<Scope.read: 'read'>}), frozenset())
    """

    def __init__(self, tokens: Tokens, is_local: bool) -> None:
        self.needs_token = any(tokens.values())
        self._without = EVERYTHING if is_local else NOTHING
        self._known = [
            (GRANTS[Scope(scope)], sha256(token.encode()).digest()) for scope, some in tokens.items() for token in some
        ]

    def allowed(self, headers: Headers) -> frozenset[Scope]:
        """The scopes of a request; the time it takes does not hang on how much of a token is right."""
        if not self.needs_token:
            return self._without
        number = self.find_token(headers)
        return NOTHING if number is None else self._known[number][0]

    def find_token(self, headers: Headers) -> int | None:
        """The number of a request's token among those that there are; None if it has none of them."""
        given = [value for name, value in headers if name == b"authorization"]
        kind, _, token = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        if kind.lower() != b"bearer" or len(token) > LARGEST_TOKEN:
            return None
        digest = sha256(token.strip()).digest()
        found = None
        for number, (_, known) in enumerate(self._known):
            if hmac.compare_digest(digest, known):
                found = number
        return found

    def check(self, headers: Headers, scope: Scope) -> None:
        """Refuses a request without the scope, or one from another site's page."""
        if comes_from_elsewhere(headers):
            raise Refusal(403, "what is private is not for pages of other sites")
        allowed = self.allowed(headers)
        if scope in allowed:
            return
        if not self.needs_token:
            raise Refusal(403, "a server that others can reach shows and takes what is private only by a token")
        if not allowed:
            raise Refusal(401, "a token is needed: Authorization: Bearer …", **{"www-authenticate": "Bearer"})
        raise Refusal(403, f"this token may not do so: it needs the scope {scope.value}")


def comes_from_elsewhere(headers: Headers) -> bool:
    """Tells whether a browser sent the request for a page of another site."""
    found = {name: value for name, value in headers if name in (b"origin", b"host")}
    origin = found.get(b"origin")
    return origin is not None and origin.partition(b"://")[2] != found.get(b"host")


def read_tokens(file: Path | None) -> dict[str, tuple[str, ...]]:
    """The tokens of a file, or of the environment if there is no file.

    A line of the file is a scope and a token, or a token alone, which may do everything. Each scope may have two
    tokens, so that a new one can be handed out while the old one still holds.

    Raises
    ------
    ValueError
        If a token could not be sent in a header, where a scope has more than two or is none, or where the file has
        no token.
    """
    if file is None:
        given = [(scope, token) for name, scope in VARIABLES.items() for token in os.environ.get(name, "").split()]
    else:
        lines = [line.split() for line in file.read_text(encoding="utf-8").splitlines()]
        given = [_parse_line(words, file) for words in lines if words and not words[0].startswith("#")]
        if not given:
            raise ValueError(f"{file} has no token in it")
    tokens: dict[str, tuple[str, ...]] = {}
    for scope, token in given:
        tokens[scope] = (*tokens.get(scope, ()), _check_token(token))
        if len(tokens[scope]) > TOKENS_OF_A_SCOPE:
            raise ValueError(f"a scope has at most {TOKENS_OF_A_SCOPE} tokens, {scope!r} has more")
    if len({token for _, token in given}) < len(given):
        raise ValueError("a token is given twice: each belongs to one scope")
    return tokens


def is_short(tokens: Tokens) -> bool:
    """Tells whether a token could be guessed."""
    return any(len(token) < SHORTEST_ADVISED for some in tokens.values() for token in some)


def _parse_line(words: list[str], file: Path) -> tuple[str, str]:
    if len(words) == 1:
        return Scope.admin.value, words[0]
    if len(words) > 2 or words[0] not in list(Scope):
        raise ValueError(f"a line of {file} must be a token, or one of read, write, admin and a token")
    return words[0], words[1]


def _check_token(token: str) -> str:
    if not token.isascii() or not token.isprintable() or len(token) > LARGEST_TOKEN:
        raise ValueError(
            f"a token must be of at most {LARGEST_TOKEN} ASCII letters, digits and signs: a header carries nothing "
            "else safely"
        )
    return token
