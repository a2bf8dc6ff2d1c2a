"""`SparkImplicitALS`: ImplicitALS for data that do not fit one machine."""

from typing import Any, ClassVar

from fastrec.distributed.alternation import Alternation
from fastrec.distributed.implicit_alternation import OPTIONS, ImplicitAlternation
from fastrec.distributed.spark_als import RUN_OPTIONS, SparkALS
from fastrec.models.implicit_als import ImplicitALS
from fastrec.options import Options, options_of
from fastrec.solvers.epochs import Callback
from fastrec.validation import name_options

SHARED = (*OPTIONS, "iterations", "tol", "random_state", "verbose", "callback")


class SparkImplicitALS(SparkALS[ImplicitALS]):
    """`ImplicitALS` on Spark, Spark Connect or Sail: the same factors for tables that one machine cannot hold.

    Loss, options and their defaults are those of `ImplicitALS`, and so are codes and first factors. The item factors
    are those of `ImplicitALS` for the same table, for any number of shards, bit for bit if all processors are of one
    kind. The driver holds k² numbers for each piece of a matrix, at most 64 per side, and never the data.

    Values are weights, at least 0. Those of one user and item add up. A value of 0 marks the item as seen, and is not
    learned from.

    Parameters
    ----------
    factors : int or "auto"
        As in `ImplicitALS`.
    path : str
        The folder of the run, which the engine's executors can write to: data, factors and journal. A run in it is
        resumed, or refused if it belongs to another job.
    regularization : float or "auto"
        As in `ImplicitALS`.
    alpha : float or "auto"
        As in `ImplicitALS`.
    regularization_exponent : float
        As in `ImplicitALS`.
    iterations : int
        The maximum number of epochs; an epoch solves all users, then all items.
    solver : {"auto", "cg", "cholesky"}
        As in `ImplicitALS`.
    cg_steps : int
        As in `ImplicitALS`.
    dtype : {"float16", "float32"}
        The type in which the other side's factors are sent and read.
    tol : float
        Training stops when an epoch lowers the loss by less than this share of it; 0 never stops.
    random_state : int, RandomState or None
        The seed of the first factors.
    shards : int or "auto"
        The number of parts of each side that are solved at a time, at most 64; "auto" is the number of tasks that the
        engine runs at a time.
    exchange : {"auto", "files", "all", "wanted"}
        The exchange of factors. "files": executors read and write the folder themselves, which they and the driver must
        see under the same path. "all": the engine sends all of them to every shard. "wanted": the engine sends only
        those that a shard's entries name. "auto": files if all of them see it, otherwise the way that moves less.
    verbose : bool or int
        Whether to show progress: epochs, loss, time left.
    callback : callable or None
        Called after each epoch with (epoch, elapsed seconds, loss); training stops when it returns True. A resumed run
        calls it for the earlier epochs, too.

    Attributes
    ----------
    n_users_, n_items_, n_entries_ : int
        The sizes of the matrix.
    factors_, alpha_, regularization_ : int, float, float
        The numbers that were used.
    loss_curve_ : ndarray of shape (n_iter_,)
        The loss after each epoch, float64.
    n_iter_ : int
        The epochs that were run.
    exchange_, shards_ : str, int
        The choices of "auto".

    Raises
    ------
    ValueError, TypeError
        In `fit`, if an option or an event is invalid; the message names user and item.
    FloatingPointError
        In `fit`, if the loss is no longer finite.

    Notes
    -----
    docs/how-to/spark.md describes the transfers and their costs.

    Examples
    --------
    >>> from pyspark.sql import SparkSession                                                        # doctest: +SKIP
    >>> spark = SparkSession.builder.getOrCreate()                                                  # doctest: +SKIP
    >>> events = spark.read.parquet("s3a://bucket/events")                                          # doctest: +SKIP
    >>> model = SparkImplicitALS(64, path="s3a://bucket/run1", random_state=0)                      # doctest: +SKIP
    >>> model.fit(events, user="user_id", item="sku", value="n")                                    # doctest: +SKIP
    >>> model.recommend_to("s3a://bucket/lists", k=20)                                              # doctest: +SKIP
    """

    _options: ClassVar[Options] = {
        **{name: options_of(ImplicitALS)[name] for name in SHARED},
        **RUN_OPTIONS,
    }

    _alternation: ClassVar[type[Alternation]] = ImplicitAlternation

    factors_: int
    alpha_: float
    regularization_: float

    @name_options
    def __init__(
        self,
        factors: int | str = "auto",
        *,
        path: str,
        regularization: float | str = "auto",
        alpha: float | str = "auto",
        regularization_exponent: float = 1.0,
        iterations: int = 15,
        solver: str = "auto",
        cg_steps: int = 2,
        dtype: str = "float16",
        tol: float = 0.0,
        random_state: Any = None,
        shards: int | str = "auto",
        exchange: str = "auto",
        verbose: bool | int = False,
        callback: Callback | None = None,
    ) -> None:
        self.factors = factors
        self.path = path
        self.regularization = regularization
        self.alpha = alpha
        self.regularization_exponent = regularization_exponent
        self.iterations = iterations
        self.solver = solver
        self.cg_steps = cg_steps
        self.dtype = dtype
        self.tol = tol
        self.random_state = random_state
        self.shards = shards
        self.exchange = exchange
        self.verbose = verbose
        self.callback = callback
