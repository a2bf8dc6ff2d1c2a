"""What tests of a server share."""

TOKEN = "a-token-for-tests"


def items_of(answer):
    return [row["item"] for row in answer["items"]]
