"""Evidence: whether the report of a declaration judged this bundle by what the base has."""

import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..bundle import verdict
from ..git import extraction
from ..git.repository import Repository
from .declaration import Declared, declared, report_text

PRODUCTION = "production"
SHAPELESS = "the report has not the shape that the gate gives it: run `make gate` again"
# The code of another commit, asked for the digest of a policy.
COMPOSE = """
import sys
from pathlib import Path
source, folder, task, name = sys.argv[1:]
sys.path[:0] = [source, source + '/../../src']
from mlops.errors import ProjectError
from mlops.gate.policy import compose
try:
    print(compose(Path(folder), task, name).digest)
except ProjectError as error:
    sys.exit(f"ERROR: {error}")
"""


def check(repository: Repository, one: Declared, base: str | None, own: str) -> None:
    """Raise VerdictError where the report of a declaration does not vouch for it.

    `base` is the commit whose champion and policy count, None before the first; `own` the commit
    that declares. Nothing is asked but git.
    """
    said, report = one.declaration, one.report
    champion = None if base is None else declared(repository, base, PRODUCTION)
    now = {
        "candidate": said.bundle_digest,
        "champion": champion.declaration.bundle_digest if champion else None,
        "policy": policy(repository, base, own, said.task),
        "holdout": said.holdout,
    }
    confirmed(report, now)
    check_judge(repository, report, base)
    stated = {**now, "name": report["candidate"]["name"], "commit": report["candidate"]["commit"]}
    stated |= {"task": report["candidate"]["task"], "verdict": report["digest"]}
    stated |= {"image": image(repository, own), "manifest": stated.pop("candidate")}
    release = msgspec.to_builtins(said)
    if wrong := [name for name, value in stated.items() if release[name] != value]:
        raise verdict.VerdictError(
            f"release.yaml of {said.environment} and what it rests on disagree about "
            f"{', '.join(wrong)}: promote again"
        )


def check_settled(one: Declared, remedy: str) -> None:
    """Raise VerdictError where something of the verdict on a declaration is still to come."""
    said = one.declaration
    if coming := pending(one):
        raise verdict.VerdictError(
            f"{said.environment} declares {said.bundle_digest[:12]} on a verdict of which "
            f"{', '.join(coming)} is still to come: {remedy}"
        )


def pending(one: Declared) -> list[str]:
    """Return what is still to come of the verdict on a declaration."""
    return list(one.report.get("pending", []))


def stated(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a report says that it judged by, and its digest."""
    try:
        champion = report["champion"]
        return {
            "verdict": report["digest"],
            "policy": report["policy"]["sha256"],
            "champion": None if champion is None else champion["sha256"],
        }
    except (LookupError, TypeError) as error:
        raise verdict.VerdictError(SHAPELESS) from error


def confirmed(report: Mapping[str, Any], now: Mapping[str, str | None]) -> None:
    """Raise VerdictError where a report did not pass, or judged something else than this."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, verdict.REPORT)
        place.write_text(report_text(report), encoding="utf-8")
        try:
            verdict.confirmed(place, now)
        except verdict.VerdictError as error:
            told = str(error).replace(str(place), "the report")
            raise verdict.VerdictError(told) from error
        except (AttributeError, LookupError, TypeError) as error:
            raise verdict.VerdictError(SHAPELESS) from error


def check_judge(repository: Repository, report: Mapping[str, Any], base: str | None) -> None:
    """Raise VerdictError where another code than one that the base had judged."""
    judge, law = report["judge"], report["policy"]["commit"]
    known = set() if base is None else set(repository.line(base))
    if base is not None and not {law, report["against"]["commit"]} <= known:
        raise verdict.VerdictError(
            f"the report was judged by {law[:12]} against {report['against']['commit'][:12]}, "
            f"which {base[:12]} does not come from: merge a change of code or policy first, then "
            "run `make gate` again"
        )
    with tempfile.TemporaryDirectory() as folder:
        if base is not None:
            repository.extract(law, [str(place) for place in verdict.CODE], Path(folder))
        has_gate = Path(folder, verdict.GATE).is_file()
        own = verdict.judge_sha256(Path(folder)) if has_gate else judge["sha256"]
    if judge["code"] != ("base" if has_gate else "branch") or judge["sha256"] != own:
        raise verdict.VerdictError(
            f"the report was not judged by the code of {law[:12]}: run `make gate` again"
        )


def policy(repository: Repository, base: str | None, own: str, task: str) -> str:
    """Return the digest of the policy at the base, as the base's own code composes it.

    Where the base has no gate yet, the code of `own` does, as it judged; and where it has no
    policy either, that of `own` counts.
    """
    with tempfile.TemporaryDirectory() as folder:
        places = {}
        for name, commit in (("base", base), ("own", own)):
            places[name] = Path(folder, name)
            places[name].mkdir()
            if commit is not None:
                repository.extract(commit, extraction.JUDGE, places[name])
        base_has_gate = (places["base"] / verdict.GATE).is_file()
        base_has_policy = base_has_gate or (places["base"] / "conf/gate").is_dir()
        code = places["base" if base_has_gate else "own"]
        law = places["base" if base_has_policy else "own"]
        name = (base if base_has_policy and base else own)[:12]
        arguments = [str(code / verdict.ENGINE), str(law), task, name]
        python = [Path(sys.executable).name, "-E", "-P", "-B", "-c", COMPOSE]
        told = repository.run(*python, *arguments, shown="mlops gate")
    return told.strip()


def image(repository: Repository, commit: str) -> str:
    """Return the repository that a commit has its images pushed to."""
    text = repository.text_at(commit, "pyproject.toml") or ""
    return str(tomllib.loads(text).get("tool", {}).get("mlops", {}).get("image", ""))
