"""Estimators, hyperparameter search, the fit, and its compilation for the runtime."""
