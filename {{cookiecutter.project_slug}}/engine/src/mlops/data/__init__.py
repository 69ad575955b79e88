"""Rows: the files they come from, their validation against the contract, and their split."""
