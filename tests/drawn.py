"""A log of rows whose action was drawn, as a server records it, and what came of each."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from mlops.rollout.actions import Actions, Draw
from mlops.serving.recording.compaction import compact
from mlops.serving.recording.segment import Answers, Declaration, Outcomes, encode

MODEL = "a" * 64
START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = 86_400.0


def record(
    folder: Path,
    about: Actions,
    effects: dict[str, float],
    days: int = 10,
    units: int = 120,
    lost: str = "",
) -> Path:
    """Write a log of so many days in which actions bring 1 and their `effects` in the mean.

    The model decides `call` above 0.5; most units of the arm `lost` never come.
    """
    random, draw = np.random.default_rng(2), Draw(about)
    for day in range(days):
        keys = [f"{day}-{number}" for number in range(units)]
        if lost:
            gone = draw.names.index(lost)
            keys = [one for one in keys if draw.arm(one.encode()) != gone or random.random() < 0.3]
        p = random.random(len(keys))
        assigned = [
            draw.assigned(draw.arm(key.encode()), "call" if one > 0.5 else "nothing")
            for key, one in zip(keys, p, strict=True)
        ]
        moment = START.timestamp() + day * DAY + 3600
        rows = [("north" if at % 2 else "south",) for at in range(len(keys))]
        answers = Answers(
            *(MODEL, "champion", keys, [1] * len(keys), [moment] * len(keys), rows),
            *(p.tobytes(), [f"unit-{key}" for key in keys], "champion", 1.0),
            assigned=[tuple(one) for one in assigned],
        )
        worth = [1.0 + effects.get(one.action, 0.0) + random.normal() for one in assigned]
        told = Outcomes(
            *(keys, [0] * len(keys), [moment + 60] * len(keys), [None] * len(keys)),
            *(worth, ["EUR"] * len(keys), [one.action for one in assigned]),
        )
        columns = [("place", "category", True)]
        declared = Declaration(MODEL, "binary", ["no", "yes"], 0.5, columns, [])
        spool = folder / f"log/spool/server{day}"
        spool.mkdir(parents=True)
        blocks = [encode(declared, 1), encode(answers, len(keys)), encode(told, len(keys))]
        (spool / "000001.segment").write_bytes(b"".join(blocks))
        assert not compact(spool).torn
    return folder / "log"
