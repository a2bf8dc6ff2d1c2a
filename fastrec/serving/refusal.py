"""`Refusal`: an error that becomes the answer to a request."""


class Refusal(Exception):  # noqa: N818  (an answer, not a fault)
    """An error that becomes the answer to a request.

    Parameters
    ----------
    status
        The HTTP status.
    message
        The message: the given value, the wanted one, and the remedy.
    field
        The field of the request.
    headers
        More headers of the answer.
    """

    def __init__(self, status: int, message: str, field: str | None = None, **headers: str) -> None:
        super().__init__(message)
        self.status, self.message, self.field, self.headers = status, message, field, headers
