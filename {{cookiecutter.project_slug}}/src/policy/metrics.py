"""Metrics of this project."""
