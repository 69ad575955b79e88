"""Computes matrices with the features of another copy of the code; see sandbox.py.

A program and no module: it imports `mlops` from the folder that its first argument names.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

TOLD = ("inputs", "names", "categorical", "direct")


def main(source: str, bundle: Path, exchange: Path) -> None:
    """Answer one line with one line: JSON, with `error` where it failed."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the branch's code prints is no answer
    sys.path.insert(0, source)

    def say(**answer: Any) -> None:
        print(json.dumps(answer), file=channel, flush=True)

    try:
        encoder = _encoder(bundle)
        say(**{key: getattr(encoder, key) for key in TOLD})
        for _ in sys.stdin:
            _matrix(encoder, exchange)
            say()
    except Exception as error:
        say(error=" ".join(f"{type(error).__name__}: {error}".split()))


def _encoder(bundle: Path) -> Any:
    import msgspec
    import yaml

    from mlops.config.settings import Features
    from mlops.contract import Contract
    from mlops.features.encoding import Encoder

    contract = msgspec.json.decode((bundle / "contract.json").read_bytes(), type=Contract)
    resolved = yaml.safe_load((bundle / "resolved.yaml").read_text(encoding="utf-8"))
    return Encoder.build(contract, msgspec.convert(resolved["features"], Features))


def _matrix(encoder: Any, exchange: Path) -> None:
    import numpy as np

    with np.load(exchange / "columns.npz", allow_pickle=False) as sent:
        columns = {name: sent[f"c{at}"] for at, name in enumerate(encoder.inputs)}
    np.save(exchange / "matrix.npy", encoder.matrix(columns), allow_pickle=False)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
