"""A typed client of a server of fastrec: ``pip install "fastrec[client]"``."""

from fastrec.client.calls import BatchRows
from fastrec.client.clients import AsyncClient, Client
from fastrec.client.errors import ServerError
from fastrec.serving.messages import (
    BatchRequest,
    Boost,
    Diversity,
    Entry,
    ItemRequest,
    NewEvent,
    Pin,
    RecommendRequest,
    SimilarRequest,
)

__all__ = [
    "AsyncClient",
    "BatchRequest",
    "BatchRows",
    "Boost",
    "Client",
    "Diversity",
    "Entry",
    "ItemRequest",
    "NewEvent",
    "Pin",
    "RecommendRequest",
    "ServerError",
    "SimilarRequest",
]
