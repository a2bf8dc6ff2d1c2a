"""Lineage: whether a model can replace another one, and follow the same journal."""

import json
from typing import Any

import numpy as np

from fastrec.data import Vocabulary
from fastrec.data.vocabulary import CodeVocabulary
from fastrec.models import Recommender

# The size of the sample of items that another model must know, and the share of it that it must know.
SAMPLE = 64


def describe_lineage(model: Recommender) -> str:
    """Describes a model, as JSON, by the facts that another one must share: kinds of ids and values, and some
    items.

    >>> from fastrec.models import Popularity
    >>> describe_lineage(Popularity().fit([[1, 0, 1]]))
    '{"users": "numbers", "items": "numbers", "ratings": false, "some": [0, 1, 2]}'
    """
    size = model.n_features_in_
    codes = np.unique(np.linspace(0, size - 1, min(SAMPLE, size)).astype(int)) if size else np.empty(0, int)
    some = model.item_vocabulary.decode(codes)
    return json.dumps({**_kinds(model), "some": some.tolist()})


def find_misfit(model: Recommender, lineage: str) -> str | None:
    """Returns the reason why a model does not belong to a lineage; None if it does.

    >>> from fastrec.models import Popularity
    >>> lineage = describe_lineage(Popularity().fit([[1, 0, 1, 1]]))
    >>> find_misfit(Popularity().fit([[1]]), lineage)
    'it knows 1 of 4 items of the previous model'
    """
    known = json.loads(lineage)
    for name, kind in _kinds(model).items():
        if kind != known[name]:
            shown = {True: "are ratings", False: "are counts"}.get(kind, f"are {kind}")
            return f"its {'values' if name == 'ratings' else name} {shown}, those of the previous model are not"
    some = known["some"]
    found = sum(code >= 0 for code in model.item_vocabulary.match(some))
    return None if 2 * found >= len(some) else f"it knows {found} of {len(some)} items of the previous model"


def _kinds(model: Recommender) -> dict[str, Any]:
    return {
        "users": _kind(model.user_vocabulary),
        "items": _kind(model.item_vocabulary),
        "ratings": bool(model.keeps_zeros),
    }


def _kind(vocabulary: Vocabulary) -> str:
    return (
        "numbers" if isinstance(vocabulary, CodeVocabulary) else {"int": "integers", "str": "strings"}[vocabulary.kind]
    )
