"""An API that answers with JSON or CSV, page by page."""

import json
import shutil
import tempfile
import time
from collections.abc import Generator, Iterator, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urljoin, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import pandas as pd
from msgspec.structs import replace

from ...data import sources
from ...data.errors import DataError
from ...origins import SINCE, UNTIL, Http
from ..environment import address
from ..reading import ROWS, Reading
from ..window import FIRST, LAST

TRIES = 4
BUSY = (429, 502, 503, 504)  # what passes
LONGEST = 60.0  # seconds between two tries
MOST_PAGES = 1_000_000


class _Here(HTTPRedirectHandler):
    """Follows a redirection to the same host alone: another would get the headers."""

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        _check_host(newurl, req.full_url)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def frames(origin: Http, reading: Reading) -> Generator[pd.DataFrame]:
    """Yield the records of every page."""
    url = _first(origin, reading)
    if urlsplit(url).scheme not in ("http", "https"):
        raise DataError(
            f"{address(url)} is no address of an API: begin it with https://, or declare another "
            f"kind of origin in {reading.dataset.file}"
        )
    place = urlsplit(_place(origin, reading))
    if origin.url_env:  # whose path may be what nobody should read
        place = place._replace(path="", query="")
    reading.told |= {"kind": "http", "url": address(urlunsplit(place))}
    headers = dict(origin.headers)
    headers |= {name: reading.secrets.read(env) for name, env in origin.headers_env.items()}
    seen: set[str] = set()
    for number in range(MOST_PAGES):
        pages = origin.pages
        asked = url
        if pages is not None and pages.parameter is not None:
            asked = _with(url, {pages.parameter: str(pages.start + number)})
        if asked in seen:
            raise DataError(
                f"the API at {address(asked)} names a page as the next that it gave before: "
                f"correct `pages.next` in {reading.dataset.file}"
            )
        seen.add(asked)
        records = 0
        with _answer(asked, headers, origin.timeout) as body:
            content = _parsed(body, origin, reading)
            for frame in content.frames:
                records += len(frame)
                yield frame
        if pages is None or (pages.parameter is not None and not records):
            return
        if pages.next is not None:
            following = _at(content.json, pages.next)
            if not following:
                return
            url = urljoin(asked, str(following))
            _check_host(url, asked)


class _Content:
    """One answer: its records in frames, and the JSON that names the next page."""

    def __init__(self, frames: Iterator[pd.DataFrame], told: Any = None) -> None:
        self.frames, self.json = frames, told


def _place(origin: Http, reading: Reading) -> str:
    return reading.secrets.read(origin.url_env) if origin.url_env else str(origin.url)


def _first(origin: Http, reading: Reading) -> str:
    ends = (
        (SINCE, (reading.window.since or FIRST).isoformat()),
        (UNTIL, (reading.window.until or LAST).isoformat()),
    )

    def filled(text: str) -> str:
        for mark, day in ends:
            text = text.replace(mark, day)
        return text

    url = filled(_place(origin, reading))
    window = reading.window
    beyond = {SINCE: window.since is None, UNTIL: window.until is None}
    # An API has its own default for an end that is open.
    given = {
        name: filled(value)
        for name, value in origin.parameters.items()
        if not any(mark in value and is_open for mark, is_open in beyond.items())
    }
    return _with(url, given)


def _with(url: str, parameters: Mapping[str, str]) -> str:
    parts = urlsplit(url)
    query = "&".join(filter(None, [parts.query, urlencode(parameters)]))
    return urlunsplit(parts._replace(query=query))


def _check_host(url: str, before: str) -> None:
    """Raise DataError where an answer leads to another host, which would be sent the headers."""
    if urlsplit(url)[:2] != urlsplit(before)[:2]:
        raise DataError(
            f"the API at {address(before)} leads to {address(url)}, another place: name that as "
            "`url`, if it is meant"
        )


def _answer(url: str, headers: Mapping[str, str], timeout: float) -> IO[bytes]:
    """Return what a server answers as a file, asked again where it is busy or breaks off.

    Raises DataError where it fails.
    """
    opener = build_opener(_Here)
    for attempt in range(1, TRIES + 1):
        try:
            with opener.open(Request(url, headers=dict(headers)), timeout=timeout) as answer:
                return _kept(answer)
        except HTTPError as error:
            reason, wait = f"status {error.code}", _wait(error.headers.get("Retry-After"), attempt)
            passes = error.code in BUSY
            error.close()
        except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
            reason, wait, passes = str(getattr(error, "reason", error)), _wait(None, attempt), True
        if not passes or attempt == TRIES:
            break
        time.sleep(wait)
    raise DataError(
        f"the API at {address(url)} does not answer ({reason}): see that it is there and that "
        "`headers_env` names what lets in"
    )


def _kept(answer: Any) -> IO[bytes]:
    """Return a body on disk; raises ConnectionError for one that broke off."""
    body = tempfile.TemporaryFile()  # noqa: SIM115 (whoever asked closes it)
    try:
        shutil.copyfileobj(answer, body)
        length = answer.headers.get("Content-Length")
        if length is not None and body.tell() != int(length):
            raise ConnectionError(f"it broke off after {body.tell():,} of {length} bytes")
        body.seek(0)
    except BaseException:
        body.close()
        raise
    return body


def _wait(told: str | None, attempt: int) -> float:
    """Return seconds until the next try: as the server says, or twice as long each time."""
    wanted = float(told) if told and told.isdecimal() else 0.25 * 2**attempt
    return min(wanted, LONGEST)


def _parsed(body: IO[bytes], origin: Http, reading: Reading) -> _Content:
    if origin.format == "csv":
        return _Content(_csv(body, reading))
    try:
        if origin.format == "jsonl":
            records: Any = [json.loads(line) for line in body if line.strip()]
            told = None
        else:
            told = json.load(body)
            records = _at(told, origin.records) if origin.records else told
    except ValueError as error:
        raise DataError(
            f"the API of {reading.dataset.name} answers with no {origin.format}: correct "
            f"`format` in {reading.dataset.file}"
        ) from error
    if not isinstance(records, list) or not all(isinstance(one, dict) for one in records):
        raise DataError(
            f"the API of {reading.dataset.name} has no list of records at "
            f"{origin.records or 'the top'}: correct `records` in {reading.dataset.file}"
        )
    return _Content(_records(records, reading), told)


def _records(records: list[dict[str, Any]], reading: Reading) -> Iterator[pd.DataFrame]:
    """Yield declared fields; one that a record lacks is missing in it.

    One that no record has, and each must, is left for the run to miss.
    """
    partition = reading.source.partition
    flag = partition.deleted if partition else None
    columns = reading.dataset.columns
    names = [*columns, *([flag] if flag and flag not in columns else [])]
    free = {name for name in names if name not in columns or columns[name].nullable}
    for start in range(0, len(records), ROWS):
        part = records[start : start + ROWS]
        there = [n for n in names if n in free or any(n in record for record in records)]
        rows = [tuple(_cell(record.get(name)) for name in there) for record in part]
        yield pd.DataFrame(rows, columns=there, dtype=object)


def _cell(value: Any) -> Any:
    nested = isinstance(value, dict | list)
    return json.dumps(value, sort_keys=True, ensure_ascii=False) if nested else value


def _csv(body: IO[bytes], reading: Reading) -> Iterator[pd.DataFrame]:
    if not body.seek(0, 2):
        return
    body.seek(0)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "answer.csv")
        with place.open("wb") as copy:
            shutil.copyfileobj(body, copy)
        source = replace(reading.source, format="csv")
        try:
            for frame in sources.frames([place], source, ROWS):
                yield frame.frame
        except DataError as error:
            raise DataError(str(error).replace(str(place), "the answer")) from error


def _at(content: Any, path: str) -> Any:
    """Return what is at a path like data.items; None where that leads nowhere."""
    for step in path.split("."):
        if not isinstance(content, dict):
            return None
        content = content.get(step)
    return content
