"""The values that `fit` chose for options that are "auto"."""

from typing import Any


def chosen_options(model: Any) -> dict[str, Any]:
    """The options of a fitted model that are "auto", with their chosen values: for `alpha` the attribute `alpha_`.

    >>> from fastrec.models import ImplicitALS
    >>> chosen_options(ImplicitALS(4, alpha=2.0, regularization=0.1).fit([[1, 0], [1, 1]]))
    {'weighting': 'raw'}
    """
    automatic = (name for name, value in model.get_params(deep=False).items() if isinstance(value, str))
    return {
        name: getattr(model, f"{name}_")
        for name in automatic
        if getattr(model, name) == "auto" and hasattr(model, f"{name}_")
    }


def chosen_in_words(model: Any) -> str:
    """`chosen_options` as a line; an empty text if there are none.

    >>> from fastrec.models import ImplicitALS
    >>> chosen_in_words(ImplicitALS(4, regularization=0.1, weighting="raw").fit([[1, 0], [1, 1]]))
    'alpha 0.1333'
    """
    chosen = chosen_options(model).items()
    return ", ".join(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in chosen)
