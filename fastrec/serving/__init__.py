"""A model served over HTTP, kept up to date by the events that are posted to it."""

from fastrec.serving.settings import Settings

__all__ = ["Settings"]
