"""`ServerError`: an answer that says no."""


class ServerError(Exception):
    """A server's answer that is an error.

    Parameters
    ----------
    status
        Of HTTP.
    message
        What was given, what is wanted, what to do.
    field
        Where in the request; None where it is about all of it.
    retry_after
        The seconds after which to come again; None where the server does not say.

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
        """Tells whether the same request may be answered later; events with ids may be sent again in any case."""
        return self.status in (429, 503)
