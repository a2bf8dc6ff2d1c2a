"""The titles of items in pictures."""

from typing import Any

from numpy.typing import NDArray


def titles_of(model: Any, codes: NDArray[Any]) -> list[str]:
    """Titles of items by their codes; ids, or codes, if there are none."""
    ids = [str(code) for code in codes.tolist()]
    if getattr(model, "items_", None) is not None:
        ids = [str(id) for id in model.items_.decode(codes).tolist()]
    titles = (getattr(model, "item_info_", None) or {}).get("title")
    if titles is None:
        return ids
    return [str(titles[code]) or id for code, id in zip(codes.tolist(), ids, strict=True)]
