"""An archive that could unpack to more than it is, or elsewhere, is not opened."""

import io
import zipfile

import pytest

from mlops.runtime import archive


def archived(*names: str, kind: int = zipfile.ZIP_STORED, mode: int = 0o644) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as file:
        for name in names:
            about = zipfile.ZipInfo(name)
            about.compress_type = kind
            about.external_attr = mode << 16
            file.writestr(about, bytes(1000))
    return buffer.getvalue()


def test_file_that_skops_writes_is_plain() -> None:
    import numpy as np
    from skops.io import dumps

    assert archive.fault(dumps({"a": np.zeros(3), "b": b"bytes", "c": [np.ones(2)]})) == ""
    assert archive.fault(archived("schema.json", "1403.npy")) == ""


@pytest.mark.parametrize(
    "name", ["../schema.json", "/schema.json", "a/b.npy", "a\\b.npy", "C:x.npy", "..", "a", ""]
)
def test_member_that_names_a_place(name: str) -> None:
    assert "no train stage writes" in archive.fault(archived("schema.json", name))


def test_member_that_is_compressed_or_a_link() -> None:
    assert archive.fault(archived("a.npy", kind=zipfile.ZIP_DEFLATED))
    assert archive.fault(archived("a.npy", mode=0o120777))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_member_that_stands_twice() -> None:
    assert "one twice" in archive.fault(archived("a.npy", "a.npy"))


def test_too_many_members(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MEMBERS", 2)
    assert archive.fault(archived("a.npy", "b.npy")) == ""
    assert "too many" in archive.fault(archived("a.npy", "b.npy", "c.npy"))


def test_members_that_overlap() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("0.npy", bytes(100_000))
        first = file.infolist()[0]
        for number in range(1, 5):
            more = zipfile.ZipInfo(f"{number}.npy")
            for name in ("CRC", "file_size", "compress_size", "header_offset"):
                setattr(more, name, getattr(first, name))
            file.filelist.append(more)
    assert archive.fault(buffer.getvalue()) == "holds more than it can"


def test_what_is_no_archive_raises() -> None:
    with pytest.raises(zipfile.BadZipFile):
        archive.fault(b"rubbish")
