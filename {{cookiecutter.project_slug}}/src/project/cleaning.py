"""Cleaning of cells, the same in training and in a request."""
