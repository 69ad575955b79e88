"""The holdout: still the rows that the champion was measured on, on the side they belong to."""

import math
from typing import Any, ClassVar

import numpy as np

from ...config.settings import Split
from ...data.arrays import plain
from ...data.fingerprints import fingerprints, missing
from ...data.hashing import row_hash
from ...data.prepared import ROW_HASH, row_count, row_hashes, table
from ...data.splitting import HOLDOUT, TRAIN, cutoff, keys, sides
from ..case import Case, Judged
from ..cutoff import move
from ..population import incomparable, known_rows
from ..rule import Finding, Rule

RARE = 1e-6  # how often an honest split may be taken for a chosen one


class HoldoutUnchanged(Rule, frozen=True, kw_only=True):
    """Check that the rows which the champion was measured on are still in the holdout.

    Rows are compared by fingerprints that the champion's bundle holds, computed over the
    columns of the champion's contract. Appended rows are stated and pass; `at_most` is the share
    of the champion's rows that may be gone or changed. Unless `split_may_change`, the split must
    be the champion's: under another one, rows that it was trained on may come into the holdout.
    A split by time may have the later cut-off that split.holdout_days gives as it was declared
    before: then the champion's rows have to be among all rows, on whichever side.
    Of the rows that were added, the holdout must have the share that the split gives it, but for
    chance.
    """

    needs_champion: ClassVar[bool] = True
    at_most: float
    split_may_change: bool = False

    def judge(self, case: Case) -> list[Finding]:
        """Return one finding for the rows and one for the split."""
        if case.champion is None:
            return [Finding("not applicable", "there is no champion yet")]
        kept = [self._split(case, case.champion), self._rows(case, case.champion)]
        added = self._added(case, case.champion)
        return kept if added is None else [*kept, added]

    def _split(self, case: Case, champion: Judged) -> Finding:
        before, now = champion.bundle.settings, case.settings
        said = []
        moved = move(case, before.split) if before.split != now.split else None
        if moved is not None and not moved.accepted:
            said.append(moved.reason)
        elif moved is None and before.split != now.split:
            said.append(f"the champion's split was {before.split}, now it is {now.split}")
        was, decides = keys(before.data, before.split), keys(now.data, now.split)
        if was != decides:
            said.append(f"it was decided by {', '.join(was)}, now by {', '.join(decides)}")
        if not said:
            reason = moved.reason if moved else "rows are split as they were for the champion"
            return Finding("passed", reason, "split")
        passes = self.split_may_change
        return Finding("passed" if passes else "rejected", "; ".join(said), "split")

    def _rows(self, case: Case, champion: Judged) -> Finding:
        contract = champion.bundle.contract
        if unknown := incomparable(contract, case.settings.data):
            return self._files(case, champion, unknown)
        before = known_rows(champion.folder, champion.bundle.manifest)
        if before is None:
            reason = "the champion's bundle does not tell the rows it was measured on"
            return Finding("rejected", reason, "rows")
        # What was held out then may train now, where the cut-off moved.
        parts = case.sides.values() if case.cutoff_moved else [case.holdout]
        now = np.concatenate([fingerprints(path, contract) for path in parts])
        lost = missing(before, now)
        added = now[missing(now, before)]
        labelled = int(np.isin(before[lost, 1], added[:, 1]).sum())
        share = float(lost.mean())
        verb = "at most" if share <= self.at_most else "above"
        reason = (
            f"{int(lost.sum())} of the {len(before)} rows that the champion was measured on are "
            f"gone or changed ({share:.2%}, {verb} {self.at_most:.2%}; {labelled} have another "
            "label)"
        )
        if not case.cutoff_moved:
            reason += f", {len(added) - labelled} rows were added"
        passed = share <= self.at_most
        return Finding(
            "passed" if passed else "rejected", reason, "rows", share, threshold=self.at_most
        )

    def _added(self, case: Case, champion: Judged) -> Finding | None:
        """Judge how many of the added rows are held out; None where none were."""
        was, split = champion.bundle.manifest["lineage"]["rows"], case.settings.split
        hashes = row_hashes(case.holdout)
        held = len(hashes) - int(champion.bundle.manifest["holdout"]["rows"])
        others = [path for role, path in case.sides.items() if role != HOLDOUT]
        known = sum(int(n) for role, n in was.items() if role != HOLDOUT)
        trained = sum(map(row_count, others)) - known
        if held <= 0 or champion.bundle.settings.split != split:
            return None
        new = np.ones(len(hashes), dtype=bool)
        if case.earlier is not None:
            new[case.earlier] = False
        sizes = np.unique(hashes[new], return_counts=True)[1]
        return share(held, max(trained, 0), sizes, split, "rows that were added")

    def _files(self, case: Case, champion: Judged, columns: list[str]) -> Finding:
        """Judge by the raw files where fingerprints cannot be computed again."""
        before, now = _files(champion), _files(case.candidate)
        changed = sorted(name for name, content in before.items() if now.get(name) != content)
        why = f"rows cannot be compared without {', '.join(columns)} as the champion knew it"
        if changed or not before:
            return Finding("rejected", f"{why}, and raw files changed: {changed}", "rows")
        said = f"{why}, but all {len(before)} raw files of the champion are unchanged"
        return Finding("passed", said, "rows")


def _files(judged: Judged) -> dict[str, Any]:
    return {file["name"]: file["sha256"] for file in judged.bundle.manifest["lineage"]["data"]}


class SplitKept(Rule, frozen=True, kw_only=True):
    """Check that every prepared row is on the side that its key and the split say.

    The hash of each row's key is computed again: a row moved or copied to the other side by
    hand stands where its hash or time does not put it. And the holdout has to have the share of the
    rows that the split gives it, but for chance: keys can be chosen.
    """

    def judge(self, case: Case) -> list[Finding]:
        """Return one finding for each side, and one for the share of the holdout."""
        contract, split = case.settings.data, case.settings.split
        names = keys(contract, split)
        moment = [contract.time] if contract.time and contract.time not in names else []
        found: list[Finding] = []
        every: dict[str, np.ndarray] = {}
        for role, path in case.sides.items():
            part = "training" if role == TRAIN else role
            rows = table(path, [*names, *moment, ROW_HASH])
            hashes = row_hash(rows, names, split.salt)
            every[role] = hashes
            edited = hashes != plain(rows.column(ROW_HASH), np.dtype(np.uint64), 0)
            astray = ~sides(rows, hashes, contract, split)[role]
            wrong = int((edited | astray).sum())
            reason = f"{wrong} of {len(hashes)} rows do not belong to the {part} side"
            passed = not wrong and len(hashes) > 0
            found.append(
                Finding("passed" if passed else "rejected", reason, part, wrong, threshold=0)
            )
        hashes = np.concatenate([*every.values()])
        sizes = np.unique(hashes, return_counts=True)[1]
        held = len(every[HOLDOUT])
        told = share(held, len(hashes) - held, sizes, split, "rows")
        return found if told is None else [*found, told]


def share(held: int, trained: int, sizes: np.ndarray, split: Split, said: str) -> Finding | None:
    """Find whether as many rows are held out as the split holds out; None for a split by time.

    `sizes` are the rows of each key, which fall to one side together. Chance is bounded after
    Chernoff, "A measure of asymptotic efficiency for tests of a hypothesis based on the sum of
    observations", Annals of Mathematical Statistics 23, 1952.
    """
    if split.method == "time" or not held + trained:
        return None
    rows, wanted = held + trained, split.holdout
    part = held / rows
    each = float(np.square(sizes.astype(np.float64)).sum() / max(sizes.sum(), 1))
    distance = sum(
        p * math.log(p / q) for p, q in ((part, wanted), (1 - part, 1 - wanted)) if p > 0
    )
    far = rows / max(each, 1.0) * distance > -math.log(RARE / 2)
    reason = (
        f"{held:,} of {rows:,} {said} are in the holdout ({part:.1%}) and the split holds out "
        f"{wanted:.0%}"
    )
    if far:
        reason += (
            ", which chance brings less than once in a million times: who chooses keys chooses "
            "what the candidate is judged on"
        )
    return Finding("rejected" if far else "passed", reason, "share", part)


class TimeOrder(Rule, frozen=True, kw_only=True):
    """Check that no training row is from the time of the holdout, where the split is by time."""

    source: ClassVar[str] = "Kaufman et al., Leakage in data mining, ACM TKDD 6(4), 2012"

    def judge(self, case: Case) -> list[Finding]:
        """Return one finding."""
        split, name = case.settings.split, case.settings.data.time
        if split.method != "time":
            reason = f"the split is by {split.method}: rows of all times are on both sides"
            return [Finding("not applicable", reason)]
        if name is None:
            return [Finding("rejected", "the contract has no column of role time")]
        train, holdout = case.train_columns[name], case.columns[name]
        if not len(train) or not len(holdout):
            return [Finding("rejected", "there are no training rows or no holdout rows")]
        if np.isnat(train).any() or np.isnat(holdout).any():
            return [Finding("rejected", f"{name} is missing in some rows")]
        first = holdout.min()
        late = int((train >= first).sum())
        early = int((holdout < cutoff(split)).sum())
        reason = (
            f"{late} training rows are from {first} on, the first moment of the holdout; "
            f"{early} holdout rows are before the cut-off {split.cutoff}"
        )
        wrong = late + early
        return [Finding("rejected" if wrong else "passed", reason, "", wrong, threshold=0)]
