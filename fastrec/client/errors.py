"""`ServerError`: an error that a server answered with."""


class ServerError(Exception):
    """A server's answer that is an error.

    Parameters
    ----------
    status
        The HTTP status.
    message
        The server's message: the given value, the wanted one, and the remedy.
    field
        The field of the request that is wrong; None if the error concerns the whole request.
    retry_after
        The seconds after which to try again; None if the server does not say.

    Examples
    --------
    >>> str(ServerError(404, "unknown user 'ann'", "user"))
    "404: unknown user 'ann' (user)"
    >>> ServerError(429, "too much waits", retry_after=1.0).is_temporary
    True
    """

    def __init__(self, status: int, message: str, field: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(f"{status}: {message}" + (f" ({field})" if field else ""))
        self.status, self.message, self.field, self.retry_after = status, message, field, retry_after

    @property
    def is_temporary(self) -> bool:
        """Tells whether the same request may succeed later. Events with ids may be sent again after any error."""
        return self.status in (429, 503)
