"""The fitted model as it runs: ONNX or skops behind one `predict`."""
