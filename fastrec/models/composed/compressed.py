"""The base of compressed models: a fitted model whose vectors or weights are codes, without training."""

import copy
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from fastrec.compression import VectorCodec
from fastrec.fields import LARGEST, Array, Fields, check_fields, check_range, check_shape, fields_of
from fastrec.kernels.codes import measure_codes
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.models.base.audience import Audience
from fastrec.models.base.fields import Arrays, Codecs, Origin
from fastrec.models.base.learner import OF_USERS
from fastrec.models.base.persistence import Team
from fastrec.models.base.recommender import Recommender
from fastrec.models.base.updating import Updating, resize
from fastrec.options import Jobs, Options


class Compressed(Updating):
    """The common part of compressed models: they answer as the original does, and cannot be trained.

    `origin_` holds the original without the compressed arrays; the two share data and vocabularies.
    """

    learns: ClassVar[bool] = False
    _compresses: ClassVar[Any]
    _options: ClassVar[Options] = {"n_jobs": Jobs()}
    _learned: ClassVar[Fields] = {
        "origin_": Origin(),
        "codecs_": Codecs(),
        "kept_": Arrays(),
    }

    origin_: Team
    codecs_: dict[str, VectorCodec]
    kept_: Mapping[str, NDArray[Any]]

    def __init__(self, *, n_jobs: int | None = None) -> None:
        self.n_jobs = n_jobs

    def _adopt_model(self, model: Recommender, left_out: tuple[str, ...]) -> None:
        """Takes over everything that is not compressed."""
        model.settle()
        for name in (*Team.SHARED, "n_features_in_", "feature_names_in_", "duplicates_"):
            if name in vars(model):
                setattr(self, name, vars(model)[name])
        self.n_jobs = getattr(model, "n_jobs", None)
        shell = copy.copy(model)
        for name in left_out:
            if name in vars(shell):
                delattr(shell, name)
        for name in getattr(type(model), "_rebuilt_options", ()):
            setattr(shell, name, None)
        for name in ("random_state", "callback"):
            if hasattr(shell, name) and not isinstance(getattr(shell, name), int):
                setattr(shell, name, None)
        shell.clear_derived()
        self.clear_derived()
        self.origin_ = Team((shell,))
        self._take_manners()

    @property
    def _origin(self) -> Any:
        """The original, without the compressed arrays."""
        origin: Any = self.origin_[0]
        return origin

    def fit(self, X: Any, y: Any = None) -> Self:
        """Refuses to fit: codes cannot be trained.

        Raises
        ------
        TypeError
            Always: fit the original and compress it again.
        """
        self._refuse()

    def _refuse(self) -> NoReturn:
        made = f"fit or update the {type(self._origin).__name__}" if hasattr(self, "origin_") else "fit a model"
        raise TypeError(
            f"{type(self).__name__} cannot be fitted, since codes cannot be trained: {made} and compress it again with "
            "fastrec.compress(model, codec)"
        )

    def _fit(self, matrix: CodeMatrix) -> None:
        self._refuse()

    @property
    def compressed_bytes_(self) -> int:
        """The bytes of codes, and of what they share: rotations and centroids."""
        shared = sum(codec.shared_bytes_ for codec in self.codecs_.values())
        return shared + sum(rows.nbytes for rows in self._all_rows())

    def _follow_data(self) -> None:
        """Gives a copy of the original the new data, as far as it is kept; others may share the original."""
        shell, n_items = copy.copy(self._origin), self.n_features_in_
        for name in Team.SHARED:
            setattr(shell, name, getattr(self, name))
        shell.n_features_in_ = n_items
        shell.clear_derived()
        if getattr(shell, "item_features_", None) is not None:
            shell.item_features_ = resize(shell.item_features_, (n_items, shell.item_features_.shape[1]))
        self.origin_ = Team((shell,))

    def _drop_users(self) -> None:
        """See `Learner._drop_users`."""
        super()._drop_users()
        self.kept_ = {name: array for name, array in self.kept_.items() if name != "answered"}

    # -- the manners of the original

    def _take_manners(self) -> None:
        """Takes over the original's attributes, except those for training."""
        origin = self._origin
        manners = ("takes_negatives", "keeps_zeros", "needs_history", "reads_order", "needs_order", "min_support")
        self.__dict__.update({name: getattr(origin, name) for name in manners})
        capabilities = origin.capabilities | Updating.capabilities
        self.__dict__["capabilities"] = capabilities if self.has_users else capabilities - OF_USERS

    @property
    def fades(self) -> bool:
        """See `Answering.fades`."""
        return bool(self._origin.fades)

    def _weigh(self, audience: Audience) -> CodeMatrix:
        weighed: CodeMatrix = self._origin._weigh(audience)
        return weighed

    def _as_weights(self, histories: CodeMatrix) -> CodeMatrix:
        weighed: CodeMatrix = self._origin._as_weights(histories)
        return weighed

    def _to_form(self, rows: CodeMatrix) -> CodeMatrix:
        formed: CodeMatrix = self._origin._to_form(rows)
        return formed

    @abstractmethod
    def _rows(self, name: str) -> NDArray[np.uint8]:
        """The rows of codes of one of the original's arrays."""

    @abstractmethod
    def _all_rows(self) -> list[NDArray[np.uint8]]:
        """The rows of codes."""

    def _find_recommendable(self) -> NDArray[np.bool_] | None:
        return self.kept_.get("warm")

    def _check_relations(self, *, ranges: bool) -> None:
        origin = self._origin
        if isinstance(origin, Compressed) or not isinstance(origin, self._compresses):
            raise ValueError(f"{type(origin).__name__} is no model that {type(self).__name__} is made of")
        n_users, n_items = self.seen_.shape
        whole = {f"whole/{name}": field for name, field in getattr(type(origin), "_whole_fields", {}).items()}
        masks = {"warm": ("n_items",), "answered": ("n_users",)}
        fields = whole | {name: Array(shape, "bool", absent=True) for name, shape in masks.items()}
        if not set(self.kept_) <= set(fields):
            raise ValueError(f"kept_ must hold {', '.join(fields)}, got {', '.join(self.kept_)}")
        check_fields(fields, self.kept_, {**origin._sizes(), "n_users": n_users, "n_items": n_items}, ranges=ranges)
        for name, codec in self.codecs_.items():
            codec.check(ranges=ranges)
            rows = codec.check_rows(self._rows(name))
            field = fields_of(type(origin)).get(name)
            shape = getattr(field, "dense", field)
            if not isinstance(shape, Array) or getattr(origin, name, None) is not None:
                raise ValueError(f"codecs_ holds a codec of {name}, which {type(origin).__name__} has not")
            check_shape(f"codes of {name}", (len(rows), codec.n_features_in_), shape.shape, origin._sizes())
            if ranges:
                norms = np.empty(len(rows))
                measure_codes(codec.coded(rows), np.empty(codec.n_features_in_, np.float32), norms)
                check_range(f"the lengths of what is coded of {name}", norms, 0, LARGEST)

    def _restore(self, *, check: bool) -> None:
        Recommender._restore(self, check=check)  # the classes in between read factors or weights that no longer exist
        self._origin.clear_derived()
        self._take_manners()
