"""The part of a run that differs from model to model: the numbers from the data, first factors, half epochs."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from fastrec.distributed.engine import Session
from fastrec.distributed.half_epoch import Half, Turn
from fastrec.distributed.preparing import Sizes
from fastrec.matrix.arrays import Floats
from fastrec.solvers.als_bases import Gramians


class Alternation(ABC):
    """Alternating least squares of one model; executors get it whole.

    Parameters
    ----------
    options
        The model on an engine.
    facts
        Facts of the journal, among them those of `choose`.
    """

    job: ClassVar[tuple[str, ...]]
    """The options that change the factors: a run with others is another job."""

    keeps_zeros: ClassVar[bool]
    """Whether an event of value 0 is learned from."""

    takes_negatives: ClassVar[bool]
    """Whether values may be negative."""

    adds_up: ClassVar[bool]
    """Whether events of one user and item add up; otherwise there may be only one."""

    model: Any
    """The model of a single machine with options and numbers of the run, to answer with the vectors of items."""

    @abstractmethod
    def __init__(self, options: Any, facts: dict[str, Any]) -> None: ...

    @staticmethod
    @abstractmethod
    def choose(options: Any, sizes: Sizes) -> dict[str, Any]:
        """The numbers that follow from the data."""

    @abstractmethod
    def chosen(self) -> dict[str, Any]:
        """These numbers as attributes of the fitted model on an engine."""

    @abstractmethod
    def single(self, iterations: int) -> Any:
        """The model of a single machine with the options of the run, not fitted."""

    @property
    @abstractmethod
    def width(self) -> int:
        """The number of numbers in a row of factors."""

    @abstractmethod
    def write_start(self, spark: Session, folders: tuple[str, str], shape: tuple[int, int], seed: int) -> None:
        """Writes the first factors of users and of items, the same as on a single machine."""

    @abstractmethod
    def turn(self, gramians: Gramians, balanced: bool = False, last: bool = False) -> Turn:
        """The transfer of the factors of the side that was solved last; the `last` one is of the learned items.

        `balanced` allows both sides to change to the basis in which the penalty is least.
        """

    @abstractmethod
    def half(self, n_others: int, earlier: Floats | None, turn: Turn, epoch: int) -> Half:
        """Half of an epoch, counted from 1; `earlier` is the basis of the half epoch before it."""

    @abstractmethod
    def item_factors(self, vectors: Floats) -> Floats:
        """The `item_factors_` of the model from vectors of items."""
