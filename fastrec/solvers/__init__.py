"""Solvers over matrices and vectors, independent of recommenders."""
