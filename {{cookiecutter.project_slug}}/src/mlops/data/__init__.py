"""Rows: the contract that declares them, the files they come from, their validation and their split."""
