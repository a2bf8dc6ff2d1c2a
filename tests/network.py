"""Makes hosts for tests: network namespaces of Linux on one bridge, whose lines can be cut so that packets vanish."""

import ctypes
import itertools
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

_NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_NUMBERS = itertools.count()


def _ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=20)


class Host:
    """A namespace with an address; `command` starts a process there."""

    def __init__(self, name, hub, number):
        self.name, self.address = name, f"10.77.0.{number}"
        self._hub, self._line = hub, f"line{number}"
        self.command = ["ip", "netns", "exec", name]
        _ip("netns", "add", name)
        _ip("link", "add", "eth0", "netns", name, "type", "veth", "peer", "name", self._line, "netns", hub)
        _ip("-n", hub, "link", "set", self._line, "master", "bridge", "up")
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "addr", "add", f"{self.address}/24", "dev", "eth0")
        _ip("-n", name, "link", "set", "eth0", "up")
        self._threads = ThreadPoolExecutor(1, initializer=self.enter)

    def enter(self):
        """Moves this thread to the host: new sockets of it, and of threads that it starts, are the host's."""
        descriptor = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        try:
            if ctypes.CDLL(None, use_errno=True).setns(descriptor, _NEW_NETWORK):
                raise OSError(ctypes.get_errno(), "setns")
        finally:
            os.close(descriptor)

    def do(self, work, *given):
        """Returns the result of some work on the host."""
        return self._threads.submit(work, *given).result()

    def cut(self):
        """Drops packets to and from the host: no connection is closed, and no process is notified."""
        _ip("-n", self._hub, "link", "set", self._line, "down")

    def mend(self):
        _ip("-n", self._hub, "link", "set", self._line, "up")

    def close(self):
        self._threads.shutdown()


class Network:
    """Hosts that reach each other and no others."""

    def __init__(self):
        if shutil.which("ip") is None or os.name == "nt" or os.getuid() != 0:
            pytest.skip("needs Linux, iproute2 and root for hosts in network namespaces")
        self._hub, self.hosts = f"fastrec-{os.getpid()}-{next(_NUMBERS)}", []
        try:
            _ip("netns", "add", self._hub)
            _ip("-n", self._hub, "link", "add", "bridge", "type", "bridge")
            _ip("-n", self._hub, "link", "set", "bridge", "up")
        except subprocess.CalledProcessError as error:
            self.close()
            pytest.skip(f"network namespaces are not permitted here: {error.stderr.decode().strip()}")

    def add_host(self):
        number = len(self.hosts) + 1
        self.hosts.append(Host(f"{self._hub}-{number}", self._hub, number))
        return self.hosts[-1]

    def close(self):
        for host in self.hosts:
            host.close()
        for name in [host.name for host in self.hosts] + [self._hub]:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
