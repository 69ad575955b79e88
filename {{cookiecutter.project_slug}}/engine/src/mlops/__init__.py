"""A machine-learning repository in which git declares what is true and automation makes it true."""
