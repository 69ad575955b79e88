"""Tables of values by the codes of a column as ONNX, and the target encoding made of them."""

from typing import Any

import numpy as np

from ...runtime.target_encoding import TargetEncoded
from .writing import DOMAIN, Graph


def encoded(graph: Graph, source: str, step: TargetEncoded) -> str:
    """Add the encoding: from the float32 matrix to the one with encodings in place of codes."""
    each = zip(step.columns, step.codes_, step.encodings_, strict=True)
    tables = [looked_up(graph, source, *told, kind=np.float32) for told in each]
    joined = graph.add("Concat", source, *tables, axis=1)
    return graph.add("Gather", joined, graph.constant(_order(step), np.int64), axis=1)


def looked_up(
    graph: Graph,
    source: str,
    column: int,
    codes: np.ndarray,
    values: np.ndarray,
    missing: float = np.nan,
    kind: type = np.float64,
) -> str:
    """Add a look-up: from a column of the float32 matrix to (rows, width) of `values`.

    `values` has a row for each of `codes`, in which NaN is the last, and one for all other codes;
    a missing one is looked up as `missing`.
    """
    same = np.isnan(codes) if np.isnan(missing) else codes == np.float32(missing)
    absent = int(np.flatnonzero(same)[0]) if same.any() else len(codes)
    known = codes[~np.isnan(codes)]
    asked = graph.add("Gather", source, graph.constant(column, np.int64), axis=1)
    place = graph.add(
        "LabelEncoder",
        asked,
        domain=DOMAIN,
        keys_floats=known.tolist(),
        values_int64s=list(range(len(known))),
        default_int64=len(codes),
    )
    if absent != len(codes):  # NaN equals no key
        missed = graph.add("IsNaN", asked)
        place = graph.add("Where", missed, graph.constant(absent, np.int64), place)
    place = graph.add("Squeeze", place, graph.constant(1, np.int64))
    return graph.add("Gather", graph.constant(values, kind), place)


def _order(step: TargetEncoded) -> list[int]:
    """Return where each column of the encoded matrix stands behind the matrix itself."""
    width, each = step.n_features_in_, step.encodings_[0].shape[1]
    starts = [width + each * number for number in range(len(step.columns))]
    first = dict(zip(step.columns, starts, strict=True))
    placed = [first.get(column, column) for column in range(width)]
    return placed + [start + more for start in starts for more in range(1, each)]


def register() -> None:
    """Have skl2onnx write the encoding among the steps that it knows."""
    from skl2onnx import update_registered_converter

    update_registered_converter(
        TargetEncoded, "TargetEncoded", _shape, _convert, overwrite=True, parser=_parse
    )


def _parse(scope: Any, step: TargetEncoded, inputs: list[Any], custom_parsers: Any = None) -> Any:
    """Declare the step with the width of its result, which the steps after it ask for."""
    from skl2onnx.common.data_types import FloatTensorType

    operator = scope.declare_local_operator("TargetEncoded", step)
    operator.inputs = inputs
    width = len(_order(step))
    operator.outputs.append(scope.declare_local_variable("encoded", FloatTensorType([None, width])))
    return operator.outputs


def _shape(operator: Any) -> None:
    """Leave the shape as it was declared."""


def _convert(scope: Any, operator: Any, container: Any) -> None:
    from onnx import helper

    graph = Graph("encoded_")
    last = encoded(graph, operator.inputs[0].full_name, operator.raw_operator)
    container.initializers.extend(graph.constants)
    for node in graph.nodes:
        told = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        container.add_node(node.op_type, list(node.input), list(node.output), node.domain, **told)
    container.add_node("Identity", [last], [operator.outputs[0].full_name])
