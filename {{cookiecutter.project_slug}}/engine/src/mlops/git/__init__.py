"""Git and DVC, called as the commands that the user has."""
