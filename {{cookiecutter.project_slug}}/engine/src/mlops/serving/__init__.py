"""Predictions for users: a table at a time."""
