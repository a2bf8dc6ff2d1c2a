"""The models of an evaluation: fitted recommenders with the same users and items."""

from collections.abc import Mapping
from typing import Any

from fastrec.models import Recommender


def recommender_of(model: Any) -> Any:
    """Returns the model itself, or the last step of a Pipeline of scikit-learn."""
    return model[-1] if is_plain_pipeline(model) else model


def is_plain_pipeline(model: Any) -> bool:
    """Tells whether a model is scikit-learn's own Pipeline, which has no `recommend`."""
    return hasattr(model, "steps") and not isinstance(model, Recommender)


def check_models(models: Any) -> dict[str, Any]:
    """Returns the models by name: each is fitted, and all have the same users and items."""
    named = dict(models) if isinstance(models, Mapping) else {type(models).__name__: models}
    if not named:
        raise ValueError("models is empty: there is nothing to evaluate")
    for name, model in named.items():
        if not isinstance(name, str):
            raise TypeError(f"models must be named by strings, got {name!r}")
        last = recommender_of(model)
        if isinstance(last, type) or not hasattr(last, "recommend"):
            got = f"the class {last.__name__}: fit one first" if isinstance(last, type) else type(last).__name__
            raise TypeError(f"models[{name!r}] must be a fitted recommender, got {got}")
        if not hasattr(last, "seen_"):
            from sklearn.exceptions import NotFittedError  # only on the way to an error

            raise NotFittedError(f"models[{name!r}] ({type(model).__name__}) is not fitted yet; call fit first")
    _check_alike({name: recommender_of(model) for name, model in named.items()})
    return named


def _check_alike(named: dict[str, Any]) -> None:
    (first, model), *others = named.items()
    for name, other in others:
        same = other.seen_.shape == model.seen_.shape
        if not (same and are_same(other.users_, model.users_) and are_same(other.items_, model.items_)):
            raise ValueError(
                f"models {first!r} and {name!r} know different users or items: only models fitted on data with the "
                "same vocabularies can be compared"
            )


def are_same(one: Any, other: Any) -> bool:
    """Tells whether two vocabularies have the same ids, or both are None."""
    return one is other or (one is not None and other is not None and one == other)
