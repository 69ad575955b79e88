"""Where a verb runs: most need a project's root folder, and say so before anything else.

A server's image has no project, nor has a machine that only scores or only watches: what names its
bundle, its log or its report runs anywhere.
"""

import argparse
import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from ..errors import ProjectError

MARKS = ("params.yaml", "conf", "dvc.yaml")  # one is enough: it is then about the others
ANYWHERE = {"sample", "ship", "collect"}
# What reads a bundle and nothing else of a project, and the argument that names it.
BUNDLE = {
    "predict": "bundle",
    "feedback": "bundle",
    "serve": "bundle",
    "lineage": "bundle",
    "materialise": "bundle",
    "replay-experiment": "challenger",
}
# What reads a log or a report that is named, and a project now and then: asked where it failed.
NAMED = {"actions", "alerts", "counterfactual", "experiment", "features", "impact", "monitor"}
OWN = (Path("candidate"), Path("deploy/production/champion"))  # where a project has its bundles


class PlaceError(ProjectError):
    """This is no folder to run a verb in."""


def check(arguments: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> None:
    """Raise PlaceError where a verb needs a project and the current folder is none."""
    if not _is_project(Path.cwd()) and _needs_project(arguments, environment):
        raise PlaceError(_wanted() + (", or name a bundle" if arguments.verb in BUNDLE else ""))


def hint(arguments: argparse.Namespace) -> str:
    """Return what may be why a verb failed, to be put behind its sentence: nothing in a project."""
    return f" ({_wanted()})" if arguments.verb in NAMED and not _is_project(Path.cwd()) else ""


def _wanted() -> str:
    here = Path.cwd()
    above = next((folder for folder in here.parents if _is_project(folder)), None)
    way = f" (`cd {shlex.quote(os.path.relpath(above, here))}`)" if above else ""
    return f"{here} has no params.yaml and conf/: run this in a project's root folder{way}"


def _needs_project(arguments: argparse.Namespace, environment: Mapping[str, str]) -> bool:
    if arguments.verb in ANYWHERE | NAMED or getattr(arguments, "explain", None) is not None:
        return False
    if arguments.verb == "diff":  # REF:ENVIRONMENT is git's to know
        return not (Path(arguments.before).is_dir() and Path(arguments.after).is_dir())
    if arguments.verb not in BUNDLE:
        return True
    bundle = getattr(arguments, BUNDLE[arguments.verb])
    if bundle is None and arguments.verb == "serve":
        bundle = Path(environment.get("MLOPS_BUNDLE") or OWN[0])
    return bundle is None or (bundle in OWN and not bundle.is_dir())


def _is_project(folder: Path) -> bool:
    return any((folder / name).exists() for name in MARKS)
