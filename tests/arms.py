"""Days on which two models answered: a log of units, whom they met, and what came of it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from mlops.serving.recording.compaction import compact
from mlops.serving.recording.segment import Answers, Declaration, Outcomes, encode

CHAMPION, CHALLENGER = "a" * 64, "b" * 64
START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = 86_400.0


class Log:
    """A log in the making: units, whom they met, and what came of it."""

    def __init__(self, folder: Path, bundles: tuple[str, str] = (CHAMPION, CHALLENGER)) -> None:
        self.folder, self.number = folder, 0
        self.bundles = dict(zip(("champion", "challenger"), bundles, strict=True))

    def day(
        self,
        ago: int,
        units: list[str | None],
        arm: str,
        values: Mapping[int, float] | None = None,
        probability: float = 0.5,
    ) -> None:
        """Record a day's units of an arm; `ago` counts from the start. Some bring a value."""
        self.number += 1
        moment = START.timestamp() + ago * DAY + 3600
        ids = [f"{self.number}-{at}" for at in range(len(units))]
        digest = self.bundles[arm]
        about = Declaration(digest, "binary", ["no", "yes"], 0.5, [("place", "category", True)], [])
        rows = [("north" if at % 2 else "south",) for at in range(len(units))]
        answers = Answers(
            *(digest, arm, ids, [1] * len(units), [moment] * len(units), rows),
            *(np.full(len(units), 0.5).tobytes(), units, arm, probability),
        )
        blocks = [encode(about, 1), encode(answers, 1)]
        if values:
            told = [
                (ids[at], 0, moment + 60, "yes", value, "EUR", None) for at, value in values.items()
            ]
            blocks.append(encode(Outcomes(*map(list, zip(*told, strict=True))), 1))
        spool = self.folder / f"spool/server{self.number}"
        spool.mkdir(parents=True)
        (spool / "000001.segment").write_bytes(b"".join(blocks))
        assert not compact(spool).torn


def filled(
    folder: Path,
    gain: float,
    days: int = 10,
    lost: float = 0.0,
    bundles: tuple[str, str] = (CHAMPION, CHALLENGER),
) -> Path:
    """Write a log of so many days, 200 units each, where the challenger brings more."""
    random, log = np.random.default_rng(2), Log(folder / "log", bundles)
    for ago in range(days):
        for arm, more in (("champion", 0.0), ("challenger", gain)):
            kept = [at for at in range(100) if arm == "champion" or random.random() >= lost]
            units: list[str | None] = [f"{arm}{ago}-{at}" for at in kept]
            worth = random.normal(1.0 + more, 1.0, len(units)).round(3)
            log.day(ago, units, arm, dict(enumerate(worth.tolist())))
    return folder / "log"
