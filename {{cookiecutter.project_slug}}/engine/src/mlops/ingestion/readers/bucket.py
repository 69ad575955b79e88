"""Objects of a store that fsspec knows: S3, Google's, Azure's and others."""

import tempfile
from collections.abc import Generator
from pathlib import Path

import pandas as pd

from ...data import sources
from ...data.errors import DataError
from ...origins import DAY, Bucket
from ..environment import address
from ..packages import missing, needed
from ..reading import ROWS, Reading
from .files import chosen

PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs"} | dict.fromkeys(
    ("abfs", "abfss", "az", "adl"), "adlfs"
)


def frames(origin: Bucket, reading: Reading) -> Generator[pd.DataFrame]:
    """Yield the rows of every object, in the order of their names; one at a time is here."""
    fsspec = needed("fsspec", "an origin of kind bucket")
    scheme = origin.glob.partition("://")[0]
    reading.told |= {"kind": "bucket", "glob": address(origin.glob)}
    try:
        store = fsspec.filesystem(scheme, **reading.secrets.read_options(origin.options_env))
    except ImportError as error:
        what = f"a bucket of {scheme}://"
        raise DataError(missing(what, PACKAGES.get(scheme, scheme))) from error
    for name in chosen(store.glob(origin.glob.replace(DAY, "*")), origin, reading):
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder, Path(name).name)
            store.get_file(name, str(place))
            for frame in sources.frames([place], reading.source, ROWS):
                yield frame.frame
