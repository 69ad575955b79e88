"""The way to a later version of the template, whose own code does the work."""
