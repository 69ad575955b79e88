"""The holdout: still the rows that the champion was measured on, on the side they belong to."""

from typing import Any, ClassVar

import numpy as np

from ...bundle.reading import HOLDOUT
from ...data.arrays import plain
from ...data.fingerprints import Prints, digest, fingerprints, missing
from ...data.hashing import row_hash
from ...data.prepared import ROW_HASH, table
from ...data.splitting import cutoff, is_holdout, keys
from ..case import Case, Judged
from ..rule import Finding, Rule


class HoldoutUnchanged(Rule, frozen=True, kw_only=True):
    """Check that the rows which the champion was measured on are still in the holdout.

    Rows are compared by fingerprints that the champion's bundle holds, computed over the
    columns of the champion's contract. Appended rows are stated and pass; `at_most` is the share
    of the champion's rows that may be gone or changed. Unless `split_may_change`, the split must
    be the champion's: under another one, rows that it was trained on may come into the holdout.
    """

    needs_champion: ClassVar[bool] = True
    at_most: float
    split_may_change: bool = False

    def judge(self, case: Case) -> list[Finding]:
        """Return one finding for the rows and one for the split."""
        if case.champion is None:
            return [Finding("not applicable", "there is no champion yet")]
        return [self._split(case, case.champion), self._rows(case, case.champion)]

    def _split(self, case: Case, champion: Judged) -> Finding:
        before, now = champion.bundle.settings, case.settings
        said = []
        if before.split != now.split:
            said.append(f"the champion's split was {before.split}, now it is {now.split}")
        was, decides = keys(before.data, before.split), keys(now.data, now.split)
        if was != decides:
            said.append(f"it was decided by {', '.join(was)}, now by {', '.join(decides)}")
        if not said:
            return Finding("passed", "rows are split as they were for the champion", "split")
        passes = self.split_may_change
        return Finding("passed" if passes else "rejected", "; ".join(said), "split")

    def _rows(self, case: Case, champion: Judged) -> Finding:
        contract, today = champion.bundle.contract, case.settings.data
        incomparable = [
            name
            for name, column in contract.kept()
            if name not in dict(today.kept()) or today.columns[name].type != column.type
        ]
        if incomparable:
            return self._files(case, champion, incomparable)
        before = known_rows(champion)
        if before is None:
            reason = f"the champion's bundle does not tell the rows it was measured on ({HOLDOUT})"
            return Finding("rejected", reason, "rows")
        now = fingerprints(case.holdout, contract)
        lost = missing(before, now)
        added = now[missing(now, before)]
        labelled = int(np.isin(before[lost, 1], added[:, 1]).sum())
        share = float(lost.mean())
        verb = "at most" if share <= self.at_most else "above"
        reason = (
            f"{int(lost.sum())} of the {len(before)} rows that the champion was measured on are "
            f"gone or changed ({share:.2%}, {verb} {self.at_most:.2%}; {labelled} have another "
            f"label), {len(added) - labelled} rows were added"
        )
        passed = share <= self.at_most
        return Finding(
            "passed" if passed else "rejected", reason, "rows", share, threshold=self.at_most
        )

    def _files(self, case: Case, champion: Judged, columns: list[str]) -> Finding:
        """Judge by the raw files where fingerprints cannot be computed again."""
        before, now = _files(champion), _files(case.candidate)
        changed = sorted(name for name, content in before.items() if now.get(name) != content)
        why = f"rows cannot be compared without {', '.join(columns)} as the champion knew it"
        if changed or not before:
            return Finding("rejected", f"{why}, and raw files changed: {changed}", "rows")
        said = f"{why}, but all {len(before)} raw files of the champion are unchanged"
        return Finding("passed", said, "rows")


def known_rows(champion: Judged) -> Prints | None:
    """Return the fingerprints of the champion's holdout; None unless they are the manifest's."""
    path, about = champion.folder / HOLDOUT, champion.bundle.manifest["holdout"]
    if not path.is_file() or "digest" not in about:
        return None
    prints: Prints = np.load(path, allow_pickle=False)
    return prints if len(prints) and digest(prints) == about["digest"] else None


def _files(judged: Judged) -> dict[str, Any]:
    return {file["name"]: file["sha256"] for file in judged.bundle.manifest["lineage"]["data"]}


class SplitKept(Rule, frozen=True, kw_only=True):
    """Check that every prepared row is on the side that its key and the split say.

    The hash of each row's key is computed again: a row moved or copied to the other side by
    hand stands where its hash or time does not put it.
    """

    def judge(self, case: Case) -> list[Finding]:
        """Return one finding for each side."""
        contract, split = case.settings.data, case.settings.split
        names = keys(contract, split)
        moment = [contract.time] if contract.time and contract.time not in names else []
        found = []
        for part, path, held in (
            ("training", case.train, False),
            ("holdout", case.holdout, True),
        ):
            rows = table(path, [*names, *moment, ROW_HASH])
            hashes = row_hash(rows, names, split.salt)
            edited = hashes != plain(rows.column(ROW_HASH), np.dtype(np.uint64), 0)
            astray = is_holdout(rows, hashes, contract, split) != held
            wrong = int((edited | astray).sum())
            reason = f"{wrong} of {len(hashes)} rows do not belong to the {part} side"
            passed = not wrong and len(hashes) > 0
            found.append(
                Finding("passed" if passed else "rejected", reason, part, wrong, threshold=0)
            )
        return found


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
