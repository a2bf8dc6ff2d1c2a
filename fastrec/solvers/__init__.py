"""What finds parameters: solvers over matrices and vectors, which know no recommender."""
