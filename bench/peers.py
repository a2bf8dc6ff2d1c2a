"""Wraps models of other libraries as recommenders, so that the same code searches and evaluates them."""

from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from fastrec.models import FactorRecommender


class Peer(FactorRecommender):
    """A model whose scores are inner products of vectors that another library has learned; it cannot fold users in."""

    def _fit(self, matrix: Any) -> None:
        self._users, self.item_factors_ = self._vectors_of(matrix)

    def _training_factors(self, matrix: Any) -> Any:
        return self._users

    def _fold_in(self, matrix: Any) -> Any:
        raise NotImplementedError("peers are asked about their own users only")

    def _vectors_of(self, matrix: Any) -> tuple[np.ndarray, np.ndarray]:
        raise NotImplementedError


class ImplicitPeer(Peer):
    """The models AlternatingLeastSquares and BayesianPersonalizedRanking of implicit."""

    def __init__(
        self, kind="als", factors=64, regularization=0.01, alpha=1.0, learning_rate=0.01, iterations=15, random_state=0
    ):
        self.kind = kind
        self.factors = factors
        self.regularization = regularization
        self.alpha = alpha
        self.learning_rate = learning_rate
        self.iterations = iterations
        self.random_state = random_state

    def _vectors_of(self, matrix: Any) -> tuple[np.ndarray, np.ndarray]:
        from implicit.als import AlternatingLeastSquares
        from implicit.bpr import BayesianPersonalizedRanking

        same = dict(
            factors=self.factors,
            regularization=self.regularization,
            iterations=self.iterations,
            random_state=self.random_state,
        )
        with threadpool_limits(1, "blas"):  # implicit asks for one thread of BLAS
            if self.kind == "als":
                model = AlternatingLeastSquares(alpha=self.alpha, **same)
            else:
                model = BayesianPersonalizedRanking(learning_rate=self.learning_rate, **same)
            model.fit(_as_matrix(matrix), show_progress=False)
        return model.user_factors, model.item_factors


class LightFMPeer(Peer):
    """The model LightFM without features."""

    def __init__(self, loss="warp", factors=64, learning_rate=0.05, regularization=0.0, iterations=30, random_state=0):
        self.loss = loss
        self.factors = factors
        self.learning_rate = learning_rate
        self.regularization = regularization
        self.iterations = iterations
        self.random_state = random_state

    def _vectors_of(self, matrix: Any) -> tuple[np.ndarray, np.ndarray]:
        from lightfm import LightFM

        model = LightFM(
            no_components=self.factors,
            loss=self.loss,
            learning_rate=self.learning_rate,
            item_alpha=self.regularization,
            user_alpha=self.regularization,
            random_state=self.random_state,
        )
        model.fit(_as_matrix(matrix).tocoo(), epochs=self.iterations, num_threads=2)
        item_bias, items = model.get_item_representations()
        users = model.get_user_representations()[1]
        return np.c_[users, np.ones(len(users), np.float32)], np.c_[items, item_bias]


class SurprisePeer(Peer):
    """The models SVD and SVD++ of scikit-surprise: rating ≈ mean + b_u + b_i + q_i·(p_u + |N(u)|^-½ Σ y_j)."""

    def __init__(
        self, presence=False, factors=100, learning_rate=0.005, regularization=0.02, iterations=20, random_state=0
    ):
        self.presence = presence
        self.factors = factors
        self.learning_rate = learning_rate
        self.regularization = regularization
        self.iterations = iterations
        self.random_state = random_state

    def _vectors_of(self, matrix: Any) -> tuple[np.ndarray, np.ndarray]:
        import pandas as pd
        from surprise import SVD, Dataset, Reader, SVDpp

        entries = matrix.tocoo()
        frame = pd.DataFrame({"user": entries.row, "item": entries.col, "rating": entries.data.astype(float)})
        trainset = Dataset.load_from_df(frame, Reader(rating_scale=(1, 5))).build_full_trainset()
        model = (SVDpp if self.presence else SVD)(
            n_factors=self.factors,
            n_epochs=self.iterations,
            lr_all=self.learning_rate,
            reg_all=self.regularization,
            random_state=self.random_state,
        )
        model.fit(trainset)
        p = model.pu.copy()
        if self.presence:
            for user, rated in trainset.ur.items():
                p[user] += model.yj[[item for item, _ in rated]].sum(axis=0) / np.sqrt(len(rated))
        mean = trainset.global_mean
        users = np.zeros((matrix.shape[0], self.factors + 2), np.float32)
        items = np.zeros((matrix.shape[1], self.factors + 2), np.float32)
        users[:, -2:], items[:, -1] = (mean, 1.0), 0.0
        items[:, -2] = 1.0
        for inner in trainset.all_users():
            users[trainset.to_raw_uid(inner)] = [*p[inner], mean + model.bu[inner], 1.0]
        for inner in trainset.all_items():
            items[trainset.to_raw_iid(inner)] = [*model.qi[inner], 1.0, model.bi[inner]]
        return users, items


def _as_matrix(matrix: Any) -> Any:
    """Returns the matrix that the peers want: an old-style one with 32-bit indices that may be written to."""
    import scipy.sparse as sp

    arrays = (matrix.data.copy(), matrix.indices.copy(), matrix.indptr.astype(np.int32))
    return sp.csr_matrix(arrays, shape=matrix.shape)
