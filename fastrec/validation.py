"""Checks before the kernels: Numba checks no bounds, so values that pass here must be right."""

import difflib
import functools
import inspect
import numbers
import os
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any, TypeVar, cast

import numpy as np

Function = TypeVar("Function", bound=Callable[..., Any])


def check_integer(name: str, value: Any, *, minimum: int | None = None, maximum: int | None = None) -> int:
    """Returns `value` as an int within its bounds; a ValueError or TypeError names it.

    >>> check_size("ImplicitALS.factors", 0)
    Traceback (most recent call last):
    ...
    ValueError: ImplicitALS.factors must be an integer of at least 1, got 0
    """
    if type(value) is int and (minimum is None or value >= minimum) and (maximum is None or value <= maximum):
        return value  # the way of every good call: no sentence is made
    wanted = f"an integer {bounds_in_words(minimum, maximum)}".rstrip()
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be {wanted}, got {_format_value(value)}")
    if (minimum is not None and value < minimum) or (maximum is not None and value > maximum):
        raise ValueError(f"{name} must be {wanted}, got {_format_value(value)}")
    return int(value)


def check_size(name: str, value: Any, *, minimum: int = 1, each: int = 8) -> int:
    """Returns `value` as an integer of at least `minimum`, if this machine's memory holds `each` bytes for every one.

    >>> check_size("k", 10**15)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: k must be a number that memory holds, got 1000000000000000: that takes ... GB, and there are ... GB
    """
    number = check_integer(name, value, minimum=minimum)
    if number * each > memory_bytes():
        raise ValueError(
            f"{name} must be a number that memory holds, got {number}: that takes {number * each // 10**9} GB, and "
            f"there are {memory_bytes() // 10**9} GB"
        )
    return number


@functools.cache
def memory_bytes() -> int:
    """Returns the memory of this machine; a terabyte if it is unknown."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 1 << 40


def is_number(value: object) -> bool:
    """Tells whether a value is a number of Python itself.

    >>> is_number(3), is_number(0.5), is_number(True), is_number("auto")
    (True, True, False, False)
    """
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_number(
    name: str,
    value: Any,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    above: bool = False,
    below: bool = False,
) -> float:
    """Returns `value` as a finite float within its bounds; an error names it.

    With `above` the minimum itself is excluded, with `below` the maximum.

    >>> check_number("alpha", float("nan"), minimum=0)
    Traceback (most recent call last):
    ...
    ValueError: alpha must be a finite number of at least 0, got nan
    """
    wanted = f"a finite number {bounds_in_words(minimum, maximum, above, below)}".rstrip()
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be {wanted}, got {_format_value(value)}")
    number = float(value)
    low = minimum is not None and (number <= minimum if above else number < minimum)
    high = maximum is not None and (number >= maximum if below else number > maximum)
    if not (abs(number) < float("inf")) or low or high:
        raise ValueError(f"{name} must be {wanted}, got {_format_value(value)}")
    return number


def check_choice(name: str, value: Any, choices: Sequence[Any]) -> Any:
    """Returns `value` if it is one of `choices`; a ValueError lists them.

    >>> check_choice("solver", "lu", ("auto", "cg"))
    Traceback (most recent call last):
    ...
    ValueError: solver must be one of 'auto', 'cg', got 'lu'
    """
    for choice in choices:
        if value is choice:  # the way of every good call: the same constant
            return value
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return value


def check_flag(name: str, value: Any) -> bool:
    """Returns `value` as a bool; a TypeError names it.

    >>> check_flag("exclude_seen", 1)
    Traceback (most recent call last):
    ...
    TypeError: exclude_seen must be True or False, got 1
    """
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def _format_value(value: Any) -> str:
    return repr(value.item() if isinstance(value, np.generic) else value)


def bounds_in_words(minimum: float | None, maximum: float | None, above: bool = False, below: bool = False) -> str:
    """Returns bounds as errors and documentation write them; an empty text without bounds.

    >>> bounds_in_words(0, 1, below=True), bounds_in_words(0, None, above=True)
    ('from 0 to below 1', 'above 0')
    """
    if maximum is None:
        return "" if minimum is None else f"above {minimum}" if above else f"of at least {minimum}"
    upper = f"below {maximum}" if below else f"at most {maximum}"
    if minimum is None:
        return upper if below else f"of {upper}"
    if above:
        return f"above {minimum} and {upper}"
    return f"from {minimum} to {upper if below else maximum}"


# The names of our options in other libraries. If a name has several meanings, the first one that the function has
# counts.
_OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "factors": (
        "n_factors", "num_factors", "no_components", "n_components", "num_components", "rank", "dim", "dims",
        "embedding_dim", "embedding_size", "latent_dim", "latent_factors", "features", "embedding", "k", "K",
        "hidden_size", "hidden_units", "d_model",
    ),
    "regularization": (
        "reg", "l2", "reg_param", "regParam", "lambda_", "lambda_reg", "lmbda", "weight_decay", "l2_reg", "reg_all",
        "user_alpha", "item_alpha",
    ),
    "iterations": (
        "n_epochs", "epochs", "num_epochs", "n_iter", "n_iters", "n_iterations", "num_iterations", "max_iter",
        "maxIter", "iters", "niter", "steps",
    ),
    "learning_rate": ("lr", "lr_all", "eta", "eta0", "step_size"),
    "n_negatives": ("max_sampled", "neg_prop", "negative_count", "num_negatives", "num_ng"),
    "blocks": ("num_blocks", "n_blocks", "num_layers", "n_layers", "num_hidden_layers"),
    "heads": ("num_heads", "n_heads", "num_attention_heads"),
    "hidden": ("inner_size", "dim_feedforward", "intermediate_size"),
    "neighbors": ("K", "k", "n_neighbors", "num_neighbors", "k_neighbors", "n_nbrs", "max_nbrs"),
    "window": ("maxlen", "max_len", "max_length", "max_seq_len", "max_seq_length", "window_size"),
    "dropout": ("dropout_rate", "dropout_prob", "hidden_dropout_prob"),
    "negatives": ("num_negatives", "n_negatives", "neg_samples"),
    "candidates": ("sample_size",),
    "recency": ("memory",),
    "memory": ("recency",),
    "n_jobs": ("num_threads", "n_threads", "nthreads", "threads", "workers", "num_workers", "n_cores", "njobs"),
    "random_state": ("seed", "random_seed", "rng", "random"),
    "verbose": ("show_progress", "progress", "verbosity", "use_progress_bar"),
    "alpha": ("confidence", "confidence_weight", "weight", "scale"),
    "k": (
        "N", "n", "K", "top_k", "topk", "top_n", "topn", "num_items", "n_items", "count", "howmany", "how_many",
        "num_recommendations", "n_recommendations",
    ),
    "exclude_seen": (
        "filter_already_liked_items", "filter_seen", "filter_viewed", "remove_seen", "exclude_known", "remove_known",
        "filter_interacted", "exclude_already_liked", "filter_previous", "remove_already_seen",
    ),
    "deny": ("filter_items", "exclude", "exclude_items", "blacklist", "blocklist", "denylist", "filter_out", "ban"),
    "allow": ("items", "item_ids", "items_to_recommend", "whitelist", "allowlist", "include", "candidates", "selector"),
    "users": (
        "user", "userid", "userids", "user_id", "user_ids", "uid", "uids", "dataset",
    ),
    "user": ("users", "userid", "user_id", "user_ids", "uid", "user_col", "user_column", "userCol"),
    "items": ("item", "itemid", "itemids", "item_id", "item_ids", "iid", "iids"),
    "item_info": ("items", "item_table", "items_info", "item_metadata", "metadata", "titles"),
    "item": ("items", "itemid", "item_id", "item_ids", "iid", "item_col", "item_column", "itemCol"),
    "on_unknown": ("unknown", "handle_unknown", "cold_start_strategy", "coldStartStrategy"),
    "dtype": ("precision", "storage_dtype"),
    "half_life": ("halflife", "decay", "time_decay", "tau"),
    "X": ("user_items", "data", "interactions", "train", "ratings", "matrix", "trainset", "dataset"),
    "metrics": ("k", "K", "metric", "measures", "top_k", "at_k", "cutoffs"),
    "test": ("test_size", "test_ratio", "test_fraction", "test_percentage", "fraction", "ratio", "X_test", "y"),
    "n": ("test", "test_size", "k", "N"),
    "fraction": ("test", "test_size", "test_ratio", "ratio"),
    "where": ("filter", "filters", "query", "condition", "only", "rows", "select"),
    "value": ("values", "rating", "ratings", "rating_col", "value_col", "value_column", "weight", "count", "target"),
    "time": ("timestamp", "timestamps", "times", "date", "time_col", "time_column", "timestamp_col", "datetime"),
    "event": ("events", "event_type", "event_col", "event_column", "action", "behavior"),
    "delimiter": ("sep", "separator"),
    "k1": ("K1",),
    "b": ("B",),
    # Attributes and methods of models.
    "user_factors_": (
        "user_factors", "userFactors", "user_embeddings", "user_embedding", "get_user_representations", "pu",
    ),
    "item_factors_": (
        "item_factors", "itemFactors", "item_embeddings", "item_embedding", "get_item_representations", "qi",
    ),
    "recommend": (
        "recommend_all", "recommendForAllUsers", "recommendForUserSubset", "recommend_k_items", "recommendProducts",
        "full_sort_predict", "get_recommendations", "predict_topk", "rank_items",
    ),
    "predict_pairs": ("test", "estimate", "predict_user", "predict_rank", "predict_score", "score_pairs"),
    "similar_items": ("most_similar", "get_neighbors", "recommend_to_items", "itemitem", "similar", "find_similar"),
    "similar_users": ("similar_user", "neighbors_of"),
    "partial_fit": ("fit_partial", "update", "incremental_fit"),
    "update_users": ("partial_fit_users", "recalculate_users"),
    "update_items": ("partial_fit_items", "recalculate_items", "recalculate_item"),
    "transform": ("recalculate_user",),
    "explain": ("explain_recommendation", "explanation"),
    "explain_features": ("explain", "explain_recommendation", "explanation"),
    "loss_curve_": ("loss_history", "training_loss", "history", "losses"),
}  # fmt: skip

# Options of other libraries that no option here replaces, and what there is in their place.
_NO_OPTIONS: dict[str, str] = {
    "recalculate_user": "give a history in the place of the id: recommend(model.histories([[item, …]]))",
    "user_items": "the model knows the histories that it was fitted with; give others in the place of the ids",
    "calculate_training_loss": "the loss of each epoch always stands in loss_curve_",
    "filter_items": "ask for more items, and leave out those that are not wanted",
    "use_gpu": "fastrec runs on CPUs",
    "use_native": "all models are compiled",
    "use_cg": 'the option solver chooses between "cg" and "cholesky"',
}

# Calls that in other libraries take a matrix, or more arguments than here, and what to call instead.
_OTHER_CALLS: dict[str, str] = {
    "predict": "call predict_pairs(users, items) for the scores of pairs",
    "recommend": (
        "call recommend(users, k=10), since the model knows the histories that it was fitted with, or "
        "recommend(matrix, k=10) for the histories of others; further options are given by name"
    ),
    "explain": "call explain(user, item), since the model knows the histories that it was fitted with",
    "evaluate": "call evaluate(models, test, metrics), since models know what they were fitted with",
}


def suggest_option(wrong: str, options: Iterable[str], *, misspelt: bool = True) -> str | None:
    """Returns the one of `options` that a name from another library or a misspelt one means, or None.

    >>> suggest_option("n_factors", ["factors", "n_jobs"])
    'factors'
    """
    options = list(options)
    for option in options:
        if wrong in _OTHER_NAMES.get(option, ()):
            return option
    if not misspelt:
        return None
    folded = {option.lower(): option for option in options}
    close = difflib.get_close_matches(wrong.lower(), folded, n=1, cutoff=0.75)
    return folded[close[0]] if close else None


def name_options(function: Function) -> Function:
    """Returns a decorator: an unknown option raises a TypeError that names the right one.

    Signature, name and docstring stay those of the function, so `inspect.signature` and scikit-learn's `get_params` see
    its own parameters.

    >>> @name_options
    ... def recommend(users, k=10): ...
    >>> recommend([1], N=5)
    Traceback (most recent call last):
    ...
    TypeError: recommend() has no option 'N'; here it is called 'k'
    """
    parameters = inspect.signature(function).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return function
    names = frozenset(parameters)
    owner, _, method = function.__qualname__.rpartition(".")
    label = owner if method == "__init__" else method
    most = sum(parameter.kind is not parameter.KEYWORD_ONLY for parameter in parameters.values())
    takes_any = any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters.values())
    hint = None if takes_any else _OTHER_CALLS.get(method)

    @functools.wraps(function)
    def checked(*args: Any, **options: Any) -> Any:
        if options and not names.issuperset(options):
            caller = type(args[0]).__name__ if method == "__init__" else label
            wrong = next(name for name in options if name not in names)
            made = type(args[0]) if "self" in names and method != "__init__" else None
            raise TypeError(_no_option(caller, wrong, names, parameters, made, given=options))
        if hint and len(args) > 2 and (len(args) > most or any(map(_is_matrix, args[2:]))):
            raise TypeError(f"{method}() cannot be called so: {hint}")
        return function(*args, **options)

    checked.names_options = True  # type: ignore[attr-defined]
    return cast("Function", checked)


def _is_matrix(value: object) -> bool:
    return len(getattr(value, "shape", ())) == 2


def _no_option(
    caller: str,
    wrong: str,
    names: frozenset[str],
    parameters: Iterable[str],
    made: type | None = None,
    given: Container[str] = (),
) -> str:
    """The error for an option that a function does not have, which may be one of the class that was `made`.

    If a name may mean several options, those that the caller has not `given` come first.
    """
    options = [name for name in parameters if name != "self" and name in names]
    free = [name for name in options if name not in given]
    right = suggest_option(wrong, free, misspelt=False) or suggest_option(wrong, options)
    if right is not None:
        return f"{caller}() has no option {wrong!r}; here it is called {right!r}"
    if wrong in _NO_OPTIONS:
        return f"{caller}() has no option {wrong!r}: {_NO_OPTIONS[wrong]}"
    of_class = None if made is None else suggest_option(wrong, inspect.signature(made).parameters)
    if made is not None and of_class is not None:
        return f"{caller}() has no option {wrong!r}; it is one of the model: {made.__name__}({of_class}=…)"
    return f"{caller}() has no option {wrong!r}; it has {', '.join(options) or 'none'}"
