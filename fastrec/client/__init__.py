"""A typed client of a server of fastrec: ``pip install "fastrec[client]"``."""

from fastrec.client.calls import BatchRows
from fastrec.client.clients import AsyncClient, Client
from fastrec.client.errors import ServerError
from fastrec.serving.messages import BatchRequest, Entry, ItemRequest, NewEvent, RecommendRequest

__all__ = [
    "AsyncClient",
    "BatchRequest",
    "BatchRows",
    "Client",
    "Entry",
    "ItemRequest",
    "NewEvent",
    "RecommendRequest",
    "ServerError",
]
