"""Makes data in two parts."""

import numpy as np
import scipy.sparse as sp

LABELS = ["ndcg@3", "recall@5", "precision@3", "map@5", "mrr@5", "auc@5", "novelty@3", "coverage@3", "gini@5"]


def random_parts(seed=0, users=60, items=25, density=0.2):
    rng = np.random.default_rng(seed)
    cells = rng.random((users, items)) < density
    hidden = cells & (rng.random((users, items)) < 0.3)
    return sp.csr_array((cells & ~hidden).astype(np.float32)), sp.csr_array(hidden.astype(np.float32))
