"""Fields of models other than plain arrays: vocabularies, facts about items, codecs, an index, other models."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastrec.compression import VectorCodec
from fastrec.data import Vocabulary
from fastrec.fields import Array, Either, Field, Matrix, Side, Sizes, Value, check_fields, check_shape, fields_of
from fastrec.models.base.learned_values import Columns
from fastrec.models.base.persistence import Team, check_learned
from fastrec.preprocessing.filtering import Preprocessor
from fastrec.retrieval.diversity import MMR, RULES, data_of_rule, field_of_rule
from fastrec.retrieval.ivf import IVFIndex

EPOCH_RESULTS: dict[str, Field] = {
    "loss_curve_": Array(("epochs",), "float64", finite=False),
    "n_iter_": Value(int, least=0),
}
"""The fields of estimators that are trained by epochs."""
VALIDATION_CURVE = Array(("validations",), "float64", finite=False, optional=True)


@dataclass(frozen=True)
class Ids(Field):
    """A vocabulary with a number of ids."""

    size: Side

    def check(self, name: str, value: Any, sizes: Sizes, *, ranges: bool) -> None:
        """See `Field.check`."""
        if not isinstance(value, Vocabulary):
            raise ValueError(f"{name} must be a vocabulary, got {type(value).__name__}")
        check_shape(name, (len(value),), (self.size,), sizes)
        if ranges:
            value.check_content()

    @property
    def rows(self) -> Side | None:
        """See `Field.rows`."""
        return self.size

    def words(self) -> tuple[str, str, str]:
        """See `Field.words`."""
        return "vocabulary", f"({self.size},)", "or none" if self.optional else ""


@dataclass(frozen=True)
class Names(Field):
    """A number of strings, as scikit-learn keeps the names of columns."""

    size: Side

    def check(self, name: str, value: Any, sizes: Sizes, *, ranges: bool) -> None:
        """See `Field.check`."""
        if not isinstance(value, np.ndarray) or not all(isinstance(one, str) for one in value.flat):
            raise ValueError(f"{name} must be strings")
        check_shape(name, value.shape, (self.size,), sizes)

    def words(self) -> tuple[str, str, str]:
        """See `Field.words`."""
        return "strings", f"({self.size},)", "or none"


@dataclass(frozen=True)
class Facts(Field):
    """Columns by name, each with a value for each row."""

    size: Side

    def check(self, name: str, value: Any, sizes: Sizes, *, ranges: bool) -> None:
        """See `Field.check`."""
        if not isinstance(value, Mapping):
            raise ValueError(f"{name} must be columns by name, got {type(value).__name__}")
        if isinstance(value, Columns):
            lengths = value.check(name, ranges=ranges)
        else:
            lengths = {column: len(array) for column, array in value.items()}
        for column, length in lengths.items():
            check_shape(f"{name}[{column!r}]", (length,), (self.size,), sizes)

    def words(self) -> tuple[str, str, str]:
        """See `Field.words`."""
        return "columns of numbers, times or strings", f"({self.size},) each", "or none" if self.optional else ""


@dataclass(frozen=True)
class Arrays(Field):
    """Arrays by name; the class that holds them knows their shapes."""

    def check(self, name: str, value: Any, sizes: Sizes, *, ranges: bool) -> None:
        """See `Field.check`."""
        if not isinstance(value, Mapping) or not all(isinstance(array, np.ndarray) for array in value.values()):
            raise ValueError(f"{name} must be arrays by name, got {type(value).__name__}")

    def words(self) -> tuple[str, str, str]:
        """See `Field.words`."""
        return "arrays by name", "", "as the original's class declares them"


@dataclass(frozen=True)
class Codecs(Field):
    """Codecs by the name of the encoded array."""

    def check(self, name: str, value: Any, sizes: Sizes, *, ranges: bool) -> None:
        """See `Field.check`."""
        if not isinstance(value, Mapping) or not all(isinstance(codec, VectorCodec) for codec in value.values()):
            raise ValueError(f"{name} must be codecs by name, got {type(value).__name__}")

    def words(self) -> tuple[str, str, str]:
        """See `Field.words`."""
        return "codecs by name", "", "each with its own arrays"


@dataclass(frozen=True)
class Index(Field):
    """An index with a number of vectors and dimensions."""

    shape: tuple[Side, Side]

    def check(self, name: str, value: Any, sizes: Sizes, *, ranges: bool) -> None:
        """See `Field.check`."""
        if not isinstance(value, IVFIndex) or value.metric != "ip":
            raise ValueError(f"{name} must be an IVFIndex by inner product, got {value!r}")
        check_shape(name, value.shape, self.shape, sizes)

    def words(self) -> tuple[str, str, str]:
        """See `Field.words`."""
        return "IVFIndex", f"({', '.join(map(str, self.shape))})", "by inner product; or none"


@dataclass(frozen=True)
class Members(Field):
    """The models in another model, without the fields that they share with it."""

    size: Side
    team: type[Team] = Team

    def check(self, name: str, value: Any, sizes: Sizes, *, ranges: bool) -> None:
        """See `Field.check`."""
        if type(value) is not self.team:
            raise ValueError(f"{name} must be models, got {type(value).__name__}")
        check_shape(name, (len(value),), (self.size,), sizes)
        for model in value:
            check_learned(model, ranges=ranges, besides=frozenset(value.SHARED))

    def words(self) -> tuple[str, str, str]:
        """See `Field.words`."""
        return "models", f"({self.size},)", "each with its own arrays"


@dataclass(frozen=True)
class Steps(Field):
    """Named transformers of fastrec, each with its options and what it learned."""

    def check(self, name: str, value: Any, sizes: Sizes, *, ranges: bool) -> None:
        """See `Field.check`."""
        for step_name, step in value:
            if isinstance(step, Preprocessor):
                step._check_options()
                fields = {f"{name} {step_name}.{field}": kind for field, kind in fields_of(type(step)).items()}
                learned = {f"{name} {step_name}.{field}": part for field, part in vars(step).items()}
                check_fields(fields, learned, sizes, ranges=ranges)

    def words(self) -> tuple[str, str, str]:
        """See `Field.words`."""
        return "named transformers", "", "each with its options and its own arrays"


@dataclass(frozen=True)
class Origin(Field):
    """The compressed model, without the arrays that are codes now."""

    def check(self, name: str, value: Any, sizes: Sizes, *, ranges: bool) -> None:
        """See `Field.check`."""
        if not isinstance(value, Team) or len(value) != 1:
            raise ValueError(f"{name} must be one model")
        kind = type(value[0])
        coded = {"user_factors_", "index_", "weights_", *getattr(kind, "_by_item", ()), *getattr(kind, "_spare", ())}
        coded -= {field for field in coded if vars(value[0]).get(field) is not None}
        check_learned(value[0], ranges=ranges, besides=frozenset({*Team.SHARED, *coded}))

    def words(self) -> tuple[str, str, str]:
        """See `Field.words`."""
        return "one model", "", "without the arrays that are codes"


@dataclass(frozen=True)
class Rule(Field):
    """A rule of re-ranking, with a row for each item."""

    size: Side

    def check(self, name: str, value: Any, sizes: Sizes, *, ranges: bool) -> None:
        """See `Field.check`."""
        if type(value) not in RULES.values():
            raise ValueError(f"{name} must be one of {', '.join(RULES)}, got {type(value).__name__}")
        value._check_options()
        rows = (self.size, "rule_columns")
        matrix = Either(Matrix(rows), Array(rows, ("float32", "float64"), finite=False))
        data = data_of_rule(value)
        matrix.check(f"{name}.{field_of_rule(value)}", data, sizes, ranges=ranges)
        if ranges and not isinstance(value, MMR) and data.size and data.min() < 0:  # shares and labels, not directions
            raise ValueError(f"{name}.{field_of_rule(value)} must not be negative, got {data.min()}")

    def words(self) -> tuple[str, str, str]:
        """See `Field.words`."""
        return "rule of re-ranking", f"({self.size}, any)", "its number, and a row for each item"
