"""The bundle that is promoted, and the registry that mirrors it."""
