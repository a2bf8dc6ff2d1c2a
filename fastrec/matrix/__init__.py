"""The sparse matrix of codes, through which everything flows."""
