"""What processes of Dask or Ray gain on one machine: parts prepared, files scored, a search.

    python benchmarks/compute.py [--rows N] [--parts N] [--trials N] [--places local:1 dask:2 ...]

`--rows` are those of a part, of which `prepare` and `predict` have `--parts`; the search fits
`--fitted` rows. Each figure is the wall clock of the whole command, with the start of the
processes, as a ratio to that of the first place; what a command made is compared with what the
first place made. Needs the packages of the places (`requirements/compute-*.txt`), and cores that
nobody else uses.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import partitions

import project
from mlops.data.sample import write
from mlops.files import tree_sha256

MOST = 12  # parts: a month of the sample each
SEARCH = """\
model: {{use: boosting, max_iter: 100}}
training: {{folds: 4}}
tuning: {{use: optuna, trials: {trials}, folds: 3, batch: 4, prune: false}}
"""
PLAIN = "model: {use: boosting, max_iter: 20}\nevaluation: {resamples: 20, importance_rows: 100}\n"
VERBS = ("prepare", "predict", "train")


def ready(root: Path, rows: int, parts: int) -> None:
    """Write the parts, a model of a few rows to score them with, and one part to fit."""
    write(root / "few", rows=5000, months=3)
    shutil.copytree(root / "few", root / "data/raw")
    (root / "params.yaml").write_text(PLAIN)
    for stage in ("resolve", "prepare", "train", "evaluate", "bundle"):
        project.measured("mlops", stage, folder=root)
    shutil.copytree(root / "candidate", root / "scorer")
    shutil.rmtree(root / "data/raw")
    write(root / "data/raw", rows=rows * parts, months=parts)
    (root / "scored").symlink_to(root / "data/raw")


def run(root: Path, verb: str, place: str, trials: int) -> tuple[float, str]:
    """Run a command at a place like `dask:2`; return its seconds and the digest of what it made."""
    name, _, workers = place.partition(":")
    project.ENVIRONMENT |= {"MLOPS_COMPUTE": name, "MLOPS_COMPUTE_WORKERS": workers}
    if verb == "predict":
        out = root / "out/answers.parquet"
        shutil.rmtree(out.parent, ignore_errors=True)
        out.parent.mkdir()
        given = ["mlops", "predict", "scored", "--bundle", "scorer", "--out", str(out)]
        seconds = project.measured(*given, "--at", "2026-01-01", folder=root).seconds
        return seconds, tree_sha256(out.parent)
    made = root / ("data/prepared" if verb == "prepare" else "model")
    shutil.rmtree(made, ignore_errors=True)
    shutil.rmtree(root / ".mlops", ignore_errors=True)
    seconds = project.measured("mlops", verb, folder=root).seconds
    # A skops file differs between identical fits; a model in ONNX does not.
    return seconds, tree_sha256(made)


def searching(root: Path, rows: int, trials: int) -> None:
    """Have the next fit search, on one part."""
    (root / "params.yaml").write_text(SEARCH.format(trials=trials))
    shutil.rmtree(root / "data/raw")
    write(root / "data/raw", rows=rows, months=1)
    project.ENVIRONMENT |= {"MLOPS_COMPUTE": "local", "MLOPS_COMPUTE_WORKERS": "1"}
    for stage in ("resolve", "prepare"):
        project.measured("mlops", stage, folder=root)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--parts", type=int, default=10)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--fitted", type=int, default=100_000, help="rows that the search fits")
    parser.add_argument("--repeat", type=int, default=1, help="of each, in turn; the best counts")
    parser.add_argument("--places", nargs="+", default=["local:1", "local:2", "dask:1", "dask:2"])
    parser.add_argument("--verbs", nargs="+", default=VERBS, choices=VERBS)
    asked = parser.parse_args()
    if asked.parts > MOST:
        sys.exit(f"--parts is at most {MOST}")
    with tempfile.TemporaryDirectory(prefix="compute-") as place:
        root = Path(place)
        partitions.made(root)
        project.ENVIRONMENT |= {"MLOPS_COMPUTE": "local", "MLOPS_COMPUTE_WORKERS": "1"}
        ready(root, asked.rows, asked.parts)
        print(f"{asked.parts} parts of {asked.rows:,} rows; a search on {asked.fitted:,}")
        for verb in asked.verbs:
            if verb == "train":
                searching(root, asked.fitted, asked.trials)
            took: dict[str, float] = {}
            digests: dict[str, str] = {}
            for _ in range(asked.repeat):
                for where in asked.places:
                    seconds, digests[where] = run(root, verb, where, asked.trials)
                    took[where] = min(seconds, took.get(where, seconds))
            first = asked.places[0]
            for where, seconds in took.items():
                same = "the same" if digests[where] == digests[first] else "OTHERS"
                ratio = seconds / took[first]
                print(f"{verb:8} {where:8} {seconds:7.1f} s  {ratio:.2f}  {same}", flush=True)


if __name__ == "__main__":
    main()
