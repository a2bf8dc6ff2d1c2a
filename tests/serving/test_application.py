"""The layers around a server's application."""

import pytest

pytest.importorskip("starlette", reason="needs fastrec[serve]")
pytest.importorskip("uvicorn", reason="needs fastrec[serve]")
from fastrec.serving.access_log import Logged
from fastrec.serving.app import create_app
from fastrec.serving.rate_limits import Limited
from fastrec.serving.settings import Settings


def test_refused_requests_are_logged_too(tmp_path):
    plain = create_app(Settings(model="none"))
    app = create_app(Settings(model="none", rate_limit=1, access_log=str(tmp_path / "log")))
    assert (type(app), type(app._app), type(app._app._app)) == (Logged, Limited, type(plain))
    assert app.server is app._app._app.server
    assert app.whole_paths == plain.whole_paths
