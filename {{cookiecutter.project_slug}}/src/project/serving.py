"""What happens before and after a prediction."""
