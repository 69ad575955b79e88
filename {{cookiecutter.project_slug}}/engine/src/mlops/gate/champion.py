"""The champion: what deploy/production/champion.dvc declares at a commit, fetched and verified."""

import re
from pathlib import Path
from typing import NamedTuple

import yaml

from ..bundle import contents, manifest
from ..contract import Contract
from ..errors import ProjectError
from ..files import parse_yaml
from ..git import dvc
from ..git.repository import Repository, RepositoryError
from . import scoring
from .case import Answers, Judged

POINTER = "deploy/production/champion.dvc"
NAME = "champion"


class ChampionError(ProjectError):
    """The declared champion cannot be fetched, or is not what its pointer says."""


class Champion(NamedTuple):
    """A fetched and verified champion: its folder, and the hash that its pointer declares."""

    folder: Path
    pointer: str

    @property
    def bundle_digest(self) -> str:
        """The digest that names it."""
        return manifest.bundle_digest(self.folder)


def fetch(repository: Repository, commit: str, out: Path) -> Champion | None:
    """Bring the champion of a commit to the folder `out`; None where it declares none.

    DVC believes its cache and its remote, so what came is hashed again here: against the
    pointer, and each file against the manifest.
    """
    text = repository.text_at(commit, POINTER)
    if text is None:
        return None
    _declared(text, commit)
    try:
        dvc.fetch(repository, text, NAME, out)
    except RepositoryError as error:
        raise ChampionError(
            f"the champion that {POINTER} declares at {commit[:12]} cannot be fetched ({error}); "
            f"where it is, `dvc push {POINTER}`"
        ) from error
    return verified(out, text, commit)


def verified(out: Path, text: str, commit: str) -> Champion:
    """Return the champion in a folder, if it is what the pointer of a commit says."""
    declared = _declared(text, commit)
    if not out.is_dir():
        raise ChampionError(
            f"neither cache nor remote has what {POINTER} of {commit[:12]} declares: where it is, "
            "`dvc push` it"
        )
    if (found := dvc.dvc_digest(out)) != declared:
        raise ChampionError(
            f"what was fetched as {POINTER} of {commit[:12]} is {found} and not {declared}: clear "
            "it from the DVC cache and the remote, and push it again from where it is whole"
        )
    try:
        contents.read(out)
    except manifest.BundleError as error:
        reason = str(error).replace(str(out), "the champion")
        raise ChampionError(
            f"{POINTER} of {commit[:12]} declares no whole bundle: {reason}"
        ) from error
    return Champion(out, declared)


def _declared(text: str, commit: str) -> str:
    """Return the hash of a pointer to one folder of this name."""
    try:
        (out,) = parse_yaml(text)["outs"]
        declared, path, kind = str(out["md5"]), out["path"], out["hash"]
    except (yaml.YAMLError, LookupError, TypeError, ValueError) as error:
        raise ChampionError(
            f"{POINTER} of {commit[:12]} is no DVC pointer to one folder: promote again"
        ) from error
    if kind != "md5" or path != NAME or not re.fullmatch(r"[0-9a-f]{32}\.dir", declared):
        raise ChampionError(
            f"{POINTER} of {commit[:12]} does not declare the folder {NAME}: promote again"
        )
    return declared


def rescored(champion: Champion, bundle: Answers, today: Contract, holdout: Path) -> Judged:
    """Return the champion's answers for today's holdout, by its own contract and features.

    Raises where it predicts something else than today's target, or cannot answer.
    """
    own = bundle.contract
    for what, was, now in (
        ("task", own.task, today.task),
        ("target", own.target, today.target),
        ("classes", own.labels, today.labels),
    ):
        if was != now:
            raise scoring.ScoringError(f"its {what} is {was!r}, today's is {now!r}")
    return scoring.judged(champion.folder, bundle, holdout)
