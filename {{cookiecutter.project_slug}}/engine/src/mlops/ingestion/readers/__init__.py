"""What reads from each kind of origin: frames, a chunk at a time."""
