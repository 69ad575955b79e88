"""What the server tells its operators: metrics, logs and traces."""
