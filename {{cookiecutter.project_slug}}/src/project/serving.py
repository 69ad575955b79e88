"""Before and after a prediction, and endpoints of this project's own.

`before`, `after` and `router`, each where it is wanted: engine/docs/serving.md has an example of
each. An edit makes a new candidate, since what is measured and promoted is what is served.
"""
