"""Access to the server by tokens, each with one scope."""

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
# The environment variables of tokens; the one without a scope in its name allows everything.
VARIABLES = {
    "FASTREC_TOKEN": "admin",
    "FASTREC_READ_TOKEN": "read",
    "FASTREC_WRITE_TOKEN": "write",
    "FASTREC_ADMIN_TOKEN": "admin",
}


class Scope(StrEnum):
    """The permissions of a token."""

    read = "read"  # read answers that depend on users' histories: lists by user id, histories, ids, metrics
    write = "write"  # write events of users, and the state of items
    admin = "admin"  # delete users and make models, and everything that the others allow


NOTHING: frozenset[Scope] = frozenset()
EVERYTHING = frozenset(Scope)
GRANTS = {Scope.read: frozenset({Scope.read}), Scope.write: frozenset({Scope.write}), Scope.admin: EVERYTHING}

Tokens = Mapping[str, tuple[str, ...]]


class Access:
    """Admits or refuses requests before anything is looked up.

    Parameters
    ----------
    tokens
        The tokens of each scope. Without tokens, clients on this machine may do everything, and others get only answers
        that reveal nothing about users.
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
        """Returns the scopes of a request; the time does not depend on how much of a token is right."""
        if not self.needs_token:
            return self._without
        number = self.find_token(headers)
        return NOTHING if number is None else self._known[number][0]

    def find_token(self, headers: Headers) -> int | None:
        """Returns the number of a request's token among the known ones; None if it has none of them."""
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
        """Refuses a request without the scope, or from a page of another site."""
        if comes_from_elsewhere(headers):
            raise Refusal(403, "pages of other sites get no private data")
        allowed = self.allowed(headers)
        if scope in allowed:
            return
        if not self.needs_token:
            raise Refusal(403, "a server that others can reach gives and takes private data only with a token")
        if not allowed:
            raise Refusal(401, "a token is needed: Authorization: Bearer …", **{"www-authenticate": "Bearer"})
        raise Refusal(403, f"this token lacks a scope: use one with the scope {scope.value}")


def comes_from_elsewhere(headers: Headers) -> bool:
    """Tells whether a browser sent the request for a page of another site."""
    found = {name: value for name, value in headers if name in (b"origin", b"host")}
    origin = found.get(b"origin")
    return origin is not None and origin.partition(b"://")[2] != found.get(b"host")


def read_tokens(file: Path | None) -> dict[str, tuple[str, ...]]:
    """Returns the tokens of a file, or of the environment if there is no file.

    A line of the file is a scope and a token, or a token alone, which may do everything. Each scope may have two
    tokens, so that a new one can be handed out while the old one is still valid.

    Raises
    ------
    ValueError
        If a token could not be sent in a header, a scope is unknown or has more than two tokens, or the file has no
        token.
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
        raise ValueError("a token is given twice: give each token one scope")
    return tokens


def is_short(tokens: Tokens) -> bool:
    """Tells whether a token is short enough to be guessed."""
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
