"""MLflow: candidates as runs, champions as versions; the only room that knows its client."""
