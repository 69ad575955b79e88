"""Why there is no row of a bundle is one line, with what to do about it."""

from datetime import date
from pathlib import Path

import pytest

from mlops.monitoring.absence import why

AT = date(2026, 3, 29)
MODEL, OTHER = "0123456789ab", "ba9876543210"
PLACES: list[tuple[list[str], str]] = [
    ([], "no predictions/ is in log: is this the server's log folder?"),
    (["predictions/"], "log/predictions is empty: nothing was asked yet"),
    (
        [f"predictions/date=2026-03-01/model={OTHER}/"],
        f"its rows are of other models ({OTHER}): name theirs with `--bundle`",
    ),
    (
        [
            *(f"predictions/date=2026-03-0{at}/model={at}/" for at in range(1, 6)),
            "counts/date=2026-03-09/9.json/",
        ],
        "its rows are of other models (9, 5, 4 and 3 more): name theirs with `--bundle`",
    ),
    (
        ["spool/1/000001.segment", "spool/2/000001.segment", "spool/2/000002.open"],
        "2 segments still wait: `python -m mlops.serving.recording log/spool/*`; "
        "no predictions/ is in log: is this the server's log folder?",
    ),
    (
        ["predictions/", "spool/1/000001.segment"],
        "1 segment still waits: `python -m mlops.serving.recording log/spool/*`",
    ),
    (
        ["predictions/", "spool/1/000001.open"],
        "rows are in open segments of log/spool, which its server closes within five minutes",
    ),
    (
        [f"predictions/date=2026-03-{day}/model={MODEL}/" for day in (30, 31)],
        "the first is of 2026-03-30, and a day is judged when it is over: `--at 2026-03-31`",
    ),
    (
        [f"predictions/date=2024-03-30/model={MODEL}/", "predictions/date=x/model=y/"],
        "the last is of 2024-03-30, and 400 days are looked at",
    ),
    (
        [f"predictions/date=2026-03-29/model={MODEL}/"],
        "those that it has are of a shadow, which answered nobody",
    ),
]


@pytest.mark.parametrize(("places", "said"), PLACES)
def test_the_line_says_why_and_what_to_do(
    places: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    log = Path("log")
    log.mkdir()
    for place in places:
        folder = log / place
        if place.endswith("/"):
            folder.mkdir(parents=True)
            continue
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.touch()
    assert why(log, MODEL, AT) == f"the log has no row of {MODEL} up to {AT}: {said}"
