"""A user's own table: its contract is inferred, its data versioned, the experiment pointed at it."""
