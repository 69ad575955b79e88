"""What makes the model: the owner's."""
