"""`mlops monitor`: a bundle, its log and a policy in; the report out."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec

from ..bundle import alerts, contents
from ..bundle.cells import Layout
from ..bundle.manifest import MANIFEST
from ..bundle.reading import PROFILE, REFERENCE, parsed
from ..bundle.reference import Reference, layout
from ..errors import ProjectError
from ..files import write_text
from . import judge as judging
from .case import Case
from .log import Source, days, settled, traffic
from .lookups import looked_up
from .policy import Policy, compose
from .rows import silent

EXIT = {"quiet": 0, "alert": 1, "not judged": 2}


class MonitorError(ProjectError):
    """There is nothing to monitor, or nothing to monitor it by."""


def monitor(log: Path, bundle: Path, at: date | None, out: Path) -> dict[str, Any]:
    """Judge what a bundle answered up to a day, write the three reports, and return the content."""
    clear(out)
    content = read(bundle)
    policy = compose(Path(), content.manifest["task"], "this folder")
    source, case = prepared(log, content, policy, at)
    report = judging.judge(source, content, policy, case)
    write(out, report)
    return report


def read(bundle: Path) -> contents.Contents:
    """Return a bundle; raises MonitorError where there is none."""
    if not (bundle / MANIFEST).is_file():
        raise MonitorError(
            f"{bundle} is no bundle: promote a candidate (`mlops promote`), fetch the one that was "
            f"promoted (`dvc pull {bundle}.dvc`), or name another with `--bundle`"
        )
    return contents.read(bundle)


def clear(out: Path) -> None:
    """Remove the reports of an earlier run, which would be taken for those of this one."""
    for name in (alerts.REPORT, alerts.MARKDOWN, alerts.PAGE):
        (out / name).unlink(missing_ok=True)


def settled_by(bundle: Path) -> str:
    """Return by which settings outcomes of a bundle are counted."""
    task = read(bundle).manifest["task"]
    return settled(compose(Path(), task, "this folder").settings)


def prepared(
    log: Path, content: contents.Contents, policy: Policy, at: date | None, keep: bool = True
) -> tuple[Source, Case]:
    """Return the log of a bundle, counted, and the case of a day: yesterday, if not named.

    What was counted is kept in the log, unless `keep` says no.
    """
    last = at or judging.last_whole_day(datetime.now(UTC).date())
    if not log.is_dir():
        raise MonitorError(
            f"{log} is no folder: name the log of a server (MLOPS_LOG_FOLDER), or collect one that "
            "was shipped with `mlops collect`"
        )
    if REFERENCE not in content.files:
        raise MonitorError(
            "the bundle has no reference.json, which bundles have from this version on: make and "
            "promote another candidate (`dvc repro`)"
        )
    loaded = parsed(content)
    silent(loaded.contract, policy.settings.silence)
    profile = json.loads(content.files[PROFILE])
    cells = layout(profile, loaded.settings)
    reference = _reference(content.files[REFERENCE], cells)
    source = Source(log, loaded, content.bundle_digest, cells, policy.settings)
    known = days(source, last, keep)
    case = Case(
        last,
        loaded,
        cells,
        reference,
        policy.settings,
        known,
        traffic(log, known, last),
        source.unrecorded,
        source.calendar,
        # Of one day: a replay of many asks what other rules would have said.
        looked_up(source, last) if keep and _asks(policy, "skew") else None,
    )
    return source, case


def _asks(policy: Policy, name: str) -> bool:
    return any(rule.named() == name for rule in policy.rules.values())


def _reference(text: bytes, cells: Layout) -> Reference:
    """Return the reference of a bundle; raises MonitorError where it has not the bundle's cells."""
    size = int(cells.starts[-1])
    try:
        found = msgspec.json.decode(text, type=Reference)
        counted: list[Sequence[float]] = [found.seen.features, found.held.features]
        counted.append(found.held.answered)
        counted += [*found.seen.slices.values(), *(period.features for period in found.periods)]
        if any(len(part) != size for part in counted):
            raise ValueError("it has other cells than profile.json")
    except (ValueError, msgspec.DecodeError) as error:
        raise MonitorError(
            f"reference.json of the bundle cannot be used ({' '.join(str(error).split())}): make "
            "another candidate (`dvc repro`)"
        ) from error
    return found


def write(out: Path, report: dict[str, Any]) -> None:
    """Write the three reports, monitor.json last."""
    from .markdown import markdown
    from .page import page

    write_text(out / alerts.PAGE, page(report))
    write_text(out / alerts.MARKDOWN, markdown(report))
    text = json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False)
    write_text(out / alerts.REPORT, text + "\n")
