"""What is wrong with the data, for every module of this room to raise."""

from ..errors import ProjectError


class DataError(ProjectError):
    """A data file cannot be read, or breaks the contract."""
