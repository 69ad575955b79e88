"""From contract columns to the float32 matrix, the same offline and in a request."""
