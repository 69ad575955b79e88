"""Tables in another form than CSV or Parquet, and the command that converts each."""

from pathlib import Path

from .errors import DataError

ZIP = b"PK\x03\x04"
SHEET = (b"xl/", b"[Content_Types].xml")
OFFICE = "libreoffice --headless --convert-to csv {file}"
PANDAS = "python -c \"import pandas; pandas.{read}({file!r}).to_csv('{stem}.csv', index=False)\""
COMPRESSED = {
    b"\x1f\x8b": ("gzip-compressed", "gunzip -k {file}"),
    b"BZh": ("bzip2-compressed", "bunzip2 -k {file}"),
    b"\x28\xb5\x2f\xfd": ("zstd-compressed", "zstd -d {file}"),
    b"\xfd7zXZ\x00": ("xz-compressed", "unxz -k {file}"),
}
OTHERS = {
    b"\xd0\xcf\x11\xe0": ("a spreadsheet of an old Office", OFFICE),
    b"ARROW1": ("Arrow or Feather", PANDAS.replace("{read}", "read_feather")),
    b"ORC": ("ORC", PANDAS.replace("{read}", "read_orc")),
    b"$FL2": ("SPSS", PANDAS.replace("{read}", "read_spss")),
    b"<stata_dta>": ("Stata", PANDAS.replace("{read}", "read_stata")),
    b"SQLite format 3\x00": (
        "an SQLite database",
        "sqlite3 -header -csv {file} 'select * from TABLE' > {stem}.csv",
    ),
}
HTML = (b"<!doctype", b"<html", b"<table", b"<?xml")


def check(path: Path, head: bytes) -> None:
    """Raise DataError, with the command that converts it, for what is neither CSV nor Parquet."""
    what, command = _known(path, head)
    if what:
        told = command.format(file=str(path), stem=path.stem)
        raise DataError(f"{path} is {what}: convert it with `{told}`, and use what that writes")


def _known(path: Path, head: bytes) -> tuple[str, str]:
    """Return what a file is and the command that makes a CSV of it; nothing for an unknown one."""
    if head.startswith(ZIP):
        if any(name in head for name in SHEET) or path.suffix.lower() in (".xlsx", ".xlsm", ".ods"):
            return "a spreadsheet", OFFICE
        return "a zip archive", "unzip {file}"
    for magic, found in (COMPRESSED | OTHERS).items():
        if head.startswith(magic):
            return found
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    if start.startswith(HTML):
        return "HTML or XML", OFFICE
    if start.startswith((b"{", b"[{", b"[ {", b"[\n", b"[\r")):
        lines = ", lines=True" if start.startswith(b"{") else ""
        return "JSON", (
            f'python -c "import pandas; pandas.read_json({{file!r}}{lines})'
            ".to_csv('{stem}.csv', index=False)\""
        )
    return "", ""
