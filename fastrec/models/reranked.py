"""A model whose lists are re-ranked by a rule: for `evaluate`, beside the model itself."""

from dataclasses import replace
from typing import Any

import numpy as np

from fastrec.models.rows import pick_rows, row_numbers
from fastrec.retrieval import TopK
from fastrec.retrieval.diversity import MMR, Calibration, GroupCap, label_matrix
from fastrec.validation import CodeMatrix, check_integer, check_matrix, keep_entries


class Reranked:
    """A fitted model whose recommendations are re-ranked; all else is the model's own.

    Parameters
    ----------
    model
        A fitted recommender.
    rule
        An `MMR`, a `Calibration` or a `GroupCap`. Where these name a column of `item_info`, it is the model's; where
        an `MMR` has no vectors, they are the model's `item_factors_`, biases aside.
    depth
        How many items the model lists for the rule to choose from.

    Examples
    --------
    >>> from fastrec.models import Popularity
    >>> model = Popularity().fit(np.array([[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 1]]))
    >>> model.recommend([0], k=2, exclude_seen=False).codes
    array([[0, 1]], dtype=int32)
    >>> capped = Reranked(model, GroupCap(1, groups=["a", "a", "b", "c"]))
    >>> capped.recommend([0], k=2, exclude_seen=False).codes
    array([[0, 2]], dtype=int32)
    """

    def __init__(self, model: Any, rule: Any, depth: int = 100) -> None:
        self.model = model
        self.depth = check_integer("Reranked.depth", depth, minimum=1)
        self.rule = _bound(rule, model)

    def recommend(self, users: Any, k: int = 10, **options: Any) -> TopK:
        """As the model's `recommend`, re-ranked: the best `k` of the model's first `depth` by the rule.

        Parameters
        ----------
        users, k, **options
            As of the model.

        Returns
        -------
        TopK
            Codes and scores of shape (n, k); the scores are the model's.
        """
        k = check_integer("k", k, minimum=1)
        # No model has more items than this, and a shorter list needs less memory.
        longer = self.model.recommend(users, max(k, min(self.depth, self.model.n_features_in_)), **options)
        histories = self._histories(users, longer) if isinstance(self.rule, Calibration) else None
        top: TopK = self.rule(longer, k, histories)
        return top

    def _histories(self, users: Any, top: TopK) -> CodeMatrix:
        if hasattr(type(users), "n_interactions") or (getattr(users, "ndim", 0) == 2):
            return check_matrix(users, negative="accept")
        if self.model.users_ is None:
            return pick_rows(self.model.seen_, np.asarray(top.users))
        codes = self.model.users_.encode(top.users, unknown="code")
        rows = pick_rows(self.model.seen_, np.maximum(codes, 0))
        return keep_entries(rows, (codes >= 0)[row_numbers(rows)])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "model":  # asked for before there is a model, as by pickle
            raise AttributeError(name)
        return getattr(self.model, name)

    def __repr__(self) -> str:
        return f"Reranked({self.model!r}, {type(self.rule).__name__})"


def _bound(rule: Any, model: Any) -> Any:
    """The rule with the model's own vectors or labels where it names them."""
    field = {MMR: "vectors", Calibration: "features", GroupCap: "groups"}.get(type(rule))
    if field is None:
        if callable(rule):
            return rule
        raise TypeError(f"rule must be an MMR, a Calibration or a GroupCap, got {rule!r}")
    value = getattr(rule, field)
    if value is None and field == "vectors":
        if not hasattr(model, "item_factors_"):
            raise ValueError(f"{type(model).__name__} has no item_factors_: give MMR its vectors")
        # Biases tell nothing apart: the columns that `similar_items` looks at.
        comparable = getattr(model, "_comparable", np.asarray)
        return replace(rule, vectors=comparable(model.item_factors_))
    if not isinstance(value, str):
        return rule
    info = model.item_info_ or {}
    if value not in info:
        known = ", ".join(map(repr, info)) or "none"
        raise ValueError(f"{type(rule).__name__}.{field} names {value!r}, no column of the model's item_info: {known}")
    return replace(rule, **{field: label_matrix(info[value])})
