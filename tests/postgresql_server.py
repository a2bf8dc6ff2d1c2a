"""Runs a PostgreSQL server for tests, on a port and in a folder of its own, if its programs are installed."""

import importlib.util
import os
import shutil
import socket
import subprocess
from pathlib import Path


def find_programs():
    """Returns the folder of the server's programs: the system's, or those of PyPI's pgserver; None without any."""
    found = [path.parent for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)]
    on_path = shutil.which("initdb")
    if on_path:
        found.append(Path(os.path.realpath(on_path)).parent)
    package = importlib.util.find_spec("pgserver")
    if package is not None and package.origin:
        found += [path.parent for path in Path(package.origin).parent.glob("pginstall/bin/initdb")]
    return next(iter(found), None)


class PostgreSQLServer:
    """A server that can be started, stopped and killed."""

    def __init__(self, programs, folder, host="127.0.0.1", command=()):
        self._programs, self._folder, self._command = programs, folder, list(command)
        self.host = host
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._data = folder / "data"
        # The server refuses to run as root.
        self._user = ["runuser", "-u", "postgres", "--"] if os.name != "nt" and os.getuid() == 0 else []
        if self._user:
            shutil.chown(folder, "postgres")
        self._call("initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--locale=C")

    def _call(self, program, *arguments):
        subprocess.run(
            [*self._command, *self._user, self._programs / program, *arguments],
            check=True, cwd=self._folder, stdout=subprocess.DEVNULL, timeout=60,
        )  # fmt: skip

    def start(self):
        # No fsync: the tests kill processes, and not machines.
        options = f"-p {self.port} -h {self.host} -k {self._folder} -c fsync=off -c shared_buffers=16MB"
        if self.host != "127.0.0.1":
            (self._data / "pg_hba.conf").write_text("host all all 0.0.0.0/0 trust\n")
        self._call("pg_ctl", "-D", self._data, "-o", options, "-l", self._folder / "log", "-w", "start")

    def stop(self, how="fast"):
        """Ends the server; "immediate" is what a kill is to it."""
        self._call("pg_ctl", "-D", self._data, "-m", how, "-w", "stop")

    def address(self, schema="public", user="postgres"):
        options = f"?options=-csearch_path%3D{schema}"
        return f"postgresql://{user}@{self.host}:{self.port}/postgres{options}"

    def files(self):
        """Returns the files of tables."""
        return [path for path in (self._data / "base").rglob("*") if path.is_file()]
