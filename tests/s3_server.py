"""Runs an S3-compatible server for tests: moto's, in this process."""

import contextlib
import itertools
import logging
import urllib.request

import pytest


class Bucket:
    """A bucket, and the environment that leads S3 clients to its server."""

    def __init__(self, endpoint):
        self.environment = {
            "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
        }  # fmt: skip
        self._numbers = itertools.count()
        urllib.request.urlopen(urllib.request.Request(f"{endpoint}/shop", method="PUT")).close()

    def new_address(self):
        return f"s3://shop/models-{next(self._numbers)}"


@contextlib.contextmanager
def running():
    pytest.importorskip("s3fs", reason="needs fastrec[s3]")
    moto = pytest.importorskip("moto.server", reason="needs moto[server]")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield Bucket("http://{}:{}".format(*server.get_host_and_port()))
    finally:
        server.stop()
