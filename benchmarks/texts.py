"""What hashed words tell of a text, by the columns and the parts of words that are counted.

    python benchmarks/texts.py

Two tables: lines of docstrings, from which of two libraries they are, and made complaints with
typing errors, whose customer leaves. The columns are the mean AUC of LightGBM and of a logistic
regression on three folds, for both; then microseconds of a text in a table, and of one alone.
"""

import ast
import random
import statistics
import sys
import timeit
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from lightgbm import LGBMClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "{{cookiecutter.project_slug}}"
sys.path.insert(0, str(SOURCE / "engine/src"))

from mlops.features.texts import text_ngrams  # noqa: E402

LINES, WORDS, COMPLAINTS = 1800, 7, 2500
SETTINGS: dict[str, dict[str, Any]] = {
    "words alone": {"width": 64, "characters": []},
    "parts alone": {"width": 64, "words": False},
    "both": {"width": 64},
    "both, 3 to 5": {"width": 64, "characters": [3, 5]},
    "128 columns": {"width": 128},
    "128, 3 to 5": {"width": 128, "characters": [3, 5]},
    "256 columns": {"width": 256},
}
LEAVES = ["wants to cancel", "asked how to terminate early", "third outage", "still no refund"]
STAYS = ["question about the app", "changed the address", "praised the technician", "upgraded"]
FILLED = [
    "customer called",
    "wrote by mail",
    "came to the shop",
    "please call back",
    "ticket closed",
]


def docstrings(package: str) -> list[str]:
    """Return lines of a package's docstrings that do not name it."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    found = []
    for file in sorted(Path(spec.origin).parent.rglob("*.py")):
        nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        documented = [n for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef)]
        for node in documented if "test" not in str(file) else ():
            found += (ast.get_docstring(node) or "").splitlines()
    kept = [line for line in found if len(line.split()) >= WORDS and package not in line.lower()]
    random.Random(0).shuffle(kept)
    return list(dict.fromkeys(kept))[:LINES]


def complaints() -> tuple[list[str], list[int]]:
    """Return complaints with a typing error in each, and whether their customers leave."""
    chance, texts, left = random.Random(1), [], []
    for _ in range(COMPLAINTS):
        leaves = chance.random() < 0.4
        told = LEAVES if leaves is (chance.random() < 0.85) else STAYS
        text = [*", ".join([chance.choice(FILLED), chance.choice(told), chance.choice(FILLED)])]
        at = chance.randrange(len(text) - 1)
        text[at], text[at + 1] = text[at + 1], text[at]
        texts.append("".join(text))
        left.append(int(leaves))
    return texts, left


def main() -> None:
    """Print a line for each setting."""
    one, other = docstrings("sklearn"), docstrings("scipy")
    tables = [([*one, *other], [1] * len(one) + [0] * len(other)), complaints()]
    models = [
        LGBMClassifier(n_estimators=100, learning_rate=0.06, num_leaves=15, verbose=-1, n_jobs=1),
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)),
    ]
    for name, arguments in SETTINGS.items():
        scores = []
        for texts, target in tables:
            matrix = text_ngrams(np.array(texts, dtype=object), **arguments)
            scores += [
                float(cross_val_score(model, matrix, target, cv=3, scoring="roc_auc").mean())
                for model in models
            ]
        each = "  ".join(f"{score:.3f}" for score in scores)
        print(f"{name:14} {each}  mean {statistics.mean(scores):.4f}")
    table = np.array(tables[1][0], dtype=object)
    whole = min(timeit.repeat(lambda: text_ngrams(table), number=1, repeat=5)) / len(table)
    alone = min(timeit.repeat(lambda: text_ngrams(table[:1]), number=500, repeat=5)) / 500
    print(f"microseconds of a text: {whole * 1e6:.1f} in a table, {alone * 1e6:.0f} alone")


if __name__ == "__main__":
    main()
