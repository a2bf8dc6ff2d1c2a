"""Refusals of bodies name the field that is wrong, and the fields there are."""

import pytest

msgspec = pytest.importorskip("msgspec", reason="needs fastrec[serve]")

from fastrec.serving.messages import EventsRequest, RecommendRequest  # noqa: E402
from fastrec.serving.refusal import refuse_field  # noqa: E402


@pytest.mark.parametrize(
    ("body", "kind", "field", "hint"),
    [
        (b'{"user": 1, "item": 2}', EventsRequest, "user", "the fields of the body are `events` (required)"),
        (b"{}", EventsRequest, "events", "the fields of the body are `events` (required)"),
        (b"[]", EventsRequest, "body", "the fields of the body are `events` (required)"),
        (b'{"events": [{"user": 1}]}', EventsRequest, "events[0].item", "this object are `user` (required), `item` (r"),
        (b'{"events": [{"usr": 1}]}', EventsRequest, "events[0].usr", "this object are `user` (required), `item` (r"),
        (b'{"events": [3]}', EventsRequest, "events[0]", "this object are `user` (required), `item` (required), `val"),
        (b'{"kk": 3}', RecommendRequest, "kk", "the fields of the body are `k`, `allow`, `deny`,"),
        (b'{"boosts": [{"x": 1}]}', RecommendRequest, "boosts[0].x", "this object are `where` (required), `factor`"),
        (b'{"mmr": {"x": 1}}', RecommendRequest, "mmr.x", "the fields of this object are `trade_off`, `by`"),
        (b'{"history": [{"itm": 1}]}', RecommendRequest, "history[0].itm", "are `item` (required), `value`"),
    ],
)
def test_a_refusal_names_the_fields_there_are(body, kind, field, hint):
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(body, type=kind)
    refusal = refuse_field(str(caught.value), kind)
    assert refusal.status == 422
    assert refusal.field == field
    assert hint in refusal.message


def test_a_wrong_value_has_no_list_of_fields():
    assert refuse_field("Expected `int`, got `str` - at `$.k`", RecommendRequest).message == "Expected `int`, got `str`"
