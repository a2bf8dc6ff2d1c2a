"""Declarations of options: each estimator declares its own once, and every reader of options uses them.

`fit` checks by it, the command line reads text by it, `search` makes ranges of it, and the page of all options
(docs/reference/options.md) lists it.
"""

import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, TypeAlias, TypeVar

import numpy as np

from fastrec.parallel import MOST_JOBS
from fastrec.validation import (
    bounds_in_words,
    check_choice,
    check_flag,
    check_integer,
    check_number,
    check_size,
    suggest_option,
)

T = TypeVar("T")

LARGEST_SEED = 2**32 - 1  # the largest seed of NumPy's RandomState
LARGEST_WIDTH = 1 << 14


@dataclass(frozen=True)
class Option(ABC):
    """The values that one option may have.

    Parameters
    ----------
    also
        Words that are valid in place of a value: None, "auto".
    answers
        Whether the option changes only answers and no learned value, so that a change on a fitted model acts at once.
    """

    _: KW_ONLY
    also: tuple[str | None, ...] = ()
    answers: bool = False

    def check(self, name: str, value: object) -> None:
        """Raises a TypeError or ValueError that names the option, unless the value is valid."""
        if (value is None or isinstance(value, str)) and value in self.also:
            return
        words = [f'"{word}"' for word in self.also if word]
        self._check(f"{name} (if not {' or '.join(words)})" if words else name, value)

    @abstractmethod
    def _check(self, name: str, value: object) -> None:
        """Checks a value that is not one of the words."""

    @abstractmethod
    def _kind(self) -> str:
        """Returns the type of the values, without the words."""

    def kind(self) -> str:
        """Returns the type, as docstrings write it.

        >>> Number(0, also=("auto",)).kind()
        'float or "auto"'
        """
        return " or ".join([self._kind(), *(f'"{word}"' if word else "None" for word in self.also)])

    def bounds(self) -> str:
        """Returns the bounds of the numbers in words; an empty text without bounds, or for values that are no
        numbers.
        """
        return ""

    @property
    def by_log(self) -> bool:
        """Tells whether a search draws the option by its logarithm by default."""
        return False

    def parse(self, text: str) -> object:
        """Returns the value of a text, as the command line has it; `check` decides whether it is valid.

        >>> Integer(1).parse("8"), Choice(("cg", None)).parse("None"), Widths().parse("64x32")
        (8, None, (64, 32))
        """
        return parse_literal(text)


Options: TypeAlias = Mapping[str, Option]


@dataclass(frozen=True)
class Integer(Option):
    """An integer within bounds.

    Parameters
    ----------
    least, most
        The smallest and the largest one.
    memory
        Whether the number counts things in memory: numbers beyond any memory are refused.
    log
        Whether a search draws the option by its logarithm.
    """

    least: int | None = None
    most: int | None = None
    _: KW_ONLY
    memory: bool = False
    log: bool = False

    def _check(self, name: str, value: object) -> None:
        if self.memory and self.least is not None:
            check_size(name, value, minimum=self.least)
        else:
            check_integer(name, value, minimum=self.least, maximum=self.most)

    def _kind(self) -> str:
        return "int"

    def bounds(self) -> str:
        """See `Option.bounds`."""
        return bounds_in_words(self.least, self.most).removeprefix("of ")

    @property
    def by_log(self) -> bool:
        """See `Option.by_log`."""
        return self.log


@dataclass(frozen=True)
class Number(Option):
    """A finite number within bounds.

    Parameters
    ----------
    least, most
        The smallest and the largest one.
    above, below
        Whether the smallest, or the largest, is itself excluded.
    log
        Whether a search draws the option by its logarithm.
    """

    least: float | None = None
    most: float | None = None
    _: KW_ONLY
    above: bool = False
    below: bool = False
    log: bool = False

    def _check(self, name: str, value: object) -> None:
        check_number(name, value, minimum=self.least, maximum=self.most, above=self.above, below=self.below)

    def _kind(self) -> str:
        return "float"

    def bounds(self) -> str:
        """See `Option.bounds`."""
        return bounds_in_words(self.least, self.most, self.above, self.below).removeprefix("of ")

    @property
    def by_log(self) -> bool:
        """See `Option.by_log`."""
        return self.log


@dataclass(frozen=True)
class Pair(Option):
    """One number for users and items, or a pair of numbers."""

    one: Number

    def _check(self, name: str, value: object) -> None:
        pair = value if isinstance(value, tuple | list) else (value,)
        if len(pair) not in (1, 2) or (len(pair) == 1 and pair is value):
            raise ValueError(f"{name} must be a number, or two for users and items, got {value!r}")
        for number in pair:
            self.one.check(name, number)

    def _kind(self) -> str:
        return "float, pair of float,"

    def bounds(self) -> str:
        """See `Option.bounds`."""
        return self.one.bounds()

    @property
    def by_log(self) -> bool:
        """See `Option.by_log`."""
        return self.one.log

    def parse(self, text: str) -> object:
        """See `Option.parse`."""
        return _parse_sequence(text) if "x" in text else parse_literal(text)


@dataclass(frozen=True)
class Choice(Option):
    """One of some values, possibly None among them."""

    choices: tuple[str | int | None, ...]

    def _check(self, name: str, value: object) -> None:
        check_choice(name, value, self.choices)

    def _kind(self) -> str:
        named = [f'"{choice}"' if isinstance(choice, str) else str(choice) for choice in self.choices]
        return f"{{{', '.join(name for name in named if name != 'None')}}}" + " or None" * ("None" in named)


@dataclass(frozen=True)
class Flag(Option):
    """True or False."""

    def _check(self, name: str, value: object) -> None:
        check_flag(name, value)

    def _kind(self) -> str:
        return "bool"


@dataclass(frozen=True)
class Widths(Option):
    """A sequence of widths: of the layers of a network."""

    def _check(self, name: str, value: object) -> None:
        if not isinstance(value, list | tuple | np.ndarray):
            raise TypeError(f"{name} must be a sequence of integers of at least 1, got {value!r}")
        for width in value:
            check_integer(f"each of {name}", width, minimum=1, maximum=LARGEST_WIDTH)

    def _kind(self) -> str:
        return "sequence of int"

    def bounds(self) -> str:
        """See `Option.bounds`."""
        return f"each {bounds_in_words(1, LARGEST_WIDTH)}"

    def parse(self, text: str) -> object:
        """See `Option.parse`."""
        return _parse_sequence(text)


@dataclass(frozen=True)
class ByColumn(Option):
    """A value for each of some columns, by their names."""

    one: Option

    def _check(self, name: str, value: object) -> None:
        if not isinstance(value, Mapping):
            raise TypeError(f"{name} must be a mapping of columns, got {value!r}")
        for column, chosen in value.items():
            self.one.check(f"{name}[{column!r}]", chosen)

    def _kind(self) -> str:
        return f"mapping of str to {'str' if isinstance(self.one, Choice) else self.one.kind()},"

    def bounds(self) -> str:
        """See `Option.bounds`."""
        return self.one.kind() if isinstance(self.one, Choice) else self.one.bounds()


@dataclass(frozen=True)
class Jobs(Option):
    """A number of threads: see `parallel.effective_jobs`."""

    also: tuple[str | None, ...] = (None,)

    def _check(self, name: str, value: object) -> None:
        number = check_integer(name, value, maximum=MOST_JOBS)
        check_integer(name, number, minimum=-MOST_JOBS)
        if number == 0:
            raise ValueError(f"{name} must be a positive or negative integer or None, got 0")

    def _kind(self) -> str:
        return "int"


@dataclass(frozen=True)
class Seed(Option):
    """The seed of random draws, as in scikit-learn."""

    also: tuple[str | None, ...] = (None,)

    def _check(self, name: str, value: object) -> None:
        if not isinstance(value, np.random.RandomState) and value is not np.random:
            check_integer(name, value, minimum=0, maximum=LARGEST_SEED)

    def _kind(self) -> str:
        return "int, RandomState"


@dataclass(frozen=True)
class Verbosity(Option):
    """The option to show progress: a flag, or scikit-learn's number."""

    def _check(self, name: str, value: object) -> None:
        if not isinstance(value, bool | np.bool_ | int | np.integer):
            raise TypeError(f"{name} must be True, False or an integer, got {value!r}")

    def _kind(self) -> str:
        return "bool or int"


@dataclass(frozen=True)
class Function(Option):
    """A function."""

    also: tuple[str | None, ...] = (None,)

    def _check(self, name: str, value: object) -> None:
        if not callable(value):
            raise TypeError(f"{name} must be a function or None, got {value!r}")

    def _kind(self) -> str:
        return "callable"


@dataclass(frozen=True)
class Other(Option):
    """A value of any other kind: its type in words, checked by its own function, or by `fit` itself."""

    type: str
    look: Callable[[str, Any], object] | None = None

    def _check(self, name: str, value: object) -> None:
        if self.look is not None:
            self.look(name, value)

    def _kind(self) -> str:
        return self.type


FACTORS = Integer(1, memory=True, log=True)
RECENCY = Number(0, 1, above=True, answers=True)
"""The fading of a history's events in answers."""
MIN_SUPPORT = Integer(1, log=True)
"""The minimum number of users of each recommended item, and of each pair of items."""
EPOCHS: Options = {
    "iterations": Integer(1),
    "tol": Number(0),
    "random_state": Seed(),
    "n_jobs": Jobs(),
    "verbose": Verbosity(),
    "callback": Function(),
}
"""The options of all estimators that are trained by epochs."""
VALIDATION: Options = {"validation_fraction": Number(0, 0.5), "n_iter_no_change": Integer(1)}
"""The options of estimators that stop early by a part of the training data."""


class OptionsMixin:
    """An estimator whose constructor's options are declared in `_options`: each class declares only its own."""

    _options: ClassVar[Options] = {}

    def _check_options(self) -> None:
        """Raises a TypeError or ValueError if an option is invalid; a class adds checks of several options together.

        Undeclared arguments of a constructor are not checked.
        """
        for name, option in options_of(type(self)).items():
            option.check(f"{type(self).__name__}.{name}", getattr(self, name))


def check_options(owner: OptionsMixin) -> None:
    """Raises a TypeError or ValueError if an option of an estimator is invalid.

    >>> from fastrec.retrieval import ExactIndex
    >>> check_options(ExactIndex(metric="cosine"))
    """
    owner._check_options()


def options_of(kind: type) -> dict[str, Option]:
    """Returns the options of a class's constructor, in its order, as far as classes in its line declare them."""
    lines = [vars(base).get("_options", {}) for base in reversed(kind.__mro__)]
    declared = {name: option for options in lines for name, option in options.items()}
    return {name: declared[name] for name in inspect.signature(kind).parameters if name in declared}


def describe_parameters(kind: type) -> dict[str, tuple[str, str]]:
    """Returns the type and the text that a class's docstring gives to each parameter.

    >>> from fastrec.models import SGDFactorization
    >>> describe_parameters(SGDFactorization)["factors"]
    ('int', 'The number of factors, without biases.')
    """
    _, _, rest = inspect.cleandoc(kind.__doc__ or "").partition("Parameters\n----------\n")
    section = re.split(r"\n\n\w+\n-{3,}\n", rest)[0]
    found: dict[str, tuple[str, str]] = {}
    for names, told, text in re.findall(r"^(\w+(?:, \w+)*)(?: : (.+))?\n((?:\n*    .*)*)", section, re.MULTILINE):
        found |= dict.fromkeys(names.split(", "), (told, " ".join(text.split())))
    return found


def check_names(kind: type, names: Iterable[str], known: Iterable[str] | None = None) -> None:
    """Raises a ValueError that names the right option if a class has no option of a name.

    The known names are the given ones, or by default the parameters of its constructor.
    """
    known = sorted(inspect.signature(kind).parameters if known is None else known)
    for name in names:
        if name not in known:
            right = suggest_option(name, known)
            hint = f"; here it is called {right!r}" if right else f"; it has {', '.join(known)}"
            raise ValueError(f"{kind.__name__} has no option {name!r}{hint}")


def check_once(names: Iterable[str]) -> None:
    """Raises a ValueError that names the first repeated value."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{name} is given twice: give it once")
        seen.add(name)


def make_estimator(kind: Callable[..., T], options: Mapping[str, object], **common: object) -> T:
    """Makes an estimator of a class with its own options, and with those common ones, such as a seed, that it takes.

    >>> from fastrec.models import EASE, ImplicitALS
    >>> make_estimator(ImplicitALS, {"factors": 8}, random_state=0), make_estimator(EASE, {}, random_state=0)
    (ImplicitALS(factors=8, random_state=0), EASE())
    """
    taken = inspect.signature(kind).parameters
    return kind(**{name: value for name, value in common.items() if name in taken} | dict(options))


def parse_options(kind: type, texts: Iterable[str]) -> dict[str, object]:
    """Parses the options of a class from texts such as "factors=64"; widths of layers are joined by "x".

    Raises
    ------
    ValueError, TypeError
        If a text has another form, the class has no such option, or the value is invalid.

    Examples
    --------
    >>> from fastrec.models import MLPRecommender
    >>> parse_options(MLPRecommender, ["layers=64x32", "loss=squared"])
    {'layers': (64, 32), 'loss': 'squared'}
    """
    texts = list(texts)
    for text in texts:
        if "=" not in text:
            raise ValueError(f"must be like factors=64, got {text}")
    check_once(text.split("=", 1)[0] for text in texts)
    pairs = dict(text.split("=", 1) for text in texts)
    check_names(kind, pairs)
    declared = options_of(kind)
    options: dict[str, object] = {}
    for name, text in pairs.items():
        options[name] = declared[name].parse(text) if name in declared else parse_literal(text)
        if name in declared:
            declared[name].check(f"{kind.__name__}.{name}", options[name])
    return options


def parse_literal(text: str) -> bool | int | float | str | None:
    """Returns a text as None, a flag, an integer or a number if it is one, and otherwise unchanged.

    >>> parse_literal("None"), parse_literal("3"), parse_literal("1e-3"), parse_literal("cg")
    (None, 3, 0.001, 'cg')
    """
    known = {"None": None, "True": True, "False": False}
    if text in known:
        return known[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _parse_sequence(text: str) -> tuple[object, ...]:
    return tuple(parse_literal(part) for part in text.split("x") if part)
