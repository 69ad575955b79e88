"""Workflows of one project among several in a repository, where they are read: at its top."""
