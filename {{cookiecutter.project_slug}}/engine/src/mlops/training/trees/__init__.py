"""Fitted ensembles of trees, each library's read into one form, and written to ONNX exactly."""
