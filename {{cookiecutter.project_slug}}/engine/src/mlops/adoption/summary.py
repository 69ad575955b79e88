"""What an adoption found, in a few lines."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from ..config.settings import Split
from ..contract import Contract
from ..features.encoding import INDIRECT
from .proposal import SHOWN, Proposal

COLUMNS = 5  # named of many that are told in one line
MANY = 50  # labels of a category, from which on linear models and forests encode it


def summary(
    file: Path, proposal: Proposal, split: Split, written: Sequence[Path], told: Sequence[str] = ()
) -> str:
    """Return the lines: what the table is, what is left out, what to check, what was written.

    `split` is that of the experiment as it stands; `told` says what was kept of an earlier
    adoption.
    """
    contract = proposal.contract
    lines = [
        f"{file.name} is {contract.name}: {proposal.rows:,} rows, {contract.task}, "
        f"{_target(proposal)}",
        f"features: {_listed(_features(proposal), SHOWN)}",
        *(f"id: {name}" for name in contract.names("id")),
        f"split: by {_split(proposal.contract, split)}",
        *([f"gate: {proposal.tells}"] if proposal.tells else []),
    ]
    if proposal.unlabelled:
        lines.append(f"set aside: {proposal.unlabelled:,} rows without a target")
    lines += [*_many_labels(proposal), *_missing(proposal), *_left_out(proposal)]
    lines += [
        f"check: {name}: {column.description}"
        for name, column in contract.columns.items()
        if column.role != "ignored" and column.description
    ]
    lines += [f"check: {note}" for note in proposal.notes]
    lines += told
    lines.append(f"written: {', '.join(map(str, written))}")
    return "\n".join([*lines, "next: commit that, then dvc repro"])


def _target(proposal: Proposal) -> str:
    contract = proposal.contract
    if contract.task == "binary":
        positive, negative = contract.labels[1], contract.labels[0]
        return f"target {contract.target} (positive: {positive}, not {negative})"
    shown = ", ".join(contract.labels[:6]) + ", …" * (len(contract.labels) > 6)
    return f"target {contract.target}" + f" ({shown})" * bool(contract.labels)


def _features(proposal: Proposal) -> list[str]:
    columns = proposal.contract.columns
    direct = [n for n in proposal.contract.names("feature") if columns[n].type not in INDIRECT]
    return [*(name for name in direct if name not in proposal.exclude), *proposal.derived]


def _split(contract: Contract, split: Split) -> str:
    if split.method == "time":
        return f"time from {split.cutoff} of {contract.time}"
    if split.method == "group":
        return "group"
    by = f"hash of {', '.join(split.columns or contract.names('id'))}".removesuffix(" of ")
    days = [n for n in contract.names("feature") if contract.columns[n].type == "datetime"]
    return by + (f" (--time {days[0]!r} would hold out the latest rows)" if days else "")


def _many_labels(proposal: Proposal) -> Iterator[str]:
    """Yield the categories of many labels in one line, and what becomes of them."""
    features = {n: proposal.contract.columns[n] for n in proposal.contract.names("feature")}
    sizes = {name: len(column.categories) for name, column in features.items()}
    many = [f"{name} ({size:,})" for name, size in sizes.items() if size >= MANY]
    if many:
        yield (
            f"many labels: {_listed(many, COLUMNS)}: model.target_encoded says which models get "
            "their target encoding"
        )


def _missing(proposal: Proposal) -> Iterator[str]:
    """Yield the texts that were read as missing, and which of them may be labels."""
    columns, doubtful = proposal.contract.columns, []
    for text, rows in proposal.absent.items():
        counts = _listed([f"{count:,} in {name}" for name, count in rows.items()], COLUMNS)
        yield f"read as missing: {text!r} {counts}"
        labelled = [n for n in rows if columns[n].type == "category" and text[:1].isalpha()]
        doubtful += [f"{text} of {name}" for name in labelled]
    if doubtful:
        yield (
            f"check: {_listed(doubtful, COLUMNS)} could be a label: --missing names the texts that "
            "mean no value, and --missing '' none but the empty cell"
        )


def _left_out(proposal: Proposal) -> Iterator[str]:
    """Yield each column that is left out, those for the same reason in one line."""
    reasons: dict[str, list[str]] = {}
    for name, column in proposal.contract.columns.items():
        if column.role == "ignored":
            reasons.setdefault(column.reason, []).append(name)
    for reason, names in reasons.items():
        count = f"{len(names)} columns, " if len(names) > COLUMNS else ""
        yield f"left out: {count}{_listed(names, COLUMNS)}: {reason}"


def _listed(names: Sequence[str], most: int) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
