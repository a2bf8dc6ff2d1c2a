"""Searches for defaults: NDCG@10 of hidden items over a grid of options, on parts of training data alone.

python bench/defaults.py ImplicitALS --data FOLDER
"""

import argparse
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from data import Folder, hide

from fastrec.metrics import ndcg
from fastrec.models import GraphFilter, ImplicitALS, SGDFactorization

DATA = ("ml-100k", "ml-1m", "gowalla")
Options = dict[str, Any]


def als(train: sp.csr_array, options: Options) -> ImplicitALS:
    """Returns the options of ImplicitALS; `weight` is the weight of all feedback against all cells."""
    options = dict(options)
    alpha = options.pop("weight") * train.shape[0] * train.shape[1] / train.nnz
    return ImplicitALS(64, alpha=alpha, random_state=0, **options)


def sgd(train: sp.csr_array, options: Options) -> SGDFactorization:
    """Returns the options of SGDFactorization; the loss is one of them."""
    return SGDFactorization(64, random_state=0, **options)


def graph_filter(train: sp.csr_array, options: Options) -> GraphFilter:
    """Returns the options of GraphFilter, with as many factors as the number of items asks for."""
    return GraphFilter(random_state=0, **options)


GRIDS: dict[str, tuple[Callable[[sp.csr_array, Options], Any], dict[str, tuple[Any, ...]]]] = {
    "ImplicitALS": (als, {"weight": (0.025, 0.05, 0.1, 0.2), "regularization": (0.003, 0.005, 0.01, 0.015, 0.02)}),
    "bpr": (
        sgd,
        {
            "loss": ("bpr",),
            "negatives": ("uniform", "adaptive"),
            "n_negatives": (8,),
            "regularization": (0.005, 0.01, 0.02, 0.04, 0.08),
            "iterations": (20, 40),
        },
    ),
    "warp": (
        sgd,
        {"loss": ("warp",), "regularization": (0.01, 0.02, 0.04, 0.08), "learning_rate": (0.02, 0.05, 0.1)},
    ),
    "GraphFilter": (
        graph_filter,
        {
            "ideal_weight": (0.3, 0.5),
            "user_exponent": (0.3, 0.5),
            "item_exponent": (0.4, 0.5),
            "degree_exponent": (0.2, 0.3, 0.4, 0.5),
        },
    ),
}


def scores(folder: Folder, name: str, model: str) -> dict[str, float]:
    """Returns the NDCG@10 of a tenth of the (training) cells, hidden at random, for each setting."""
    train, hidden = hide(folder.matrix(name), 0.1)
    users = np.random.default_rng(0).permutation(train.shape[0])[:3000]
    make, grid = GRIDS[model]
    found = {}
    for values in itertools.product(*grid.values()):
        options = dict(zip(grid, values, strict=True))
        codes = make(train, options).fit(train).recommend(users).codes
        found[json.dumps(options)] = score = float(np.nanmean(ndcg(codes, hidden[users], 10)))
        print(name, options, round(score, 4), flush=True)
    return found


def main() -> None:
    """Prints each data set's best setting, and the settings whose worst share of the best is highest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=sorted(GRIDS))
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    options = parser.parse_args()
    tables = {name: scores(Folder(options.data), name, options.model) for name in DATA}
    for name, table in tables.items():
        best = max(table, key=table.get)
        print(f"{name}: {best}: NDCG@10 {table[best]:.4f}")
    shares = {
        setting: [tables[name][setting] / max(tables[name].values()) for name in DATA] for setting in tables[DATA[0]]
    }
    for setting in sorted(shares, key=lambda setting: min(shares[setting]), reverse=True)[:5]:
        print(f"{setting}: {', '.join(f'{share:.3f}' for share in shares[setting])} of the best")


if __name__ == "__main__":
    main()
