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
from ..files import write_text
from ..git import dvc
from ..git.repository import Repository
from ..release.declaration import DEPLOY, Pointer, declared
from ..rollout.declaration import (
    NAME,
    Experiment,
    ExperimentError,
    Primary,
    Step,
    lasting,
    parse,
    read,
)
from .experiment import judge

CHALLENGER = "challenger"
POINTER = f"{CHALLENGER}.dvc"
EVIDENCE = "experiments"  # what those that ended came to
STEPS = (Step(0.01, "1h"), Step(0.1, "1d"), Step(0.5))


def start(
    repository: Repository,
    environment: str,
    primary: Primary,
    slices: tuple[str, ...] = (),
    now: datetime | None = None,
) -> list[Path]:
    """Declare candidate/ as the challenger of what an environment serves; return the files.

    The candidate has to be the one that the last gate passed against that champion. It is pushed
    to the data remote, so that servers can fetch it. Raises ExperimentError.
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
    _check_passed(repository.root / verdict.FOLDER / verdict.REPORT, digest, champion)
    begun = (now or datetime.now(UTC)).astimezone(UTC).replace(microsecond=0)
    salt = f"{begun:%Y-%m-%dT%H:%M}-{digest[:12]}"
    about = Experiment(1, champion, digest, salt, STEPS, begun, primary, slices=slices)
    pointer = Pointer.of(repository.root / CANDIDATE).text(CHALLENGER)
    dvc.push(repository, pointer, CHALLENGER)
    write_text(folder / POINTER, pointer)  # first: an experiment without its bundle would be none
    return [folder / POINTER, _write(folder, about)]


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
    folder = repository.root / DEPLOY / environment
    about = read(folder / NAME)
    if about.step + 1 == len(about.steps):
        raise ExperimentError(
            f"the last step is reached, with a share of {about.share:g}: wait for a verdict, then "
            "`mlops experiment conclude`"
        )
    moment = (now or datetime.now(UTC)).astimezone(UTC).replace(microsecond=0)
    lasts = about.steps[about.step].lasts
    if lasts is not None and moment < about.since + lasting(lasts):
        raise ExperimentError(
            f"this step lasts {lasts}, until {about.since + lasting(lasts):%Y-%m-%d %H:%M} UTC: "
            "wait until then"
        )
    report = judge(folder / NAME, log, at)
    if not report["units"][CHALLENGER]:
        raise ExperimentError(
            f"nobody met the challenger until {at}: hold it here until there is traffic, and see "
            "that servers follow the experiment"
        )
    if report["verdict"] in ("worse", "broken"):
        raise ExperimentError(f"{report['verdict']}: {report['reason']}: stop or conclude it")
    further = msgspec.structs.replace(about, step=about.step + 1, since=moment)
    return _write(folder, further), further.share


def stop(repository: Repository, environment: str) -> list[Path]:
    """Remove the declaration, so that the champion answers everyone; return what is gone."""
    folder = repository.root / DEPLOY / environment
    # The experiment first: without it, nobody asks for the challenger.
    gone = [path for path in (folder / NAME, folder / POINTER) if path.exists()]
    if not gone:
        raise ExperimentError(f"{folder} declares no experiment: there is nothing to stop")
    for path in gone:
        path.unlink()
    return gone


def conclude(
    repository: Repository, environment: str, log: Path, at: date
) -> tuple[Path, dict[str, Any]]:
    """End an experiment by what the log says; return where its report is kept, and the report.

    Raises ExperimentError where it is not decided yet.
    """
    folder = repository.root / DEPLOY / environment
    about = read(folder / NAME)
    report = judge(folder / NAME, log, at)
    if report["verdict"] == "going on":
        raise ExperimentError(
            f"it is not decided ({report['reason']}): wait, or end it without a verdict with "
            "`mlops experiment stop`"
        )
    place = folder / EVIDENCE / f"{at}-{about.challenger[:12]}.json"
    write_text(place, verdict.canonical(report).decode() + "\n")
    stop(repository, environment)
    return place, report


def _check_passed(report: Path, candidate: str, champion: str) -> None:
    content = verdict.read(report)
    stated = tuple((content.get(name) or {}).get("sha256") for name in ("candidate", "champion"))
    if stated != (candidate, champion) or content["verdict"] != "passed":
        raise ExperimentError(
            f"{report} has not passed this candidate against the champion that is served: run "
            "`make gate` first"
        )


def _write(folder: Path, about: Experiment) -> Path:
    """Write a declaration, which is read as it is written."""
    content = msgspec.to_builtins(about)
    content["since"] = about.since.strftime("%Y-%m-%dT%H:%M:%SZ")
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000)
    path = folder / NAME
    parse(text.encode(), str(path))
    write_text(path, text)
    return path
