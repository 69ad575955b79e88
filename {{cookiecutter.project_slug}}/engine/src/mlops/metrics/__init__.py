"""Metrics as functions of weights, and the bootstrap that draws the weights."""
