"""`SparkExplicitALS`: ExplicitALS for ratings that do not fit one machine."""

from typing import Any, ClassVar

from fastrec.distributed.alternation import Alternation
from fastrec.distributed.rating_alternation import OPTIONS, RatingAlternation
from fastrec.distributed.spark_als import RUN_OPTIONS, SparkALS
from fastrec.models.explicit_als import ExplicitALS
from fastrec.options import Options, options_of
from fastrec.solvers.epochs import Callback
from fastrec.validation import name_options

SHARED = (*OPTIONS, "iterations", "tol", "random_state", "verbose", "callback")


class SparkExplicitALS(SparkALS[ExplicitALS]):
    """`ExplicitALS` on Spark, Spark Connect or Sail: the same factors for ratings that one machine cannot hold.

    Loss, options and their defaults are those of `ExplicitALS`, and so are codes and first factors. The driver holds
    two numbers for each piece of a matrix, at most 64 per side, and never the data. Mean and spread of the ratings are
    added up piece by piece, which may change the spread's last digit, and so round a factor another way; all else has
    the same bits as on a single machine.

    Values are ratings of any sign. A user may have only one rating of an item: choose it on the engine.

    Parameters
    ----------
    factors : int
        As in `ExplicitALS`.
    path : str
        The folder of the run, as in `SparkImplicitALS`.
    regularization : float
        As in `ExplicitALS`.
    bias_regularization : float
        As in `ExplicitALS`.
    regularization_exponent : float
        As in `ExplicitALS`.
    iterations : int
        The maximum number of epochs; an epoch solves all users, then all items.
    solver : {"cholesky", "cg"}
        As in `ExplicitALS`.
    cg_steps : int
        As in `ExplicitALS`.
    tol : float
        Training stops when an epoch lowers the loss by less than this share of it; 0 never stops.
    random_state : int, RandomState or None
        The seed of the first factors.
    shards : int or "auto"
        As in `SparkImplicitALS`.
    exchange : {"auto", "files", "all", "wanted"}
        As in `SparkImplicitALS`; factors are sent as float32.
    verbose : bool or int
        Whether to show progress: epochs, loss, time left.
    callback : callable or None
        As in `SparkImplicitALS`.

    Attributes
    ----------
    n_users_, n_items_, n_entries_ : int
        The sizes of the matrix.
    mean_, spread_ : float
        The mean of all ratings and their standard deviation.
    loss_curve_ : ndarray of shape (n_iter_,)
        The loss after each epoch, float64.
    n_iter_ : int
        The epochs that were run.
    exchange_, shards_ : str, int
        The choices of "auto".

    Raises
    ------
    ValueError, TypeError
        In `fit`, if an option or a rating is invalid, or a user has several ratings of an item; the message names both.
    FloatingPointError
        In `fit`, if the loss is no longer finite.

    Notes
    -----
    docs/how-to/spark.md describes the transfers and their costs.

    Examples
    --------
    >>> from pyspark.sql import SparkSession                                                        # doctest: +SKIP
    >>> spark = SparkSession.builder.getOrCreate()                                                  # doctest: +SKIP
    >>> ratings = spark.read.parquet("s3a://bucket/ratings")                                        # doctest: +SKIP
    >>> model = SparkExplicitALS(50, path="s3a://bucket/run2", random_state=0)                      # doctest: +SKIP
    >>> model.fit(ratings, user="user_id", item="sku", value="stars")                               # doctest: +SKIP
    """

    _options: ClassVar[Options] = {
        **{name: options_of(ExplicitALS)[name] for name in SHARED},
        **RUN_OPTIONS,
    }
    _alternation: ClassVar[type[Alternation]] = RatingAlternation

    mean_: float
    spread_: float

    @name_options
    def __init__(
        self,
        factors: int = 50,
        *,
        path: str,
        regularization: float = 3.5,
        bias_regularization: float = 2.0,
        regularization_exponent: float = 0.25,
        iterations: int = 15,
        solver: str = "cholesky",
        cg_steps: int = 3,
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
        self.bias_regularization = bias_regularization
        self.regularization_exponent = regularization_exponent
        self.iterations = iterations
        self.solver = solver
        self.cg_steps = cg_steps
        self.tol = tol
        self.random_state = random_state
        self.shards = shards
        self.exchange = exchange
        self.verbose = verbose
        self.callback = callback
