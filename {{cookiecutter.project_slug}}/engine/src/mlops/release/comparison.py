"""Two bundles side by side: metrics, settings, data, features, columns, environment, size."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ..bundle import changes, contents, manifest
from ..bundle.figures import estimate
from ..bundle.figures import shown as plain
from ..bundle.reading import CONTRACT
from ..bundle.reading import METRICS as MEASURED
from ..evaluation.measurement import rounded
from ..git.repository import Repository
from ..metrics.catalogue import known as known_metrics
from . import environments
from .declaration import declared

Content = dict[str, Any]
APART = ("data.columns.",)  # of the settings: shown as columns
SIDES = ("before", "after")


def compared(repository: Repository, before: str, after: str) -> Content:
    """Return what differs between two bundles, each a folder or REF:ENVIRONMENT.

    A declared bundle is fetched. Every digest of both is verified first.
    """
    with ExitStack() as stack:
        sides = [stack.enter_context(_Bundle(repository, name)) for name in (before, after)]
        one, other = (side.folder for side in sides)
        manifests = [contents.read(side.folder).manifest for side in sides]
        abouts = [_about(side, content) for side, content in zip(sides, manifests, strict=True)]
        contracts = [json.loads((folder / CONTRACT).read_bytes()) for folder in (one, other)]
        features = [content["features"] for content in manifests]
        settings = changes.configuration(one, other)
        return {
            **dict(zip(SIDES, abouts, strict=True)),
            "same_holdout": manifests[0]["holdout"]["digest"] == manifests[1]["holdout"]["digest"],
            "metrics": list(_metrics(one, other)),
            "configuration": [c for c in settings if not c["key"].startswith(APART)],
            "data": changes.data(*manifests),
            "features": _lists(*features),
            "columns": changes.changes(*(contract["columns"] for contract in contracts)),
            "environment": changes.changes(*(_environment(content) for content in manifests)),
        }


class _Bundle(ExitStack):
    """A bundle in a folder for as long as the block lasts."""

    def __init__(self, repository: Repository, name: str) -> None:
        super().__init__()
        self.name, self.folder = name, repository.root / name
        ref, found, environment = name.rpartition(":")
        if self.folder.is_dir() or not found:
            return
        one = declared(repository, repository.commit_of(ref), environment)
        if one is None:
            raise environments.EnvironmentsError(
                f"{ref} declares nothing for {environment!r}: name a folder, or a declaration "
                "like main:production"
            )
        place = self.enter_context(tempfile.TemporaryDirectory(prefix="compared-"))
        self.folder = Path(place, "bundle")
        environments.bring(repository, one, self.folder)


def _about(side: _Bundle, content: Mapping[str, Any]) -> Content:
    files = [path for path in side.folder.rglob("*") if path.is_file()]
    return {
        "bundle": side.name,
        "manifest": manifest.bundle_digest(side.folder),
        **{key: content[key] for key in ("name", "task", "runtime")},
        "commit": content["lineage"]["commit"],
        "bytes": sum(path.stat().st_size for path in files),
    }


def _metrics(one: Path, other: Path) -> Iterator[Content]:
    """Yield the stored metrics of both: comparable only where the holdout is the same."""
    before, after = (json.loads((f / MEASURED).read_bytes())["holdout"] for f in (one, other))
    metrics = known_metrics()
    for name in dict.fromkeys([*before, *after]):
        row: Content = {"metric": name}
        if name in metrics:
            row["better"] = "more" if metrics[name].greater_is_better else "less"
        row |= {
            side: had[name] for side, had in zip(SIDES, (before, after), strict=True) if name in had
        }
        values = [row[side]["value"] for side in SIDES if side in row]
        known = len(values) == 2 and None not in values
        row["difference"] = rounded(values[1] - values[0]) if known else None
        yield row


def _lists(before: list[str], after: list[str]) -> Content:
    return {
        "added": [name for name in after if name not in before],
        "removed": [name for name in before if name not in after],
    }


def _environment(content: Mapping[str, Any]) -> Content:
    origin = content["lineage"]
    return {
        "runtime": content["runtime"],
        "python": origin["python"],
        "lock": origin["environment"],
        "code": origin["code"],
        "packages": origin["packages"],
    }


def shown(content: Content, as_json: bool = False) -> str:
    """Return a comparison as text, or as JSON."""
    if as_json:
        return json.dumps(content, indent=2, ensure_ascii=False)
    return "\n".join(_lines(content))


def _lines(content: Content) -> Iterator[str]:
    one, other = (content[side] for side in SIDES)
    for side in (one, other):
        size = f"{side['bytes'] / 1e6:.2f} MB"
        yield f"{side['bundle']}: {side['name']} {side['manifest'][:12]} ({side['task']}, {size})"
    if one["manifest"] == other["manifest"]:
        yield "the same bundle"
        return
    note = "" if content["same_holdout"] else ", each on its own holdout: not comparable"
    yield f"\nmetrics{note}"
    for row in content["metrics"]:
        stands = " to ".join(estimate(row[side]) if side in row else "none" for side in SIDES)
        moved = "" if row["difference"] is None else f": {row['difference']:+.4g}"
        yield f"  {row['metric']} {stands}{moved}"
    settings = content["configuration"]
    decisive = [one for one in settings if not one["key"].startswith(changes.SEARCH)]
    yield from _section("settings", [_change(change) for change in decisive])
    if more := len(settings) - len(decisive):
        yield f"  and {more} of the search (--json has them)"
    for title, key in (
        ("columns of the contract", "columns"),
        ("environment", "environment"),
    ):
        yield from _section(title, [_change(change) for change in content[key]])
    features = content["features"]
    yield from _section(
        "features",
        [f"{kind}: {', '.join(features[kind])}" for kind in ("added", "removed") if features[kind]],
    )
    yield from _section("data", _data(content["data"]))


def _section(title: str, lines: list[str]) -> Iterator[str]:
    yield f"\n{title}" if lines else f"\n{title}: the same"
    yield from (f"  {line}" for line in lines)


def _change(change: Content) -> str:
    was, now = (plain(change[side]) if side in change else "none" for side in SIDES)
    return f"{change['key']}: {was} to {now}"


def _data(data: Content) -> list[str]:
    files = [
        f"{kind}: {file['name']} ({file['rows']:,} rows)"
        for kind in ("added", "removed", "changed")
        for file in data[kind]
    ]
    rows = [
        f"{role} rows: {data['rows_before'].get(role, 0):,} to {count:,}"
        for role, count in data["rows"].items()
        if data["rows_before"].get(role) != count
    ]
    return [*files, *rows]
