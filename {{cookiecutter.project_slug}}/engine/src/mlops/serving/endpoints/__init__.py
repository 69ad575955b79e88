"""What the server answers to, one module a group of routes."""
