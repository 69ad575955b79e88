"""What a machine may give to joins: it changes how long one takes, and no value.

No stage depends on it, and no digest holds it.
"""

import re
from pathlib import Path

import msgspec
import yaml

from ..files import read_yaml
from .settings import ConfigError

PLACE = Path("conf/compute/standard.yaml")
_SIZE = re.compile(r"[1-9][0-9]*(\.[0-9]+)? ?[KMGT]i?B")


class Compute(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds of DuckDB where it joins tables.

    What does not fit into `memory` is spilled to a folder of its own in `spill`, by default where
    TMPDIR points. Without `threads` there is one a processor.
    """

    memory: str = "400MB"
    threads: int | None = None
    spill: str | None = None

    def __post_init__(self) -> None:
        if not _SIZE.fullmatch(self.memory):
            raise ValueError(f"`memory` is {self.memory!r}: write it like `400MB` or `2 GB`")
        if self.threads is not None and self.threads < 1:
            raise ValueError("`threads` is at least 1")


def compute(root: Path = Path()) -> Compute:
    """Return what conf/compute of a project says, or what counts where it has none."""
    path = root / PLACE
    if not path.is_file():
        return Compute()
    try:
        return msgspec.convert(read_yaml(path) or {}, Compute)
    except (yaml.YAMLError, ValueError) as error:  # of msgspec as well
        raise ConfigError(f"{PLACE}: {' '.join(str(error).split())}: correct it there") from error
