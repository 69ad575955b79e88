"""Prepared rows, written by hand as one part."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def put(table: pa.Table, role: Path) -> None:
    """Make a table all the rows of a role, or of the file that it is."""
    if role.is_file():
        pq.write_table(table, role)
        return
    shutil.rmtree(role, ignore_errors=True)
    role.mkdir(parents=True)
    pq.write_table(table, role / "part.parquet")


def first_part(role: Path) -> Path:
    """Return the first file of a role's rows."""
    return sorted(role.iterdir())[0]
