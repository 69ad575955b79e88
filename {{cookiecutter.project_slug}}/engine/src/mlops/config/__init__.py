"""The experiment: params.yaml and conf/ become resolved.yaml, which every later stage reads."""
