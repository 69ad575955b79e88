"""Cleaning of columns: conf/features names a function under `cleaned`, with its column.

A function takes the values of one column and returns as many of the same kind: "number",
"datetime", "category" or "text", as src/project/features.py describes them. It runs before every
feature, in training as in a request.

    from mlops.features.cleaning import cleaning

    @cleaning("number")
    def capped(values, at):
        return np.minimum(values, at)

and in conf/features: `cleaned: {usage_hours: {function: capped, arguments: {at: 400}}}`.
"""
