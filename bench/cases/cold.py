"""Films that nobody has seen yet: Recall@20 over a fifth of ML-1M's, by genres, people and plots, beside LightFM's."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
from data import Folder, codes, ones

from fastrec.features import FeatureEncoder
from fastrec.matrix.code_matrix import check_matrix
from fastrec.metrics import recall
from fastrec.models import ImplicitALS, SGDFactorization
from fastrec.retrieval.select import select_topk

Record = dict[str, Any]
Scores = Callable[[np.ndarray], np.ndarray]  # of all users for some films
THREADS = 2
K = 20
COLUMNS = {
    "genres": "categories",
    "director": "categories",
    "writer": "categories",
    "actors": "categories",
    "plot": "text",
}

# Found on a fifth of the training films, hidden, in a walk over a part of `GRIDS`; all of it is tried by
# `python bench/run.py cold --parts settings`, in hours, most of them LightFM's.
ALS = dict(factors=64, regularization=0.02, alpha=5.0)
SGD = dict(factors=128, loss="warp", regularization=0.08, iterations=15)
LIGHTFM = dict(loss="warp", no_components=64, learning_rate=0.003, epochs=2)
GRIDS = {
    "ImplicitALS": [
        dict(factors=factors, regularization=regularization, alpha=alpha)
        for factors in (32, 64)
        for regularization in (0.01, 0.015, 0.02, 0.03)
        for alpha in ("auto", 5.0)
    ],
    "SGDFactorization": [
        dict(factors=factors, loss=loss, regularization=regularization, iterations=15)
        for factors in (32, 64, 128)
        for loss, values in (("warp", (0.07, 0.08, 0.1)), ("logistic", (0.02, 0.03, 0.05)), ("bpr", (0.01, 0.03)))
        for regularization in values
    ],
    "LightFM": [
        dict(loss=loss, no_components=components, learning_rate=rate, identity=identity, normalize=normalize)
        for loss in ("warp", "bpr")
        for components in (32, 64)
        for rate in (0.001, 0.003, 0.01, 0.05)
        for identity, normalize in ((False, False), (True, False), (False, True))
    ],
}
EPOCHS = (1, 2, 4, 8)  # epochs after which LightFM is looked at


def films(folder: Folder) -> tuple[sp.csr_array, sp.csr_array]:
    """Returns users × films of ML-1M, and the features of the films that occur."""
    user, item = folder.columns("ml-1m", "user", "item")
    known, *columns = folder.item_columns("ml-1m", "item", *COLUMNS)
    place = np.searchsorted(known, np.unique(item))
    frame = {name: [_value(name, values[row]) for row in place] for name, values in zip(COLUMNS, columns, strict=True)}
    features = FeatureEncoder(COLUMNS, min_frequency=3, max_features=1000).fit_transform(frame)
    return ones(codes(user), codes(item)), sp.csr_array(features)


def _value(name: str, value: Any) -> Any:
    if value is None or value == "N/A":
        return None
    if name in ("plot", "genres"):
        return value
    return [
        person.split("(")[0].strip() for person in value.split(",")
    ]  # the text is of the form A (screenplay), B (story)


def parts(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns a fifth of the films to test, a fifth of the others to find settings with, and the rest."""
    order = np.random.default_rng(seed).permutation(n)
    tested = round(0.2 * n)
    hidden = tested + round(0.2 * (n - tested))
    return np.sort(order[:tested]), np.sort(order[tested:hidden]), np.sort(order[hidden:])


def only(matrix: sp.csr_array, items: np.ndarray) -> sp.csr_array:
    """Returns the matrix with the events of some items alone."""
    cells = matrix.tocoo()
    kept = np.isin(cells.col, items)
    return ones(cells.row[kept], cells.col[kept], matrix.shape)


def recall_of(scores: np.ndarray, matrix: sp.csr_array, items: np.ndarray) -> float:
    """Returns the share of a user's items that are hits among the best 20 of some items, the mean over users."""
    truth = check_matrix(matrix[:, items])
    users = np.flatnonzero(np.diff(truth.indptr))
    found, _ = select_topk(np.ascontiguousarray(scores[users], np.float32), K)
    return float(np.mean(recall(found, truth[users], K)))


def ours(model: Any, train: sp.csr_array, features: sp.csr_array) -> Scores:
    model.set_params(random_state=0, n_jobs=THREADS).fit(train, item_features=features)
    return lambda items: model.user_factors_ @ model.item_factors_[items].T


def lightfm(train: sp.csr_array, features: sp.csr_array, options: Record) -> Iterator[tuple[int, Scores]]:
    """Returns LightFM's scores after some numbers of epochs."""
    from lightfm import LightFM

    options = dict(options)
    identity, normalize = options.pop("identity", False), options.pop("normalize", False)
    epochs = options.pop("epochs", None)
    rows = sp.csr_matrix(sp.hstack([sp.eye_array(features.shape[0]), features]) if identity else features)
    if normalize:
        rows = sp.csr_matrix(rows.multiply(1 / np.maximum(rows.sum(axis=1), 1e-9)))
    rows = sp.csr_matrix((rows.data.astype(np.float32), *map(np.int32, (rows.indices, rows.indptr))), rows.shape)
    cells = train.tocoo()
    cells = sp.coo_matrix((cells.data, (np.int32(cells.row), np.int32(cells.col))), train.shape)
    model, done = LightFM(random_state=0, **options), 0
    for epoch in EPOCHS if epochs is None else (epochs,):
        model.fit_partial(cells, item_features=rows, epochs=epoch - done, num_threads=THREADS)
        done = epoch
        biases, vectors = model.get_item_representations(rows)
        yield epoch, lambda items, b=biases, v=vectors: model.user_embeddings @ v[items].T + b[items]


def settings(folder: Folder, repeats: int) -> Iterator[Record]:
    """Prints settings by Recall@20 over a fifth of the training films, hidden."""
    matrix, features = films(folder)
    _, hidden, left = parts(matrix.shape[1])
    train = only(matrix, left)
    for kind in (ImplicitALS, SGDFactorization):
        for options in GRIDS[kind.__name__]:
            found = recall_of(ours(kind(**options), train, features)(hidden), matrix, hidden)
            yield {"case": kind.__name__, **options, f"recall@{K}": found}
    for options in GRIDS["LightFM"]:
        for epoch, score in lightfm(train, features, options):
            yield {
                "case": "LightFM",
                **options,
                "epochs": epoch,
                f"recall@{K}": recall_of(score(hidden), matrix, hidden),
            }


def race(folder: Folder, repeats: int) -> Iterator[Record]:
    """Recall@20 over a fifth of ML-1M's films, held out of training; the same features for all."""
    matrix, features = films(folder)
    tested, hidden, left = parts(matrix.shape[1])
    train = only(matrix, np.concatenate([hidden, left]))
    random = np.random.default_rng(0).random((matrix.shape[0], len(tested)))
    seen = np.asarray(matrix.sum(axis=0))[tested]  # no model can know this
    for name, scores in (("random", random), ("their popularity, from the future", np.tile(seen, (len(random), 1)))):
        yield {"what": name, "CPU seconds": 0.0, f"recall@{K}": recall_of(scores, matrix, tested)}
    for name, run in (
        ("ImplicitALS", lambda: ours(ImplicitALS(**ALS), train, features)),
        ("SGDFactorization", lambda: ours(SGDFactorization(**SGD), train, features)),
        ("LightFM", lambda: list(lightfm(train, features, LIGHTFM))[-1][1]),
    ):
        start = time.process_time()
        score = run()
        seconds = time.process_time() - start
        yield {"what": name, "CPU seconds": seconds, f"recall@{K}": recall_of(score(tested), matrix, tested)}


PARTS = (race,)
