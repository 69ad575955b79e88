"""Whether a skops file, which is a ZIP archive, is one that a train stage wrote."""

import io
import re
import stat
import zipfile

MEMBER = re.compile(r"[0-9A-Za-z_-]+\.[a-z]+")  # schema.json, 1403.npy
MEMBERS = 100_000
SHOWN = 5


def fault(content: bytes) -> str:
    """Return why an archive is not to be opened, or nothing; raises where it is no archive.

    What a train stage stores is not compressed, so that unpacked it cannot be larger than it is.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
    if len(members) > MEMBERS or len({one.filename for one in members}) < len(members):
        return "holds too many members, or one twice"
    if strange := [one.filename for one in members if not _is_plain(one)]:
        return f"holds members that no train stage writes ({', '.join(strange[:SHOWN])})"
    if sum(one.file_size for one in members) > len(content):
        return "holds more than it can"
    return ""


def _is_plain(member: zipfile.ZipInfo) -> bool:
    return (
        MEMBER.fullmatch(member.filename) is not None
        and member.compress_type == zipfile.ZIP_STORED
        and member.compress_size == member.file_size
        and not stat.S_ISLNK(member.external_attr >> 16)
    )
