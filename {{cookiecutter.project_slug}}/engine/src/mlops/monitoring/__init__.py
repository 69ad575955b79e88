"""What the server recorded, judged: what changed, and whether it hurts."""
