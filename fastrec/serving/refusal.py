"""An answer that says no."""


class Refusal(Exception):  # noqa: N818  (an answer, not a fault)
    """A request that gets an error for an answer.

    Parameters
    ----------
    status
        Of HTTP.
    message
        What was given, what is wanted, what to do.
    field
        Where in the request.
    headers
        More headers of the answer.
    """

    def __init__(self, status: int, message: str, field: str | None = None, **headers: str) -> None:
        super().__init__(message)
        self.status, self.message, self.field, self.headers = status, message, field, headers
