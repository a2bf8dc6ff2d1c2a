"""Two stages: several recommenders propose candidates, and a ranker learns from features of them."""

from fastrec.models.ranking.activity import Activity
from fastrec.models.ranking.affinity import Affinity
from fastrec.models.ranking.category_counts import CategoryCounts
from fastrec.models.ranking.counts import Counts
from fastrec.models.ranking.facts import Facts
from fastrec.models.ranking.feature import Feature
from fastrec.models.ranking.leaks import LeakWarning
from fastrec.models.ranking.pairs import Known, Pairs
from fastrec.models.ranking.reasons import Reasons
from fastrec.models.ranking.scores import RecentScores, Scores
from fastrec.models.ranking.two_stage import TwoStage

__all__ = [
    "Activity",
    "Affinity",
    "CategoryCounts",
    "Counts",
    "Facts",
    "Feature",
    "Known",
    "LeakWarning",
    "Pairs",
    "Reasons",
    "RecentScores",
    "Scores",
    "TwoStage",
]
