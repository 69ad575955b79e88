"""What judges, beside conf/gate: the owner's, with the approval of code owners."""
