"""Where work runs: threads here, or processes of Dask or Ray. What it computes is the same."""
