"""Evaluation that states its rules and its uncertainty: `evaluate` and the `Report` that it gives."""

from fastrec.evaluation.evaluate import evaluate
from fastrec.evaluation.report import Comparison, Report

__all__ = ["Comparison", "Report", "evaluate"]
