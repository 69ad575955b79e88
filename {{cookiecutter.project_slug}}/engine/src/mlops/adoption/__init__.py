"""A table of the user's own: contract inferred, data versioned, experiment pointed at it."""
