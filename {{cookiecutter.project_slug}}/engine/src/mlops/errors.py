"""The one base class of failures that a user can mend."""


class ProjectError(Exception):
    """A failure with a remedy.

    The message is one sentence of cause and remedy (a list of findings may follow);
    the command line prints it without a traceback and exits with 2.
    """
