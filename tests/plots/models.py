"""Reports that are drawn."""

import numpy as np

import fastrec as fr


def compressed():
    X = (np.random.default_rng(0).random((40, 30)) < 0.3).astype(np.float32)
    model = fr.ImplicitALS(factors=16, iterations=1, random_state=0).fit(X)
    return fr.compression_report(model, 1 - X, ["float16", "int8", "int4"], repeats=1)


def many(n):
    train, test = np.eye(4)[[0, 0, 1, 2]], np.eye(4)[[1, 2, 0, 3]]
    model = fr.Popularity().fit(train)
    return fr.evaluate({f"a model with a long name {i}": model for i in range(n)}, test, ["recall@1", "ndcg@2"])
