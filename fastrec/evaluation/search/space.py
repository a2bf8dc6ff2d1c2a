"""The space of a search: candidates for options, and combinations of them."""

import itertools
import math
import random
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from fastrec.fingerprint import fingerprint
from fastrec.options import check_names, options_of


def check_candidates(name: str, candidates: Any) -> Any:
    """Returns candidates as a list, or a distribution with its arguments."""
    if hasattr(candidates, "rvs"):
        if getattr(candidates, "numargs", 0):  # frozen distributions have none
            name_of, wanted = candidates.name, candidates.shapes
            raise TypeError(f"space[{name!r}] is {name_of} without its arguments: give {name_of}({wanted})")
        return candidates
    if isinstance(candidates, str) or not isinstance(candidates, Iterable):
        raise TypeError(
            f"space[{name!r}] must be a list of candidates or a distribution of scipy.stats, got {candidates!r}"
        )
    if isinstance(candidates, set | frozenset):  # in an order that is the same in each process
        candidates = sorted(candidates, key=fingerprint)
    listed = [candidate.item() if isinstance(candidate, np.generic) else candidate for candidate in candidates]
    if not listed:
        raise ValueError(f"space[{name!r}] is empty")
    return listed


def check_space(model: Any, space: Any) -> None:
    """Refuses an empty space, and an option that the model does not have."""
    if not isinstance(space, Mapping) or not space:
        raise ValueError("space must map at least one option to its candidates")
    check_names(type(model), space, model.get_params())


def answer_options(model: Any, names: Iterable[str]) -> frozenset[str]:
    """Returns the options that change only answers, of a model or a Pipeline's last step.

    >>> from fastrec.models import EASE
    >>> answer_options(EASE(), ["regularization", "recency"])
    frozenset({'recency'})
    """
    step = f"{model.steps[-1][0]}__" if hasattr(model, "steps") else ""
    declared = options_of(type(model[-1] if hasattr(model, "steps") else model))
    own = {step + name for name, option in declared.items() if option.answers}
    return frozenset(own.intersection(names))


def given_options(model: Any, names: Iterable[str]) -> dict[str, Any]:
    """Returns the values of options in a model.

    >>> from fastrec.models import EASE
    >>> given_options(EASE(regularization=7.0), ["regularization"])
    {'regularization': 7.0}
    """
    own = model.get_params()
    return {name: own[name] for name in sorted(names)}


def _draw(space: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    drawn = {}
    for name in sorted(space):
        candidates = space[name]
        if isinstance(candidates, list):
            drawn[name] = candidates[int(rng.integers(len(candidates)))]
        else:
            value = candidates.rvs(random_state=rng)
            drawn[name] = value.item() if hasattr(value, "item") else value
    return drawn


def draw_combinations(space: Mapping[str, Any], n: int, seed: int) -> list[dict[str, Any]]:
    """Draws `n` combinations. The first ones do not depend on `n`; from lists alone no combination is drawn twice."""
    if all(isinstance(candidates, list) for candidates in space.values()):
        return [_combination(space, place) for place in _places(math.prod(map(len, space.values())), n, seed)]
    rng = np.random.default_rng(seed)
    return [_draw(space, rng) for _ in range(n)]


def _places(total: int, n: int, seed: int) -> list[int]:
    """Draws `n` different numbers below `total`, or all: the start of a shuffled range (Fisher and Yates) that is never
    made.

    >>> sorted(_places(5, 9, seed=0))
    [0, 1, 2, 3, 4]
    """
    rng = random.Random(seed)  # Python's integers have no limit
    moved: dict[int, int] = {}
    places = []
    for first in range(min(n, total)):
        other = rng.randrange(first, total)
        places.append(moved.get(other, other))
        moved[other] = moved.get(first, first)
    return places


def _combination(space: Mapping[str, Any], place: int) -> dict[str, Any]:
    """Returns the combination at a place of the grid, whose last option varies fastest."""
    chosen = {}
    for name in sorted(space, reverse=True):
        place, candidate = divmod(place, len(space[name]))
        chosen[name] = space[name][candidate]
    return dict(sorted(chosen.items()))


def list_grid(space: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns all combinations of lists."""
    for name, candidates in space.items():
        if not isinstance(candidates, list):
            raise ValueError(f"method='grid' needs lists, and space[{name!r}] is a distribution: take method='random'")
    names = sorted(space)
    return [dict(zip(names, chosen, strict=True)) for chosen in itertools.product(*(space[name] for name in names))]
