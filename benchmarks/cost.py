"""What the pipeline costs beside the bare script, and an idle `dvc repro` beside DVC itself.

    python benchmarks/cost.py [PAIRS]

The commands alternate, so that a machine that slows down slows both; ratios are pair by pair.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import project

EMPTY = "stages:\n  nothing:\n    cmd: echo nothing > out\n    outs: [out]\n"


def pairs(count: int, one: tuple[str, ...], other: tuple[str, ...], elsewhere: Path) -> None:
    """Print the medians of both commands and of their ratio; the other runs `elsewhere`."""
    first, second = [], []
    for turn in range(count + 1):  # the first pair warms up
        a = project.measured(*one).seconds
        b = project.measured(*other, folder=elsewhere).seconds
        if turn:
            first.append(a)
            second.append(b)
    ratios = [a / b for a, b in zip(first, second, strict=True)]
    low, high = min(ratios), max(ratios)
    print(
        f"{' '.join(one)}: {project.median(first):.2f} s · {' '.join(other[:2])}: "
        f"{project.median(second):.2f} s · ratio {project.median(ratios):.2f} "
        f"({low:.2f} to {high:.2f}, {count} pairs)",
        flush=True,
    )


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as the pipeline fits, training.threads
    project.ENVIRONMENT.setdefault("OMP_NUM_THREADS", "1")
    folder = project.generate()
    project.measured("dvc", "repro")
    bare = str(Path(__file__).with_name("bare.py"))
    pairs(count, ("dvc", "repro", "--force"), ("python", bare), folder)
    for stage in ("resolve", "prepare", "train", "evaluate", "bundle", "track"):
        costs = [project.measured("mlops", stage).seconds for _ in range(count)]
        print(f"  of it mlops {stage}: {project.median(costs):.2f} s", flush=True)
    with tempfile.TemporaryDirectory() as empty:
        Path(empty, "dvc.yaml").write_text(EMPTY)
        for command in (["git", "init", "-q"], ["dvc", "init", "-q"], ["dvc", "repro", "-q"]):
            subprocess.run(command, cwd=empty, env=project.ENVIRONMENT, check=True)
        pairs(count, ("dvc", "repro"), ("dvc", "repro", "--quiet"), Path(empty))


if __name__ == "__main__":
    main()
