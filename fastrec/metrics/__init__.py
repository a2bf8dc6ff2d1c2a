r"""Measures of rankings and predictions: pure functions over arrays, one value per user.

Notation. For a user, :math:`T` is the set of relevant items (the *truth*) and :math:`i_1, i_2, \ldots` the ranking.
:math:`\mathrm{rel}_r` is 1 where :math:`i_r \in T`, else 0, and :math:`h_k = \sum_{r \le k} \mathrm{rel}_r` the hits
among the first k.

The rules, the same for all ranking metrics:

- The truth is a matrix (users × items), as `Interactions` or any sparse or dense array. An item is relevant where its
  value is above zero; a stored zero or a negative value (a dislike) is not relevant.
- **Empty truth**: the metric has no meaning, the user's value is NaN and is left out of means (`numpy.nanmean`).
- **Short lists**: a ranking with fewer than k items (its rest is -1) is scored as it is. Empty places are misses:
  `precision` divides by k all the same, so recommending less gains nothing.
- **Repeated items** count once, in their first place: no metric can exceed 1.
- **Cold users** are users like others here: what was recommended to them is scored. The caller, or `fastrec.evaluate`,
  decides which users are left out, and says so.

`k=None` stands for the full width of the ranking. `measure` computes several metrics at several k in one pass.
"""

from fastrec.metrics.catalogue import coverage, gini
from fastrec.metrics.lists import calibration, diversity, serendipity
from fastrec.metrics.measuring import measure
from fastrec.metrics.pairs import mae, rmse
from fastrec.metrics.ranking import (
    auc,
    average_precision,
    average_precision_capped,
    f1,
    graded_ndcg,
    hit_rate,
    ndcg,
    precision,
    r_precision,
    recall,
    recall_capped,
    reciprocal_rank,
)
from fastrec.metrics.scorers import make_scorer
from fastrec.metrics.weights import average_popularity, novelty, tail_share

__all__ = [
    "auc",
    "average_popularity",
    "average_precision",
    "average_precision_capped",
    "calibration",
    "coverage",
    "diversity",
    "f1",
    "gini",
    "graded_ndcg",
    "hit_rate",
    "mae",
    "make_scorer",
    "measure",
    "ndcg",
    "novelty",
    "precision",
    "r_precision",
    "recall",
    "recall_capped",
    "reciprocal_rank",
    "rmse",
    "serendipity",
    "tail_share",
]
