"""Whether the data may be used: their licence, purpose and age, and personal data in features."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal

import numpy as np

from ...config.views import Table, seconds
from ...contract import Contract
from ..case import Case
from ..rule import Finding, Rule

FIELDS = {"licences": "licence", "purposes": "purpose"}


class Terms(Rule, frozen=True, kw_only=True):
    """Refuse data that may not be used: what is not set is not asked.

    With `licences` or `purposes`, the contract and each table of a view name one of them. With
    `retention`, each says how long its rows may be kept, like `365 days`, and no prepared row is
    older by the contract's time; the rows of tables, which the gate does not read, are for
    `mlops ingest` to leave out. With `personal: reason`, a feature that is personal data says in
    `reason` why the model needs it; with `refuse`, there is none.
    """

    licences: list[str] | None = None
    purposes: list[str] | None = None
    retention: bool = False
    personal: Literal["", "reason", "refuse"] = ""

    def judge(self, case: Case) -> list[Finding]:
        """Return a finding for each table and column that breaks them, or one that passes."""
        settings = case.settings
        tables = {view.table.name: view.table for view in settings.features.views.values()}
        found = [*self._terms(settings.data), *self._features(settings.data)]
        for table in tables.values():
            found += self._terms(table)
        if self.retention:
            found += self._ages(case)
        asked = [name for name in (*FIELDS, "retention", "personal") if getattr(self, name)]
        said = f"{', '.join(asked) or 'nothing is asked'}: kept by {1 + len(tables)} declarations"
        return found or [Finding("passed", said)]

    def _terms(self, one: Contract | Table) -> Iterator[Finding]:
        for setting, name in FIELDS.items():
            allowed, said = getattr(self, setting), getattr(one, name)
            if allowed is not None and said not in allowed:
                reason = (
                    f"its {name} is {said!r}, and the policy allows "
                    f"{', '.join(allowed) or 'none'}: correct `{name}` in {one.place}, or take "
                    "other data"
                )
                yield Finding("rejected", reason, one.name)
        if self.retention and not one.retention:
            reason = f"it does not say how long it may be kept: set `retention` in {one.place}"
            yield Finding("rejected", reason, one.name)

    def _features(self, contract: Contract) -> Iterator[Finding]:
        for name in contract.names("feature") if self.personal else ():
            column = contract.columns[name]
            if column.pii and (self.personal == "refuse" or not column.reason):
                place = f"a `reason` in {contract.place}"
                if column.view:
                    place = f"a `description` in conf/feature_views/{column.view}.yaml"
                remedy = "leave it out" + f", or give {place}" * (self.personal == "reason")
                reason = f"a feature that is personal data: {remedy}"
                yield Finding("rejected", reason, name)

    def _ages(self, case: Case) -> Iterator[Finding]:
        contract = case.settings.data
        if not contract.retention:
            return
        if contract.time is None:
            reason = (
                "no column says when a row is from: give one the role time, or take `retention` out"
            )
            yield Finding("rejected", reason, contract.name)
            return
        try:
            kept = seconds(contract.retention)
        except ValueError as error:
            yield Finding("rejected", f"retention: {error}", contract.name)
            return
        both = (case.train_columns[contract.time], case.columns[contract.time])
        times = np.concatenate([times[~np.isnat(times)] for times in both])
        if not len(times):
            return
        now = np.datetime64(datetime.now(UTC).replace(tzinfo=None), "us")
        age = (now - times.min()) / np.timedelta64(1, "s")
        if not age <= kept:
            days = f"{age / 86_400:,.0f} days"
            reason = (
                f"its oldest row is {days} old and may be kept {contract.retention}: take older "
                "rows out of data/raw"
            )
            yield Finding("rejected", reason, contract.name, age, threshold=float(kept))
