"""A rehearsal of GitHub Actions: the real workflow files, executed on one machine, offline."""
