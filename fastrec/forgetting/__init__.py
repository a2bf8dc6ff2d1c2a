"""Forgetting: users are removed from models, versions and journals; and the data about a user are exported."""

from fastrec.forgetting.export import export_user
from fastrec.forgetting.forget import forget
from fastrec.forgetting.receipt import Receipt

__all__ = ["Receipt", "export_user", "forget"]
