"""The attributes and texts of the client's errors."""

import pytest

pytest.importorskip("httpx", reason="needs fastrec[client]")

from fastrec.client import ServerError


def test_only_what_may_pass_is_temporary():
    assert [ServerError(status, "x").is_temporary for status in (401, 422, 429, 500, 503, 507)] == [
        False, False, True, False, True, False,
    ]  # fmt: skip
