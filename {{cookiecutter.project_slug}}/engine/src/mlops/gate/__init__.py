"""The gate: a policy, the candidate and the champion in; a verdict that fails closed out."""
