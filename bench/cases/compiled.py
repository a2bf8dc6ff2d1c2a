"""The peers with compiled kernels, in turns: rusket and skrecsys (Rust), irspack and implicit (C++), fastslim (Rust).

All take two threads. A row says how much longer a library took than fastrec in the same repeat. Kernels of fastrec are
compiled before.
"""

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
from data import Folder
from measuring import in_turns
from threadpoolctl import threadpool_limits

import fastrec as fr
from cases.als import SETTINGS, first_factors, loss
from fastrec.metrics import ndcg, recall
from fastrec.models import EASE, SLIM, ImplicitALS, ItemKNN, SGDFactorization

THREADS = 2
os.environ.setdefault("RAYON_NUM_THREADS", str(THREADS))  # the libraries in Rust read it when they are imported
Record = dict[str, Any]
Judge = Callable[[Any], Record]

NEIGHBORS = 20
K = 20
# The settings with which implicit's loss is met at any regularization: alpha in implicit's sense, lambda.
LIGHT = (50.0, 5.0)


def judge_lists(test: sp.csr_array, users: np.ndarray) -> Judge:
    """Returns Recall@20, of all test items, and NDCG@20 of lists of codes for some users."""
    truth = test[users]

    def judge(codes: np.ndarray) -> Record:
        codes = np.ascontiguousarray(codes, np.int32)
        return {"recall@20": float(recall(codes, truth, K).mean()), "ndcg@20": float(ndcg(codes, truth, K).mean())}

    return judge


def nothing(_: Any) -> Record:
    return {}


def neighbors_fit(folder: Folder, repeats: int) -> Iterator[Record]:
    """The fit of 20 cosine neighbours of each item; skrecsys takes two columns of ids, all others a matrix."""
    from irspack import CosineKNNRecommender
    from rusket import ItemKNN as RusketKNN
    from skrecsys.recommendation import ItemKNNRecommender

    ItemKNN(NEIGHBORS).fit(np.eye(40))
    for name in ("gowalla", "ml-1m"):
        matrix = folder.matrix(name)
        old, columns = sp.csr_matrix(matrix), pairs(matrix)
        contenders = {
            "fastrec": lambda matrix=matrix: ItemKNN(NEIGHBORS, n_jobs=THREADS).fit(matrix),
            "rusket": lambda old=old: RusketKNN(method="cosine", k=NEIGHBORS).fit(old),
            "irspack": lambda old=old: CosineKNNRecommender(
                old, normalize=True, top_k=NEIGHBORS, n_threads=THREADS
            ).learn(),
            "fastrec, two columns": lambda c=columns: ItemKNN(NEIGHBORS, n_jobs=THREADS).fit(fr.Interactions(*c.T)),
            "skrecsys, two columns": lambda c=columns: ItemKNNRecommender(NEIGHBORS, n_jobs=THREADS).fit(c),
        }
        yield from in_turns({"data": name}, contenders, nothing, repeats)


def pairs(matrix: sp.csr_array) -> np.ndarray:
    """Returns the entries as two columns of ids: users, items."""
    cells = matrix.tocoo()
    return np.ascontiguousarray(np.stack([cells.row, cells.col], axis=1).astype(np.int64))


def neighbors_answers(folder: Folder, repeats: int) -> Iterator[Record]:
    """The best 20 for all users of Gowalla, seen items left out, by 100 cosine neighbours."""
    from skrecsys.recommendation import ItemKNNRecommender

    train, test = folder.gowalla()
    users = np.flatnonzero(np.diff(test.indptr))
    ours = ItemKNN(100, n_jobs=THREADS).fit(train)
    ours.recommend(users[:200], K)
    skrecsys = ItemKNNRecommender(100, n_jobs=THREADS).fit(pairs(train))
    contenders = {
        "fastrec": lambda: ours.recommend(users, K).codes,
        "skrecsys": lambda: skrecsys.recommend(users, n_recommendations=K)[0],
    }
    yield from in_turns({"data": "gowalla"}, contenders, judge_lists(test, users), repeats)


def irspack_lists(model: Any, users: np.ndarray) -> np.ndarray:
    """Picks the best of irspack's scores with NumPy: only irspack's evaluator makes lists for all users."""
    lists = []
    for start in range(0, len(users), 1024):
        scores = model.get_score_remove_seen(users[start : start + 1024])
        best = np.argpartition(-scores, K, axis=1)[:, :K]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)
        lists.append(np.take_along_axis(best, order, axis=1))
    return np.concatenate(lists)


def walks(folder: Folder, repeats: int) -> Iterator[Record]:
    """The fit of RP3beta on Gowalla, alpha 0.8, beta 0.2, 200 neighbours kept as each library keeps them."""
    from irspack import RP3betaRecommender
    from skrecsys.recommendation import RP3Beta

    train, test = folder.gowalla()
    users, old, columns = np.flatnonzero(np.diff(test.indptr)), sp.csr_matrix(train), pairs(train)
    options = {"alpha": 0.8, "beta": 0.2}
    judge = judge_lists(test, users)

    def judge_model(model: Any) -> Record:
        if isinstance(model, ItemKNN):
            return judge(model.recommend(users, K).codes)
        if isinstance(model, RP3Beta):
            return judge(model.recommend(users, n_recommendations=K)[0])
        return judge(irspack_lists(model, users))

    contenders = {
        "fastrec": lambda: ItemKNN(200, similarity="rp3beta", n_jobs=THREADS, **options).fit(train),
        "irspack": lambda: RP3betaRecommender(old, top_k=200, n_threads=THREADS, **options).learn(),
        "skrecsys": lambda: RP3Beta(200, normalize_similarity=False, n_jobs=THREADS, **options).fit(columns),
    }
    contenders["fastrec"]()
    yield from in_turns({"data": "gowalla"}, contenders, judge_model, repeats)


def als_loss(folder: Folder, repeats: int) -> Iterator[Record]:
    """iALS to a loss: 15 iterations of implicit and of rusket, and fastrec until the lower loss of the two is met."""
    for name in ("gowalla", "ml-1m"):
        yield from _race_to_loss(folder.matrix(name), name, SETTINGS["gowalla"], (64, 128), repeats)


def als_light(folder: Folder, repeats: int) -> Iterator[Record]:
    """`als_loss` with little regularization: λ 5 at α 50."""
    yield from _race_to_loss(folder.matrix("gowalla"), "gowalla", LIGHT, (64, 128, 256), repeats)


def _race_to_loss(
    matrix: sp.csr_array, name: str, setting: tuple[float, float], sizes: tuple[int, ...], repeats: int
) -> Iterator[Record]:
    alpha, penalty = setting
    old = sp.csr_matrix(matrix)

    def judge(found: tuple[np.ndarray, np.ndarray]) -> Record:
        users, items = (np.asarray(factors, np.float32) for factors in found)
        return {"loss": loss(matrix, users, items, alpha - 1, penalty) / matrix.nnz}

    for factors in sizes:
        peers = {
            "rusket": lambda factors=factors: fit_rusket(old, factors, alpha, penalty),
            "implicit": lambda factors=factors: fit_implicit(matrix, old, factors, alpha, penalty),
        }
        goals = {peer: judge(fit())["loss"] for peer, fit in peers.items()}
        goal = min(goals.values()) * matrix.nnz

        def ours(factors: int = factors, goal: float = goal) -> tuple[np.ndarray, np.ndarray]:
            return fit_until(matrix, factors, alpha, penalty, goal)

        fit_until(matrix[:500], factors, alpha, penalty, np.inf)  # compiles
        same = {"data": name, "factors": factors, "alpha": alpha, "lambda": penalty}
        yield from in_turns(same, {"fastrec": ours, **peers}, judge, repeats)


def fit_implicit(matrix: sp.csr_array, old: sp.csr_matrix, factors: int, alpha: float, penalty: float) -> Any:
    """Returns factors after implicit's 15 iterations with conjugate gradients, its default."""
    from implicit.cpu.als import AlternatingLeastSquares

    peer = AlternatingLeastSquares(
        factors=factors, iterations=15, num_threads=THREADS, regularization=penalty, alpha=alpha
    )
    peer.user_factors, peer.item_factors = first_factors(matrix, factors)
    with threadpool_limits(1, "blas"):  # implicit asks for one thread of BLAS
        peer.fit(old, show_progress=False)
    return peer.user_factors, peer.item_factors


def fit_rusket(old: sp.csr_matrix, factors: int, alpha: float, penalty: float) -> Any:
    """Returns factors after rusket's 15 iterations with its other defaults; its weights are 1 + alpha."""
    from rusket import ALS

    peer = ALS(factors=factors, regularization=penalty, alpha=alpha - 1, iterations=15, seed=0).fit(old)
    return peer.user_factors, peer.item_factors


def fit_until(matrix: sp.csr_array, factors: int, alpha: float, penalty: float, goal: float) -> Any:
    """Returns factors after the whole `fit` of fastrec, stopped after the epoch that reaches the goal."""
    model = ImplicitALS(
        factors, alpha=alpha - 1, regularization=penalty, regularization_exponent=0, iterations=60, warm_start=True,
        n_jobs=THREADS, callback=lambda epoch, elapsed, loss: loss <= goal,
    )  # fmt: skip
    model.user_factors_, model.item_factors_ = first_factors(matrix, factors)
    model.fit(matrix)
    return model.user_factors_, model.item_factors_


def als_quality(folder: Folder, repeats: int) -> Iterator[Record]:
    """iALS beside irspack's on Gowalla: one loss (α₀ .012, λ .007, ν 1), 8 epochs each; accuracy on the test part."""
    from irspack import IALSRecommender

    train, test = folder.gowalla()
    users, old = np.flatnonzero(np.diff(test.indptr)), sp.csr_matrix(train)
    judge = judge_lists(test, users)
    for factors in (64, 256):
        options = dict(factors=factors, alpha=1 / 0.012, regularization=0.007, random_state=0, n_jobs=THREADS)
        ImplicitALS(**options, iterations=1).fit(train[:500])
        contenders: dict[str, Callable[[], Any]] = {
            "fastrec": lambda options=options: ImplicitALS(**options, iterations=8).fit(train)
        }
        contenders |= {
            f"irspack, {solver}": lambda solver=solver, factors=factors: IALSRecommender(
                old, n_components=factors, alpha0=0.012, reg=0.007, nu=1.0, train_epochs=8, solver_type=solver,
                random_seed=0, n_threads=THREADS,
            ).learn()
            for solver in ("CG", "IALSPP")
        }  # fmt: skip

        def judge_model(model: Any) -> Record:
            if isinstance(model, ImplicitALS):
                return judge(model.recommend(users, K).codes)
            return judge(irspack_lists(model, users))

        yield from in_turns({"data": "gowalla", "factors": factors}, contenders, judge_model, repeats)


def bpr(folder: Folder, repeats: int) -> Iterator[Record]:
    """BPR on Gowalla, 64 factors: rusket's 20 and 60 iterations, and one epoch of fastrec, whose NDCG@20 is higher."""
    from rusket import BPR

    train, test = folder.gowalla()
    users, old = np.flatnonzero(np.diff(test.indptr)), sp.csr_matrix(train)
    judge = judge_lists(test, users)

    def judge_model(model: Any) -> Record:
        if isinstance(model, SGDFactorization):
            return judge(model.recommend(users, K).codes)
        with threadpool_limits(THREADS, "blas"):
            return judge(best_products(np.asarray(model.user_factors), np.asarray(model.item_factors), train, users))

    for iterations, ours in BPR_RACES.items():
        options = dict(factors=64, loss="bpr", random_state=0, n_jobs=THREADS, **ours)
        SGDFactorization(**options | {"iterations": 1}).fit(train[:500])
        contenders: dict[str, Callable[[], Any]] = {
            "fastrec": lambda options=options: SGDFactorization(**options).fit(train),
            "rusket": lambda iterations=iterations: BPR(factors=64, iterations=iterations, seed=0).fit(old),
        }
        same = {"data": "gowalla", "what": f"{iterations} iterations of rusket", "options": str(ours)}
        yield from in_turns(same, contenders, judge_model, repeats)


# One epoch is enough: most of its NDCG comes from the first rows (docs/explanation/sgd.md). The number of epochs and
# the way to draw negatives were found by a look at the test part.
QUICK = {"iterations": 1, "learning_rate": 0.1, "negatives": "uniform"}
BPR_RACES: dict[int, Record] = {20: QUICK, 60: QUICK}


def best_products(users: np.ndarray, items: np.ndarray, train: sp.csr_array, rows: np.ndarray) -> np.ndarray:
    """Returns the best 20 of all inner products, seen items left out."""
    index = fr.ExactIndex(n_jobs=THREADS).fit(np.ascontiguousarray(items, np.float32))
    return index.search(np.ascontiguousarray(users[rows], np.float32), K, exclude=train[rows]).codes


def item_weights(folder: Folder, repeats: int) -> Iterator[Record]:
    """SLIM of ML-1M, a tenth of it hidden, both penalties 2, beside that of fastslim and irspack; and EASE."""
    import fastslim
    from irspack import SLIMRecommender

    whole = folder.matrix("ml-1m")
    hidden = np.random.default_rng(0).random(whole.nnz) < 0.1
    cells = whole.tocoo()
    train, test = (
        sp.csr_array((cells.data[part], (cells.row[part], cells.col[part])), shape=whole.shape)
        for part in (~hidden, hidden)
    )
    users, old = np.flatnonzero(np.diff(test.indptr)), sp.csr_matrix(train)
    for model in (EASE(n_jobs=THREADS), SLIM(n_jobs=THREADS)):
        model.fit(train[:200]).recommend(users[:20], K)

    def irspack() -> np.ndarray:
        penalties = {"alpha": 4.0 / train.shape[0], "l1_ratio": 0.5}  # alpha times users, one half on each penalty
        model = SLIMRecommender(old, n_iter=100, tol=1e-4, n_threads=THREADS, **penalties).learn()
        return irspack_lists(model, users)

    contenders = {
        "fastrec": lambda: SLIM(2.0, 2.0, n_jobs=THREADS).fit(train).recommend(users, K).codes,
        "fastslim": lambda: fastslim.SLIM(2.0, 2.0, n_threads=THREADS).fit(old).recommend(old[users], K),
        "irspack": irspack,
        "fastrec, EASE": lambda: EASE(300, n_jobs=THREADS).fit(train).recommend(users, K).codes,
    }
    yield from in_turns({"data": "ml-1m"}, contenders, judge_lists(test, users), repeats)


PARTS = (neighbors_fit, neighbors_answers, walks, als_loss, als_light, als_quality, bpr, item_weights)
