"""Every version of the data that git names, and what of them DVC's cache has here."""

import json
from collections.abc import Mapping
from pathlib import Path

import yaml

from ..files import parse_yaml
from .repository import Repository


def versions(repository: Repository, folder: str) -> dict[str, str]:
    """Return every version of what DVC versions below `folder` that git knows: path by digest.

    Those of pointers and of dvc.lock, in every commit of every branch, and as they are now.
    """
    found: dict[str, str] = {}
    for commit in repository.commits([folder, "dvc.lock"], of="--all"):
        names = repository.entries(commit, [folder, "dvc.lock"])
        for name in (name for name in names if name.endswith(".dvc") or name == "dvc.lock"):
            found |= _versions(name, repository.text_at(commit, name) or "")
    now = [*(repository.root / folder).rglob("*.dvc"), repository.root / "dvc.lock"]
    for path in (path for path in now if path.is_file()):
        text = path.read_text(encoding="utf-8")
        found |= _versions(path.relative_to(repository.root).as_posix(), text)
    return {md5: path for md5, path in found.items() if Path(path).is_relative_to(folder)}


def _versions(name: str, text: str) -> dict[str, str]:
    try:
        content = parse_yaml(text)
        if name.endswith(".dvc"):
            return {out["md5"]: f"{Path(name).parent / out['path']}" for out in content["outs"]}
        outs = [out for stage in content["stages"].values() for out in stage.get("outs", ())]
        return {out["md5"]: out["path"] for out in outs if "md5" in out}
    except (yaml.YAMLError, LookupError, TypeError, AttributeError):
        return {}  # of a commit that nobody can check out either


def objects(cache: Path, versions: Mapping[str, str]) -> tuple[dict[Path, str], int]:
    """Return the cached files of some versions, by what each was called, and how many are absent.

    A folder whose list of files is not here counts as one.
    """
    found, absent = dict[Path, str](), 0
    for md5, path in versions.items():
        place = _object(cache, md5)
        if not place.is_file():
            absent += 1
        elif not md5.endswith(".dir"):
            found[place] = path
        else:
            for entry in json.loads(place.read_bytes()):
                if (one := _object(cache, entry["md5"])).is_file():
                    found[one] = f"{path}/{entry['relpath']}"
                else:
                    absent += 1
    return found, absent


def _object(cache: Path, md5: str) -> Path:
    return cache / "files/md5" / md5[:2] / md5[2:]
