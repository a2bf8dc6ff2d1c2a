"""Forgetting: users taken out of models, versions and journals, and what is held about them told."""

from fastrec.forgetting.export import export_user
from fastrec.forgetting.forget import forget
from fastrec.forgetting.receipt import Receipt

__all__ = ["Receipt", "export_user", "forget"]
