"""Models that belong together."""

import pytest

from fastrec.data import Interactions
from fastrec.models import ExplicitALS, Popularity
from fastrec.online.lineage import describe_lineage, find_misfit


def data(users, items):
    return Interactions([0, 0, 1], [0, 1, 1], users=users, items=items)


@pytest.mark.parametrize(
    ("users", "items", "said"),
    [
        (["a", "b"], ["x", "y"], None),
        (["c", "d"], ["x", "z"], None),  # other users, and half of the items
        ([1, 2], ["x", "y"], "its users are integers, those of the previous model are not"),
        (["a", "b"], ["v", "w"], "it knows 0 of 2 items of the previous model"),
    ],
)
def test_ids_of_other_kinds_and_other_items_do_not_fit(users, items, said):
    lineage = describe_lineage(Popularity().fit(data(["a", "b"], ["x", "y"])))
    assert find_misfit(Popularity().fit(data(users, items)), lineage) == said


def test_ratings_do_not_follow_counts():
    lineage = describe_lineage(Popularity().fit([[1, 2], [2, 1]]))
    assert "values are ratings" in find_misfit(
        ExplicitALS(1, iterations=1, random_state=0).fit([[1, 2], [2, 1]]), lineage
    )
