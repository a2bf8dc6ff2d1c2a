"""Options that are declared once for several commands."""

import inspect

import pytest

from fastrec.cli.groups import groups_options


def size_options(width: int = 2, height: int = 3) -> int:
    """An area."""
    return width * height


@groups_options(area=size_options)
def paint(colour: str, *, area: int, coats: int = 1) -> None:
    """Paint."""
    painted.append((colour, area, coats))


painted: list[tuple[str, int, int]] = []


def test_a_group_becomes_its_options_in_their_place_and_one_value():
    assert list(inspect.signature(paint).parameters) == ["colour", "width", "height", "coats"]
    paint(colour="red", width=4, height=5, coats=2)
    assert painted.pop() == ("red", 20, 2)
    assert (paint.__name__, paint.__doc__) == ("paint", "Paint.")
    assert paint.__annotations__["width"] is int


def test_an_option_that_is_not_there_is_missed():
    with pytest.raises(KeyError):
        paint(colour="red", height=5, coats=2)
