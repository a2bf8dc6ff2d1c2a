"""The search for the options with which a model does best on held-out parts of the data."""

from fastrec.evaluation.search.found import Search
from fastrec.evaluation.search.search import search
from fastrec.evaluation.search.trial import Trial

__all__ = ["Search", "Trial", "search"]
