"""What is promoted: the folder of model, contract, evidence and manifest, written and read."""
