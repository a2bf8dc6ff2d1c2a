"""Functions that tests of a server share."""

TOKEN = "a-token-for-tests"


def items_of(answer):
    return [row["item"] for row in answer["items"]]


def without_id(answer):
    """Returns the answer without its id, which no other answer has."""
    return {name: value for name, value in answer.items() if name != "recommendation"}
