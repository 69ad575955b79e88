"""Workflows of one project among several in a repository, where GitHub reads them: at the top."""
