"""An ensemble of trees as ONNX: one operator for the trees, in double, and the link after it."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from .ensemble import Ensemble, Link, Mode, Tree, UnreadableError
from .ranges import alike

DOMAIN, NEWER, OLDER = "ai.onnx.ml", 5, 3
BRANCHES = {
    Mode.AT_MOST: "BRANCH_LEQ",
    Mode.BELOW: "BRANCH_LT",
    Mode.ABOVE: "BRANCH_GT",
    Mode.EQUAL: "BRANCH_EQ",
}


class Linked(Protocol):
    """What has a link after its sums."""

    @property
    def link(self) -> Link:
        """The link from the sums to the prediction."""

    @property
    def slope(self) -> float:
        """What the sum is multiplied by before a logistic link."""


class Graph:
    """A graph under construction; `add` appends an operator and names its result."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.opset = NEWER

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Append an operator; return the name of its result."""
        from onnx import helper

        output = f"{self._prefix}v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def constant(self, values: Any, kind: type = np.float64) -> str:
        """Return the name of a constant, of doubles where nothing else is said."""
        name = f"{self._prefix}c{len(self.constants)}"
        self.constants.append(tensor(np.atleast_1d(np.asarray(values, kind)), name))
        return name


def tensor(values: np.ndarray, name: str = "") -> Any:
    """Return an array as ONNX keeps it."""
    from onnx import numpy_helper

    return numpy_helper.from_array(np.ascontiguousarray(values), name)


def sums(graph: Graph, source: str, ensemble: Ensemble) -> str:
    """Add the trees: from the matrix, in double, to (rows, targets), `base` included."""
    if ensemble.single:
        return _in_single(graph, source, ensemble)
    targets = len(ensemble.base)
    several = any(tree.leaves.shape[1] > 1 for tree in ensemble.trees)
    count = len(ensemble.trees)
    share = 1.0
    if ensemble.average and count:
        share = 1.0 / (count if several else count / targets)
    older = several or graph.opset == OLDER  # a graph has one version of the operators
    if older or share != 1.0 or not count:
        add = _several_a_leaf if older else _one_a_leaf
        found = add(graph, source, ensemble.trees, targets, share)
        if any(ensemble.base):
            found = graph.add("Add", found, graph.constant(ensemble.base))
        return found
    # As trees of one leaf, since an operator more costs a row more than they do.
    base = [Tree.constant(np.full((1, 1), one), at) for at, one in enumerate(ensemble.base) if one]
    return _one_a_leaf(graph, source, [*ensemble.trees, *base], targets, share)


def _in_single(graph: Graph, source: str, ensemble: Ensemble) -> str:
    """Add the trees in float32; `base` is a tree of one leaf that comes first."""
    from onnx import TensorProto

    bases = [Tree.constant(np.array([[one]]), at) for at, one in enumerate(ensemble.base)]
    matrix = graph.add("Cast", source, to=TensorProto.FLOAT)
    trees = [*bases, *ensemble.trees]
    found = _one_a_leaf(graph, matrix, trees, len(bases), 1.0, np.float32)
    return graph.add("Cast", found, to=TensorProto.DOUBLE)


def linked(graph: Graph, raw: str, ensemble: Linked) -> str:
    """Add the link: from sums (rows, targets) to probabilities or predictions in as many."""
    match ensemble.link:
        case "identity":
            return raw
        case "logistic" | "logistic each":
            sloped = ensemble.slope != 1.0
            scaled = graph.add("Mul", raw, graph.constant(ensemble.slope)) if sloped else raw
            return graph.add("Sigmoid", scaled)
        case "softmax":
            return graph.add("Softmax", raw, axis=1)
        case "exp":
            return graph.add("Exp", raw)
        case "log1p exp":
            grown = graph.add("Add", graph.add("Exp", raw), graph.constant(1.0))
            return graph.add("Log", grown)
        case "square":
            return graph.add("Mul", raw, graph.add("Abs", raw))


def _one_a_leaf(
    graph: Graph,
    source: str,
    trees: Sequence[Tree],
    targets: int,
    share: float,
    kind: type = np.float64,
) -> str:
    trees = alike(trees)
    starts = np.cumsum([0, *(len(tree.feature) for tree in trees)])
    firsts = np.cumsum([0, *(len(tree.leaves) for tree in trees)])

    def ways(name: str) -> tuple[list[int], list[int]]:
        """Return where nodes lead by that answer, and whether it is a leaf."""
        told = [getattr(tree, name) for tree in trees]
        leads = [
            np.where(way < 0, first - 1 - way, start + way)
            for way, start, first in zip(told, starts, firsts, strict=False)
        ]
        return _joined(leads).tolist(), (_joined(told) < 0).astype(int).tolist()

    yes, yes_leaf = ways("yes")
    no, no_leaf = ways("no")
    sets = [one for tree in trees for members in tree.members for one in (*members, np.nan)]
    values = [tree.leaves[:, 0] * share for tree in trees]
    owners = [np.full(len(tree.leaves), tree.target) for tree in trees]
    return graph.add(
        "TreeEnsemble",
        source,
        domain=DOMAIN,
        n_targets=targets,
        aggregate_function=1,
        tree_roots=starts[:-1].tolist(),
        nodes_featureids=_joined([tree.feature for tree in trees]).tolist(),
        nodes_modes=tensor(_joined([tree.mode for tree in trees])),
        nodes_splits=tensor(_joined([tree.threshold for tree in trees]).astype(kind)),
        nodes_missing_value_tracks_true=_joined([t.missing for t in trees]).astype(int).tolist(),
        nodes_truenodeids=yes,
        nodes_trueleafs=yes_leaf,
        nodes_falsenodeids=no,
        nodes_falseleafs=no_leaf,
        leaf_targetids=_joined(owners).tolist(),
        leaf_weights=tensor(_joined(values).astype(kind)),
        **({"membership_values": tensor(np.array(sets, kind))} if sets else {}),
    )


def _several_a_leaf(
    graph: Graph, source: str, trees: Sequence[Tree], targets: int, share: float
) -> str:
    """Add an operator of opset 3, since a leaf of the newer one has one target.

    It adds in double, and its result is float32.
    """
    from onnx import TensorProto

    if any(tree.members for tree in trees):
        raise UnreadableError("its leaves have several values, and it asks for sets of categories")
    graph.opset = OLDER
    inner = [len(tree.feature) for tree in trees]
    sizes = [len(tree.feature) + len(tree.leaves) for tree in trees]

    def padded(name: str, fill: float) -> np.ndarray:
        """Return what each node has, and `fill` for each leaf, which stand after their nodes."""
        told = [(getattr(tree, name), len(tree.leaves)) for tree in trees]
        return _joined([np.concatenate([a, np.full(n, fill, a.dtype)]) for a, n in told])

    def ways(name: str) -> list[int]:
        told = [
            np.concatenate([np.where(way < 0, count - 1 - way, way), np.zeros(len(leaves), int)])
            for way, leaves, count in (
                (getattr(tree, name), tree.leaves, count)
                for tree, count in zip(trees, inner, strict=True)
            )
        ]
        return _joined(told).tolist()

    modes = [
        name
        for tree in trees
        for name in (*(BRANCHES[Mode(int(one))] for one in tree.mode), *["LEAF"] * len(tree.leaves))
    ]
    leaf_trees = [np.full(len(tree.leaves), number) for number, tree in enumerate(trees)]
    leaf_nodes = [np.arange(len(t.leaves)) + n for t, n in zip(trees, inner, strict=True)]
    found = graph.add(
        "TreeEnsembleRegressor",
        source,
        domain=DOMAIN,
        n_targets=targets,
        aggregate_function="SUM",
        post_transform="NONE",
        nodes_treeids=np.repeat(np.arange(len(trees)), sizes).tolist(),
        nodes_nodeids=_joined([np.arange(size) for size in sizes]).tolist(),
        nodes_featureids=padded("feature", 0).tolist(),
        nodes_modes=modes,
        nodes_values_as_tensor=tensor(padded("threshold", 0.0)),
        nodes_missing_value_tracks_true=padded("missing", 0).astype(int).tolist(),
        nodes_truenodeids=ways("yes"),
        nodes_falsenodeids=ways("no"),
        target_treeids=np.repeat(_joined(leaf_trees), targets).tolist(),
        target_nodeids=np.repeat(_joined(leaf_nodes), targets).tolist(),
        target_ids=np.tile(np.arange(targets), len(_joined(leaf_nodes))).tolist(),
        target_weights_as_tensor=tensor(np.concatenate([t.leaves.ravel() * share for t in trees])),
    )
    return graph.add("Cast", found, to=TensorProto.DOUBLE)


def _joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(arrays)
