"""An experiment begins, goes a step on, and ends: each a change of files that is reviewed.

Nothing is committed: the declaration, its diff and its pull request are the author's.
"""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import yaml

from ..bundle import contents, verdict
from ..bundle.reading import CANDIDATE
from ..files import sha256_of, write_text
from ..git import dvc
from ..git.repository import Repository
from ..release import challenger
from ..release.challenger import ENDED, POINTER, REPORT
from ..release.declaration import DEPLOY, Pointer, declared
from ..rollout.declaration import (
    NAME,
    Experiment,
    ExperimentError,
    Primary,
    Step,
    lasting,
    parse,
)
from .experiment import judge
from .units import NobodyError

CHALLENGER = challenger.NAME
MODES = {
    "ab": (Step(0.01, "1h"), Step(0.1, "1d"), Step(0.5)),
    "canary": (Step(0.01, "1h"), Step(0.1, "1d"), Step(0.5, "1d")),
    "shadow": (Step(0.1, "1h"), Step(1.0, "1d")),
}
Changes = dict[str, str | None]  # the texts of files by their path in the project; None for none


def start(
    repository: Repository,
    environment: str,
    primary: Primary,
    slices: tuple[str, ...] = (),
    now: datetime | None = None,
    mode: str = "ab",
) -> list[Path]:
    """Declare candidate/ as the challenger of what an environment serves; return the files.

    The candidate has to be the one that the last gate passed against that champion; its report is
    kept beside the pointer. It is pushed to the data remote, so that servers can fetch it. Raises
    ExperimentError.
    """
    folder = repository.root / DEPLOY / environment
    if (folder / NAME).exists():
        raise ExperimentError(
            f"{folder / NAME} is there: an experiment is under way; end it with `mlops experiment "
            "stop` or `conclude` first"
        )
    standing = declared(repository, "HEAD", environment)
    if standing is None:
        raise ExperimentError(
            f"{environment} declares no model yet: promote a first one, which the challenger is "
            "compared with"
        )
    champion = standing.declaration.bundle_digest
    digest, _, _ = contents.read(repository.root / CANDIDATE)
    if digest == champion:
        raise ExperimentError(
            f"{CANDIDATE} is what {environment} serves: make another one to compare it with"
        )
    report = _passed(repository.root / verdict.FOLDER / verdict.REPORT, digest, champion)
    begun = (now or datetime.now(UTC)).astimezone(UTC).replace(microsecond=0)
    salt = f"{begun:%Y-%m-%dT%H:%M}-{digest[:12]}"
    known = (1, champion, digest, salt, MODES[mode], begun, primary, mode)
    about = Experiment(*known, slices=slices if mode == "ab" else ())  # type: ignore[arg-type]
    pointer = Pointer.of(repository.root / CANDIDATE).text(CHALLENGER)
    dvc.push(repository, pointer, CHALLENGER)
    # The declaration last: an experiment without its bundle would be none.
    texts = dict(zip((POINTER, REPORT), (pointer, challenger.text(report)), strict=True))
    made = {f"{DEPLOY}/{environment}/{name}": text for name, text in texts.items()}
    return apply(repository, {**made, **declaring(environment, about)})


def advance(
    repository: Repository,
    environment: str,
    log: Path,
    at: date,
    now: datetime | None = None,
) -> tuple[Path, float]:
    """Give the challenger the share of the next step; return the file and the share.

    Raises ExperimentError where the step is not over, nobody has met the challenger in it, or the
    log says that it is worse or that the arms are broken.
    """
    about = standing(repository, environment)
    moment = (now or datetime.now(UTC)).astimezone(UTC).replace(microsecond=0)
    _check_over(about, moment)
    try:
        report = judge(repository.root / DEPLOY / environment / NAME, log, at)
    except NobodyError:
        report = None
    if report is None or not report["units"][CHALLENGER]:
        raise ExperimentError(
            f"nobody met the challenger until {at}: hold it here until there is traffic, and see "
            "that servers follow the experiment"
        )
    if report["verdict"] in ("worse", "broken", "stopped"):
        raise ExperimentError(f"{report['verdict']}: {report['reason']}: stop or conclude it")
    changes = advanced(environment, about, moment)
    return apply(repository, changes)[0], about.steps[about.step + 1].share


def stop(repository: Repository, environment: str, why: str = "by hand") -> list[Path]:
    """Remove the declaration, so that the champion answers everyone; return what is gone.

    What it was, and that it ended without a verdict, is kept: what was stopped is not promoted.
    """
    folder = repository.root / DEPLOY / environment
    if not any((folder / name).exists() for name in (NAME, POINTER, REPORT)):
        raise ExperimentError(f"{folder} declares no experiment: there is nothing to stop")
    changes = stopped(repository, environment, why, datetime.now(UTC).date())
    gone = [repository.root / path for path, text in changes.items() if text is None]
    apply(repository, changes)
    return gone


def conclude(
    repository: Repository, environment: str, log: Path, at: date
) -> tuple[Path, dict[str, Any]]:
    """End an experiment by what the log says; return where its report is kept, and the report.

    Raises ExperimentError where it is not decided yet.
    """
    standing(repository, environment)
    report = judge(repository.root / DEPLOY / environment / NAME, log, at)
    if report["verdict"] == "going on":
        raise ExperimentError(
            f"it is not decided ({report['reason']}): wait, or end it without a verdict with "
            "`mlops experiment stop`"
        )
    changes, kept = concluded(repository, environment, report)
    return apply(repository, changes)[0], kept


def standing(repository: Repository, environment: str) -> Experiment:
    """Return the experiment that an environment declares here; raises ExperimentError."""
    path = repository.root / DEPLOY / environment / NAME
    if not path.exists():
        raise ExperimentError(f"there is no {path}: begin one with `mlops experiment start`")
    return parse(path.read_bytes(), str(path))


def advanced(environment: str, about: Experiment, moment: datetime) -> Changes:
    """Return the declaration with the next step; raises ExperimentError where there is none."""
    _check_over(about, moment)
    further = msgspec.structs.replace(about, step=about.step + 1, since=moment)
    return declaring(environment, further)


def concluded(
    repository: Repository, environment: str, report: dict[str, Any]
) -> tuple[Changes, dict[str, Any]]:
    """Return the changes that end an experiment with a report, and the report as it is kept."""
    pointer = _pointer(repository, environment)
    content = {key: value for key, value in report.items() if key != "digest"}
    kept = verdict.sealed({**content, "pointer": pointer.md5 if pointer else None})
    name = f"{report['at']}-{report['challenger'][:12]}.json"
    path = f"{DEPLOY}/{environment}/{ENDED}/{name}"
    text = verdict.canonical(kept).decode() + "\n"
    return {path: text, **_gone(repository, environment)}, kept


def stopped(repository: Repository, environment: str, why: str, at: date) -> Changes:
    """Return the changes that end an experiment without a verdict."""
    path = repository.root / DEPLOY / environment / NAME
    if not path.exists():  # as one that was killed leaves it
        return _gone(repository, environment)
    text = path.read_text(encoding="utf-8")
    about = parse(text.encode(), str(path))
    report = {
        **{"format": 1, "declaration": sha256_of(text), "mode": about.mode},
        **{"champion": about.champion, "challenger": about.challenger},
        **{"step": about.step, "share": about.share, "since": f"{about.since:%Y-%m-%dT%H:%M:%SZ}"},
        **{"at": at.isoformat(), "verdict": "stopped", "reason": why},
    }
    return concluded(repository, environment, report)[0]


def apply(repository: Repository, changes: Changes) -> list[Path]:
    """Make changes in the working tree, each file in one step; return the files."""
    for path, text in changes.items():
        if text is None:
            (repository.root / path).unlink(missing_ok=True)
        else:
            write_text(repository.root / path, text)
    return [repository.root / path for path in changes]


def declaring(environment: str, about: Experiment) -> Changes:
    """Return a declaration, which is read as it is written."""
    content = msgspec.to_builtins(about)
    content["since"] = about.since.strftime("%Y-%m-%dT%H:%M:%SZ")
    if about.mode != "ab":
        del content["primary"]
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000)
    path = f"{DEPLOY}/{environment}/{NAME}"
    parse(text.encode(), path)
    return {path: text}


def is_over(about: Experiment, moment: datetime) -> bool:
    """Say whether a step has lasted as long as it has to."""
    lasts = about.steps[about.step].lasts
    return lasts is None or moment >= about.since + lasting(lasts)


def _check_over(about: Experiment, moment: datetime) -> None:
    if about.step + 1 == len(about.steps):
        raise ExperimentError(
            f"the last step is reached, with a share of {about.share:g}: wait for a verdict, then "
            "`mlops experiment conclude`"
        )
    if not is_over(about, moment):
        lasts = about.steps[about.step].lasts
        assert lasts is not None
        raise ExperimentError(
            f"this step lasts {lasts}, until {about.since + lasting(lasts):%Y-%m-%d %H:%M} UTC: "
            "wait until then"
        )


def _gone(repository: Repository, environment: str) -> Changes:
    # The experiment first: without it, nobody asks for the challenger.
    paths = [f"{DEPLOY}/{environment}/{name}" for name in (NAME, POINTER, REPORT)]
    return {path: None for path in paths if (repository.root / path).exists()}


def _pointer(repository: Repository, environment: str) -> Pointer | None:
    try:
        text = (repository.root / DEPLOY / environment / POINTER).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    return Pointer.read(text, CHALLENGER)


def _passed(report: Path, candidate: str, champion: str) -> dict[str, Any]:
    """Return the report of the gate; raises ExperimentError where it does not vouch for this."""
    content = verdict.read(report)
    stated = tuple((content.get(name) or {}).get("sha256") for name in ("candidate", "champion"))
    if stated != (candidate, champion) or content["verdict"] != "passed":
        raise ExperimentError(
            f"{report} has not passed this candidate against the champion that is served: run "
            "`make gate` first"
        )
    return content
