"""The report: plots for DVC and one HTML page, drawn without a plotting library."""
