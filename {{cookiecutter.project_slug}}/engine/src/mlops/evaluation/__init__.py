"""What the holdout says: metrics with intervals, slices, plots and the report."""
