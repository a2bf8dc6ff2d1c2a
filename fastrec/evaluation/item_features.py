"""Features of items, from which the diversity and calibration of lists are computed."""

from collections.abc import Sequence
from typing import Any

import scipy.sparse as sp

from fastrec.matrix.code_matrix import check_matrix
from fastrec.metrics.naming import Metric
from fastrec.retrieval.diversity import label_matrix


def check_item_features(item_features: Any, model: Any, wanted: Sequence[Metric]) -> Any:
    """Returns the features of the items as a matrix, if a metric needs them."""
    needed = [metric.label for metric in wanted if metric.name in ("diversity", "calibration")]
    if not needed:
        return None
    if item_features is None:
        raise ValueError(f"metric {needed[0]!r} needs item_features: a matrix, or the name of a column of item_info")
    features = _labels_as_matrix(item_features, model) if isinstance(item_features, str) else item_features
    features = check_matrix(features, name="item_features", negative="accept")
    if features.shape[0] != model.seen_.shape[1]:
        raise ValueError(
            f"item_features must have a row for each of {model.seen_.shape[1]} items, got {features.shape}"
        )
    return features


def _labels_as_matrix(column: str, model: Any) -> sp.csr_array:
    info = model.item_info_ or {}
    if column not in info:
        known = ", ".join(map(repr, info)) or "none"
        raise ValueError(
            f"item_features names {column!r}, which is not a column of the model's item_info; there are {known}"
        )
    return label_matrix(info[column])
