"""The data of a dataset as a commit pins them, fetched beside those that are here."""

from pathlib import Path

import yaml

from ..data.errors import DataError
from ..files import parse_yaml
from ..git import dvc
from ..git.repository import Repository
from .dataset import Dataset


def pointer(repository: Repository, dataset: Dataset, ref: str) -> str | None:
    """Return DVC's pointer to the data that a commit has; None where it has none.

    A stage of dvc.yaml that makes the folder pins it in dvc.lock.
    """
    commit, folder = repository.commit_of(ref), dataset.folder
    text = repository.text_at(commit, f"{folder.as_posix()}.dvc")
    if text is not None:
        return text
    try:
        lock = parse_yaml(repository.text_at(commit, "dvc.lock") or "{stages: {}}")
        md5 = dvc.pinned(lock, folder)
    except (yaml.YAMLError, LookupError, TypeError, AttributeError) as error:
        raise DataError(f"dvc.lock of {ref} is no lock of DVC: name another commit") from error
    return None if md5 is None else f"outs:\n- md5: {md5}\n  hash: md5\n  path: {folder.name}\n"


def fetch(repository: Repository, dataset: Dataset, text: str, out: Path) -> None:
    """Write the data that a pointer names to the folder `out`, from cache or remote."""
    dvc.fetch(repository, text, dataset.folder.name, out)
