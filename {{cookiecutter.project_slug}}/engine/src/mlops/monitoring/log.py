"""The days of a server's log, each counted once: what is kept when its rows are deleted."""

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..bundle.cells import Layout
from ..bundle.counting import Counts, Tally
from ..bundle.losses import Outcomes, outcomes
from ..bundle.reading import Loaded
from ..config.settings import Monitoring
from ..files import atomic_file
from ..log_layout import COUNTS, FEEDBACK, PREDICTIONS
from ..progress import progress
from . import outcomes as reports
from .case import Day
from .rows import ANSWERED, ROWS, LogError, answered, batches, inputs, predictions, targets, units

BY_THE_HOUR = ("hour_of_day", "is_missing_datetime")  # of one datetime, and alike every day
HORIZON = 400  # days that are looked at
RECENT = 70  # of which it is counted who else answered


class Source(NamedTuple):
    """The log of one bundle: where it is and how its rows are counted."""

    folder: Path
    bundle: Loaded
    bundle_digest: str
    layout: Layout
    settings: Monitoring

    @property
    def model(self) -> str:
        """What the log's folders call the bundle."""
        return self.bundle_digest[:12]

    @property
    def unrecorded(self) -> frozenset[str]:
        """The features that read personal data, which the log does not hold."""
        return self.bundle.encoder.private(self.bundle.contract)

    @property
    def calendar(self) -> frozenset[str]:
        """The features that tell the date alone."""
        contract = self.bundle.contract
        return frozenset(
            name
            for name, about in self.bundle.encoder.derived.items()
            if about.function not in BY_THE_HOUR
            and [contract.columns[column].type for column in about.columns] == ["datetime"]
        )


def days(source: Source, at: date, keep: bool = True) -> dict[str, Day]:
    """Return every day of the bundle up to `at`, counting the files that were not counted yet.

    Unless told to `keep` them, the log stays as it is: other settings count other outcomes.
    """
    first = (at - timedelta(days=HORIZON)).isoformat()
    wanted = [day for day in _dates(source) if first <= day <= at.isoformat()]
    known = {day: _known(source, day) for day in wanted}
    stale = [day for day in wanted if _behind(source, known[day], day, at)]
    with progress(title="count", total=len(stale), unit=" days") as bar:
        for day in stale:
            try:
                known[day] = _counted(source, known[day], day, at)
            except pa.ArrowException as error:
                raise LogError(
                    f"rows of {day} cannot be read as Parquet ({' '.join(str(error).split())}): "
                    "bring the file back, or remove it, and its rows with it"
                ) from error
            if keep:
                _write(source, known[day])
            bar.update(1)
    return {day: known[day] for day in sorted(known) if known[day].counts.rows}


def traffic(folder: Path, known: Mapping[str, Day], at: date) -> dict[str, int]:
    """Return the rows of each day up to `at`, of every bundle that answered."""
    first = (at - timedelta(days=RECENT)).isoformat()
    rows = {day: about.counts.rows for day, about in known.items()}
    others: dict[str, int] = {}
    models = {about.model[:12] for about in known.values()}
    for path in sorted((folder / COUNTS).glob("date=*/*.json")):
        day = _day(path.parent.name)
        if path.stem not in models and first <= day <= at.isoformat():
            others[day] = others.get(day, 0) + _read(path).counts.rows
    for part in sorted((folder / PREDICTIONS).glob("date=*/model=*")):
        day, model = _day(part.parent.name), part.name.removeprefix("model=")
        if model in models or not first <= day <= at.isoformat():
            continue
        if (folder / COUNTS / f"date={day}" / f"{model}.json").exists():
            continue
        others[day] = others.get(day, 0) + sum(map(_rows, sorted(part.glob("part-*.parquet"))))
    return {day: rows.get(day, 0) + others.get(day, 0) for day in sorted({*rows, *others})}


def _rows(path: Path) -> int:
    """Return how many rows of a file somebody got an answer to."""
    try:
        with pq.ParquetFile(path) as file:
            roles = file.iter_batches(batch_size=ROWS, columns=["role"])
            return sum(answered(batch, {}).num_rows for batch in roles)
    except pa.ArrowException as error:
        raise LogError(
            f"{path} cannot be read as Parquet: bring it back, or remove it, and its rows with it"
        ) from error


def _dates(source: Source) -> list[str]:
    named = source.folder / PREDICTIONS
    parts = {path.parent.name for path in named.glob(f"date=*/model={source.model}")}
    counted = {
        path.parent.name for path in (source.folder / COUNTS).glob(f"date=*/{source.model}.json")
    }
    return sorted(day for name in parts | counted if (day := _day(name)))


def _day(folder: str) -> str:
    """Return the date that a folder is of; what is called otherwise is none of the log's."""
    day = folder.removeprefix("date=")
    try:
        return date.fromisoformat(day).isoformat() if len(day) == len("2026-01-01") else ""
    except ValueError:
        return ""


def _files(source: Source, day: str) -> dict[str, int]:
    folder = source.folder / PREDICTIONS / f"date={day}" / f"model={source.model}"
    return {path.name: path.stat().st_size for path in sorted(folder.glob("part-*.parquet"))}


def _known(source: Source, day: str) -> Day:
    path = _path(source, day)
    if not path.exists():
        return Day(day, source.bundle_digest, Counts.none(source.layout))
    known = _read(path)
    if known.model != source.bundle_digest:
        raise LogError(
            f"{path} is of another bundle, {known.model[:12]}: remove it, to have it counted again"
        )
    if len(known.counts.features) != source.layout.starts[-1]:
        raise LogError(f"{path} has other cells than the bundle: remove it, to count the day again")
    return known


def _behind(source: Source, known: Day, day: str, at: date) -> bool:
    files = _files(source, day)
    if any(known.files.get(name) != size for name, size in files.items()):
        return True
    if files and _came_late(source, known, day, at):
        return True
    if not files or not _is_mature(source, day, at) or known.settled == settled(source.settings):
        return False
    return not known.settled or _is_whole(known, files)


def _came_late(source: Source, known: Day, day: str, at: date) -> bool:
    """Say whether nothing was heard of a day until it was mature, and something may be now."""
    if not known.settled or known.known:
        return False
    last = _last_report(source, at)
    return last > known.heard and last > _matured(source, day).isoformat()


def _last_report(source: Source, at: date) -> str:
    named = (_day(path.name) for path in (source.folder / FEEDBACK).glob("date=*"))
    return max((day for day in named if day <= at.isoformat()), default="")


def _matured(source: Source, day: str) -> date:
    """Return the last day whose reports of a day count."""
    return date.fromisoformat(day) + timedelta(days=source.settings.maturity_days)


def _is_whole(known: Day, files: Mapping[str, int]) -> bool:
    """Say whether every file that was counted is still there, so that it can be counted again."""
    return known.files.keys() <= files.keys()


def _is_mature(source: Source, day: str, at: date) -> bool:
    return date.fromisoformat(day) <= at - timedelta(days=source.settings.maturity_days)


def settled(settings: Monitoring) -> str:
    """Return by which settings outcomes are counted."""
    return f"{settings.maturity_days} days, silence {settings.silence}"


def _counted(source: Source, known: Day, day: str, at: date) -> Day:
    """Return a day with the files counted that were not, and its outcomes where they are mature."""
    files = _files(source, day)
    changed = [name for name, size in files.items() if known.files.get(name, size) != size]
    whole = _is_whole(known, files)
    if changed or (whole and files.keys() - known.files.keys()):
        # What was counted of a file cannot be taken back; and a day whose rows are all there gets
        # the counts that it would have had, had they come at once.
        known = Day(day, source.bundle_digest, Counts.none(source.layout))
    fresh = [name for name in files if name not in known.files]
    counts, roles = known.counts, dict(known.roles)
    folder = source.folder / PREDICTIONS / f"date={day}" / f"model={source.model}"
    if fresh:
        tally = Tally(source.layout)
        for name in fresh:
            for batch in batches(folder / name, source.bundle.encoder.inputs):
                _count(source, tally, batch, roles)
        counts = counts + tally.counts()
    found = Day(day, source.bundle_digest, counts, {**known.files, **files}, roles)
    found.outcomes, found.known, found.settled = known.outcomes, known.known, known.settled
    if (
        files
        and _is_mature(source, day, at)
        and (not known.settled or (whole and known.settled != settled(source.settings)))
    ):
        # As it was when it was mature: later, another answer would come out.
        found.outcomes, found.known = _outcomes(source, day, _matured(source, day))
        found.settled = settled(source.settings)
    if files and _came_late(source, found, day, at):
        if (first := _first_report(source, day, at)) is not None:
            found.outcomes, found.known = _outcomes(source, day, first)
        found.heard = _last_report(source, at)
    return found


def _count(source: Source, tally: Tally, batch: pa.RecordBatch, roles: dict[str, int]) -> None:
    batch = answered(batch, roles)
    if not batch.num_rows:
        return
    contract, encoder = source.bundle.contract, source.bundle.encoder
    columns = inputs(batch, contract, encoder.inputs)
    values = encoder.by_feature(encoder.matrix(columns))
    tally.add(values, predictions(batch, contract), columns, units(batch, encoder.inputs))


def _first_report(source: Source, day: str, at: date) -> date | None:
    """Return the day of the first report of a day's answers."""
    of = date.fromisoformat(day)
    batches = reports.outcomes(source.folder, of, of, source.model, at=at, columns=["row"])
    told = [pc.min(batch.column("outcome_time")).as_py() for batch in batches]
    return min((moment.date() for moment in told if moment is not None), default=None)


def _outcomes(source: Source, day: str, last: date) -> tuple[Outcomes, int]:
    """Return what was reported of a day's answers until another day, and of how many."""
    settings, contract = source.settings, source.bundle.contract
    first = date.fromisoformat(day)
    total, known = Outcomes(), 0
    for batch in reports.outcomes(
        source.folder, first, first, source.model, at=last, roles=ANSWERED
    ):
        true = targets(batch, contract, settings.silence)
        heard = ~np.isnan(true)
        if not heard.any():
            continue
        columns = inputs(batch, contract, source.bundle.encoder.inputs)
        kept = {name: columns[name][heard] for name in source.layout.sliced}
        answers = predictions(batch, contract)[heard]
        total += outcomes(source.layout, true[heard], answers, kept, contract.labels)
        known += int(heard.sum())
    return total, known


def _path(source: Source, day: str) -> Path:
    return source.folder / COUNTS / f"date={day}" / f"{source.model}.json"


def _read(path: Path) -> Day:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Day)
    except (msgspec.DecodeError, OSError) as error:
        raise LogError(
            f"{path} cannot be read ({' '.join(str(error).split())}): remove it, to have the day "
            "counted again from its rows"
        ) from error


def _write(source: Source, day: Day) -> None:
    with atomic_file(_path(source, day.date)) as staging:
        staging.write_bytes(msgspec.json.encode(day))
