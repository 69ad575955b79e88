"""Rows from where they are made into partitions by day, and what changed between two states."""
