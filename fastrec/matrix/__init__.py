"""The sparse matrix of codes, which all parts of the package share."""
