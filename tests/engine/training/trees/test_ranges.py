"""Trees that ask for ranges in place of sets answer the same, and are not many more."""

from itertools import pairwise

import numpy as np
import pytest

from mlops.runtime.model import onnx
from mlops.training.trees import writing
from mlops.training.trees.conversion import Layers, Trees
from mlops.training.trees.ensemble import Ensemble, Mode, Tree
from mlops.training.trees.ranges import GROWTH, alike

CODES = 6


def grown(rng: np.random.Generator, mode: Mode, nodes: int, codes: int = CODES) -> Tree:
    """Return a tree of that many nodes, in which a node asks one of two numbers or a category."""
    leaf, feature = np.ones(2 * nodes + 1, bool), rng.integers(0, 3, 2 * nodes + 1)
    yes, no = (np.zeros(2 * nodes + 1, int) for _ in range(2))
    open_ones = [0]
    for first, _ in pairwise(range(1, 2 * nodes + 2, 2)):
        at = open_ones.pop(int(rng.integers(len(open_ones))))
        leaf[at], yes[at], no[at] = False, first, first + 1
        open_ones += [first, first + 1]
    told = np.where(feature == 2, Mode.MEMBER, mode).astype(np.uint8)
    sets = [
        tuple(np.sort(rng.permutation(codes)[: rng.integers(1, codes)]).astype(float).tolist())
        for _ in np.flatnonzero((told == Mode.MEMBER) & ~leaf)
    ]
    return Tree.from_nodes(
        leaf=leaf,
        feature=feature,
        mode=told,
        threshold=rng.integers(-2, 3, len(leaf)).astype(float),
        missing=rng.random(len(leaf)) < 0.5,
        yes=yes,
        no=no,
        values=rng.normal(size=len(leaf)),
        members=tuple(sets),
    )


def rows(rng: np.random.Generator) -> np.ndarray:
    found = rng.integers(-3, 4, (2000, 3)).astype(np.float32)
    found[:, 2] = rng.integers(0, CODES + 1, len(found))  # the last is an unseen one
    found[rng.random(found.shape) < 0.2] = np.nan
    return found


@pytest.mark.parametrize("mode", [Mode.AT_MOST, Mode.BELOW])
def test_no_row_is_answered_otherwise(mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(7)
    trees = [grown(rng, mode, 6) for _ in range(20)]
    trees.append(Tree.constant(np.array([[1.0]])))
    answering = Trees(Layers(None, lambda _: None), Ensemble(trees, (0.5,)))  # type: ignore[arg-type,return-value]
    ranged = alike(trees)
    assert {*np.concatenate([tree.mode for tree in ranged])} == {mode}
    found = onnx(answering.onnx("regression", 3), "regression")(matrix := rows(rng))
    monkeypatch.setattr(writing, "alike", lambda trees: trees)
    as_sets = onnx(answering.onnx("regression", 3), "regression")
    np.testing.assert_array_equal(found, as_sets(matrix))


def test_what_would_be_far_more_nodes_stays_as_it_is() -> None:
    rng = np.random.default_rng(7)
    many = [grown(rng, Mode.AT_MOST, 30, 200) for _ in range(3)]
    assert alike(many) is many
    few = [grown(rng, Mode.AT_MOST, 6) for _ in range(20)]
    size = sum(len(tree.feature) for tree in few)
    assert size < sum(len(tree.feature) for tree in alike(few)) <= GROWTH * size


@pytest.mark.parametrize("members", [(0.5,), (-1.0, 2.0)])
def test_what_is_no_code_stays_a_set(members: tuple[float, ...]) -> None:
    tree = grown(np.random.default_rng(7), Mode.AT_MOST, 6)
    odd = [tree._replace(members=(members,) * len(tree.members))]
    assert alike(odd) is odd


def test_what_compares_in_two_ways_stays_as_it_is() -> None:
    rng = np.random.default_rng(7)
    both = [grown(rng, mode, 6) for mode in (Mode.AT_MOST, Mode.BELOW)]
    assert alike(both) is both
