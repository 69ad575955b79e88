"""From a folder to a predictor that has answered its golden rows: digest, schema, answers."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from ..bundle import contents
from ..bundle.manifest import BundleError
from ..bundle.reading import EDGES, GOLDEN, Loaded, parsed
from ..errors import ProjectError
from ..runtime.model import farthest
from .problem import Problem

if TYPE_CHECKING:
    from .online.online import Online
    from .predictor import Predictor

TOLERANCE = 1e-5  # of a prediction, relative above 1: float32 on another processor
WARM = (1, 2, 16, 100)  # rows a call: each size has the runtime set memory aside


def load(
    folder: Path,
    unseen: Literal["encode", "refuse"] = "encode",
    expect: str | None = None,
    extra: Literal["refuse", "ignore"] = "refuse",
    online: "Online | None" = None,
) -> "Predictor":
    """Return what answers for the bundle in `folder`, after it has been made sure of and warmed.

    Raises BundleError or ModelError where a digest, the schema or an answer is not what it should
    be, and OnlineError where `online`, the store of the server, lacks what the bundle needs.
    Nothing is parsed before it is verified, nor read twice.
    """
    content = contents.read(folder, expect)
    loaded = parsed(content)
    check_schema(loaded)
    from .predictor import Predictor

    predictor = Predictor(loaded, content.bundle_digest, unseen, extra, online)
    _answer_golden(predictor)
    return predictor


def check_schema(loaded: Loaded) -> None:
    """Raise BundleError where manifest, contract, features and model do not belong together."""
    wrong = [
        what
        for what, one, other in (
            ("contract", loaded.contract, loaded.settings.data),
            ("task", loaded.manifest.get("task"), loaded.contract.task),
            ("task of the model", loaded.model.task, loaded.contract.task),
            ("runtime", loaded.manifest.get("runtime"), loaded.model.runtime),
            ("features", loaded.manifest.get("features"), list(loaded.encoder.features)),
        )
        if one != other
    ]
    if loaded.model.width not in (None, len(loaded.encoder.names)):
        wrong.append("width of the model")
    if wrong:
        raise BundleError(
            f"the bundle contradicts itself ({', '.join(wrong)}): rebuild it with `dvc repro`"
        )


def _answer_golden(predictor: "Predictor") -> None:
    """Have every golden row answered as a client's, and compare with what is recorded.

    So is every row beyond them, but for labels that are refused where no unseen one is taken.
    """
    rows, recorded = _golden(predictor.loaded, predictor.schema.unseen == "refuse")
    try:
        decoded = predictor.decode(msgspec.json.encode(rows))
    except Problem as problem:
        reason = problem.detail or problem.title
        raise BundleError(
            f"a row of {GOLDEN} is refused ({reason}): rebuild the bundle with `dvc repro`"
        ) from problem
    matrix = predictor.matrix(decoded)
    try:
        answers = predictor.after(decoded, predictor.predict(matrix))
        for size in WARM:
            part = np.resize(matrix, (size, matrix.shape[1]))
            predictor.answer(predictor.predict(part), "warm")
    except ProjectError:
        raise
    except Exception as error:  # whatever a model that is no model raises
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise BundleError(f"the model does not answer ({reason}): run `dvc repro`") from error
    far = farthest(answers, recorded, predictor.loaded.contract.task)
    if not far <= TOLERANCE:
        raise BundleError(
            f"the model does not answer the rows of {GOLDEN} as recorded (the farthest prediction "
            f"is {far:.2g} away): rebuild the bundle with `dvc repro`"
        )


def _golden(loaded: Loaded, seen_alone: bool) -> tuple[list[Any], np.ndarray]:
    try:
        content = msgspec.json.decode(loaded.files[GOLDEN])
        if content:
            beyond = msgspec.json.decode(loaded.files.get(EDGES, b"[]"))
            content += [one for one in beyond if not (seen_alone and one["what"] == "unseen")]
        rows = [one["row"] for one in content]
        recorded = np.asarray([one["prediction"] for one in content], dtype=np.float64)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleError(f"{GOLDEN} cannot be read: rebuild it with `dvc repro`") from error
    if not rows:
        raise BundleError(f"{GOLDEN} holds no rows: rebuild the bundle with `dvc repro`")
    return rows, recorded
