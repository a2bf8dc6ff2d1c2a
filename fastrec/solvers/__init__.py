"""Solvers over matrices and vectors, which know no recommender."""
