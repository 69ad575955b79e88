"""What the server did: predictions and outcomes, kept for training and monitoring."""
