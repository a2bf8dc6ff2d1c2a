"""Files and frames become interactions: ids, codes, and the table of users and their items."""

from fastrec.data.events import EventKindsWarning
from fastrec.data.interactions import (
    EmptyCodesWarning,
    FarTimesWarning,
    Interactions,
    MergedEventsWarning,
    TiedTimesWarning,
)
from fastrec.data.marks import UnratedWarning
from fastrec.data.pseudonyms import pseudonym
from fastrec.data.reading import read_interactions
from fastrec.data.strings import pack_strings, unpack_strings
from fastrec.data.vocabulary import Vocabulary

__all__ = [
    "EmptyCodesWarning",
    "EventKindsWarning",
    "FarTimesWarning",
    "Interactions",
    "MergedEventsWarning",
    "TiedTimesWarning",
    "UnratedWarning",
    "Vocabulary",
    "pack_strings",
    "pseudonym",
    "read_interactions",
    "unpack_strings",
]
