"""The experiment: params.yaml and conf/ are composed into resolved.yaml, which every later stage reads."""
