"""`SchedulePlan`: the times of new models. It imports nothing heavy, since a server's settings need it."""

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulePlan:
    """The times at which new models are made from new events; None means never.

    Parameters
    ----------
    checkpoint_every
        Seconds between checkpoints.
    refit_every
        Seconds between refits.
    refit_share
        Refit when the events since the last refit reach this share of the training data: a measure of the model's age.
    refit_drift
        Refit when the NDCG@10 of new events has fallen by this share since the last refit: 0.2 is a fifth (see
        `Drift`).

    Examples
    --------
    >>> SchedulePlan(checkpoint_every=60).makes_models, SchedulePlan().makes_models
    (True, False)
    """

    checkpoint_every: float | None = None
    refit_every: float | None = None
    refit_share: float | None = None
    refit_drift: float | None = None

    @property
    def updates(self) -> bool:
        """Tells whether checkpoints are made."""
        return self.checkpoint_every is not None

    @property
    def refits(self) -> bool:
        """Tells whether models are fitted again."""
        return (self.refit_every, self.refit_share, self.refit_drift) != (None, None, None)

    @property
    def makes_models(self) -> bool:
        """Tells whether new models are made at all."""
        return self.updates or self.refits

    def options(self) -> dict[str, Any]:
        """Returns the plan's own options by name."""
        return {field.name: getattr(self, field.name) for field in fields(SchedulePlan)}
