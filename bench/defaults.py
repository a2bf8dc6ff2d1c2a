"""How ImplicitALS's defaults were found: NDCG@10 of hidden items over a grid, on parts of training data alone."""

import argparse
import itertools
from pathlib import Path

import numpy as np
from data import Folder, hide

from fastrec.metrics import ndcg
from fastrec.models import ImplicitALS

WEIGHTS = (0.025, 0.05, 0.1, 0.2)  # of all feedback against all cells
REGULARIZATIONS = (0.003, 0.005, 0.01, 0.015, 0.02)
DATA = ("ml-100k", "ml-1m", "gowalla")


def scores(
    folder: Folder, name: str, factors: int, iterations: int, alphas: list[float] | None
) -> dict[tuple[float, float], float]:
    """NDCG@10 of a tenth of the (training) cells, hidden at random, for each setting."""
    train, hidden = hide(folder.matrix(name), 0.1)
    users = np.random.default_rng(0).permutation(train.shape[0])[:3000]
    found = {}
    cells = train.shape[0] * train.shape[1]
    for weight, regularization in itertools.product(alphas or WEIGHTS, REGULARIZATIONS):
        alpha = weight if alphas else weight * cells / train.nnz
        model = ImplicitALS(
            factors, alpha=alpha, regularization=regularization, iterations=iterations, random_state=0
        ).fit(train)
        codes = model.recommend(users).codes
        values = ndcg(codes, hidden[users], 10)
        found[weight, regularization] = float(np.nanmean(values))
        print(name, factors, weight, regularization, round(found[weight, regularization], 4), flush=True)
    return found


def main() -> None:
    """Print each data set's best setting, and the one whose worst share of the best is highest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--factors", type=int, default=64)
    parser.add_argument("--iterations", type=int, default=15)
    parser.add_argument("--alphas", type=float, nargs="*", help="a grid of fixed alphas instead of weights")
    options = parser.parse_args()
    folder = Folder(options.data)
    tables = {name: scores(folder, name, options.factors, options.iterations, options.alphas) for name in DATA}
    for name, table in tables.items():
        best = max(table, key=table.get)
        print(f"{name}: weight {best[0]}, regularization {best[1]}: NDCG@10 {table[best]:.4f}")
    shares = {
        setting: min(tables[name][setting] / max(tables[name].values()) for name in DATA) for setting in tables[DATA[0]]
    }
    for setting in sorted(shares, key=shares.get, reverse=True)[:5]:
        print(f"weight {setting[0]}, regularization {setting[1]}: at least {shares[setting]:.3f} of the best")


if __name__ == "__main__":
    main()
