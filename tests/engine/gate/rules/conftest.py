"""A whole small project, and the case that its gate would judge."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from in_process import in_process
from parts import put

from mlops.config import settings
from mlops.data import prepared
from mlops.gate.case import Case, Judged
from mlops.gate.rule import Finding
from mlops.git.repository import Repository

Make = Callable[..., Case]


@pytest.fixture
def project(trained: Path, tmp_path: Path) -> Path:
    """A copy of the trained project, to be changed."""
    return shutil.copytree(trained, tmp_path / "project")


@pytest.fixture
def make(project: Path) -> Make:
    """Return the case of the project as it is now; `champion` is a folder like the candidate."""

    def case(champion: Path | None = None, **changes: Any) -> Case:
        asked = settings.load(project / "resolved.yaml")
        columns = prepared.read(project / "data/prepared/holdout", asked.data)

        def judged(folder: Path) -> Judged:
            bundle = in_process(folder)
            return Judged(folder, bundle, bundle.answer(columns))

        fields: dict[str, Any] = {
            "repository": Repository(project),
            "settings": asked,
            "candidate": judged(project / "candidate"),
            "champion": None if champion is None else judged(champion),
            "columns": columns,
            "target": prepared.target(columns, asked.data),
        }
        return Case(**(fields | changes))

    return case


@pytest.fixture
def champion(trained: Path) -> Path:
    """The bundle that the trained project made."""
    return trained / "candidate"


@pytest.fixture
def rejected() -> Callable[[list[Finding]], set[str]]:
    """Return the parts of the findings that reject; there is one at least of any kind."""

    def parts(findings: list[Finding]) -> set[str]:
        assert findings
        assert all(one.reason for one in findings)
        return {one.part for one in findings if one.verdict == "rejected"}

    return parts


@pytest.fixture
def rewrite() -> Callable[..., None]:
    """Write columns of a Parquet file anew, or keep some rows (`rows`) or `append` a table."""

    def change(
        path: Path,
        rows: np.ndarray | None = None,
        append: pa.Table | None = None,
        **columns: np.ndarray,
    ) -> None:
        table = pq.read_table(path)
        for name, values in columns.items():
            place, kind = table.schema.get_field_index(name), table.schema.field(name).type
            table = table.set_column(place, name, pa.array(values, from_pandas=True).cast(kind))
        if rows is not None:
            table = table.take(pa.array(rows))
        if append is not None:
            table = pa.concat_tables([table, append], promote_options="permissive")
        put(table, path)

    return change
