"""The rules of the monitor, each a class that a policy names in snake case."""
