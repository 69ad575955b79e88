"""What a model does to people: two compared by who met them, and decisions that were not taken."""
