"""Evaluation with stated rules and uncertainty: `evaluate`, `cross_validate`, `search`, `audit`."""

from typing import Any

from fastrec.class_names import no_attribute
from fastrec.evaluation.audit import Audit, audit
from fastrec.evaluation.automatic import AutoRecommender
from fastrec.evaluation.comparison import Comparison
from fastrec.evaluation.compression import CompressionReport, compression_report
from fastrec.evaluation.evaluate import evaluate
from fastrec.evaluation.report import Report
from fastrec.evaluation.search import Search, Trial, search
from fastrec.evaluation.validation import Validation, cross_validate

__all__ = [
    "Audit",
    "AutoRecommender",
    "Comparison",
    "CompressionReport",
    "Report",
    "Search",
    "Trial",
    "Validation",
    "audit",
    "compression_report",
    "cross_validate",
    "evaluate",
    "search",
]


def __getattr__(name: str) -> Any:
    raise no_attribute(__name__, name, __all__) or AttributeError(f"module {__name__!r} has no attribute {name!r}")
