"""A model served over HTTP, and kept up to date by posted events."""

from fastrec.serving.settings import Settings

__all__ = ["Settings"]
