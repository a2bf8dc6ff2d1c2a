"""Passes a connection to a server on, and cuts it: at once, or around the next commit."""

import contextlib
import socket
import threading


class Proxy:
    """Passes bytes on between clients and a server."""

    def __init__(self, host, port):
        self._target = host, port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.lines = []
        self.is_cut = False
        self.at_commit = None  # "before": the next COMMIT is not passed on; "after": its answer is not
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        """Ends all lines, and lets no new one through."""
        self.is_cut = True
        self._end(self.lines)

    def mend(self):
        self.is_cut = False

    def close(self):
        self._listener.close()
        self._end(self.lines)

    def _accept(self):
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            if self.is_cut:
                client.close()
                continue
            Line(self, client, socket.create_connection(self._target))

    @staticmethod
    def _end(lines):
        for line in lines:
            line.end()


class Line:
    """A client's connection, and the one to the server that continues it."""

    def __init__(self, proxy, client, server):
        self._proxy, self._client, self._server = proxy, client, server
        self._is_muted = False
        proxy.lines.append(self)
        for passes_on in (self._pass_questions, self._pass_answers):
            threading.Thread(target=passes_on, daemon=True).start()
        if proxy.is_cut:  # since it was accepted: the cut has not seen this line
            self.end()

    def _pass_questions(self):
        with contextlib.suppress(OSError):
            while data := self._client.recv(1 << 16):
                how = self._proxy.at_commit
                if how and b"COMMIT\0" in data:
                    self._proxy.at_commit = None
                    if how == "before":
                        break
                    self._is_muted = True
                self._server.sendall(data)
        self.end()

    def _pass_answers(self):
        with contextlib.suppress(OSError):
            while (data := self._server.recv(1 << 16)) and not self._is_muted:
                self._client.sendall(data)
        self.end()

    def end(self):
        for side in (self._client, self._server):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()
