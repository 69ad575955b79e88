"""What a server recorded: what changed, and whether it hurts."""
