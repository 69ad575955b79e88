"""What happens before and after a prediction, and endpoints of this project."""
