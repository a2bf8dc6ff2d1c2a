"""Lineage: whether a model can take the place of another one, and follow the same journal."""

import json
from typing import Any

import numpy as np

from fastrec.models import Recommender
from fastrec.online.acceptance import codes_in

# Of so many items it is asked whether another model knows them, too; of the half it must.
SAMPLE = 64


def describe_lineage(model: Recommender) -> str:
    """What another model is measured by, as JSON: the kinds of ids, whether values are ratings, and some items.

    >>> from fastrec.models import Popularity
    >>> describe_lineage(Popularity().fit([[1, 0, 1]]))
    '{"users": "numbers", "items": "numbers", "ratings": false, "some": [0, 1, 2]}'
    """
    size = model.n_features_in_
    codes = np.unique(np.linspace(0, size - 1, min(SAMPLE, size)).astype(int)) if size else np.empty(0, int)
    some = codes if model.items_ is None else model.items_.decode(codes)
    return json.dumps({**_kinds(model), "some": some.tolist()})


def find_misfit(model: Recommender, lineage: str) -> str | None:
    """Why a model does not belong to a lineage; None where it does.

    >>> from fastrec.models import Popularity
    >>> lineage = describe_lineage(Popularity().fit([[1, 0, 1, 1]]))
    >>> find_misfit(Popularity().fit([[1]]), lineage)
    'of 4 items of the one before it knows 1'
    """
    known = json.loads(lineage)
    for name, kind in _kinds(model).items():
        if kind != known[name]:
            shown = {True: "are ratings", False: "are counts"}.get(kind, f"are {kind}")
            return f"its {'values' if name == 'ratings' else name} {shown}, those of the one before are not"
    some = known["some"]
    found = sum(code >= 0 for code in codes_in(model.items_, model.n_features_in_, some))
    return None if 2 * found >= len(some) else f"of {len(some)} items of the one before it knows {found}"


def _kinds(model: Recommender) -> dict[str, Any]:
    words = {"int": "integers", "str": "strings"}
    return {
        "users": "numbers" if model.users_ is None else words[model.users_.kind],
        "items": "numbers" if model.items_ is None else words[model.items_.kind],
        "ratings": bool(model.keeps_zeros),
    }
