"""The target encoding of categories as ONNX: a table for each column, asked by its codes."""

from typing import Any

import numpy as np

from ...runtime.target_encoding import TargetEncoded
from .writing import DOMAIN, Graph


def encoded(graph: Graph, source: str, step: TargetEncoded) -> str:
    """Add the encoding: from the float32 matrix to the one with encodings in place of codes."""
    pieces = [source]
    for column, codes, encodings in zip(step.columns, step.codes_, step.encodings_, strict=True):
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
        if len(known) < len(codes):  # NaN, the last, equals no key
            missing = graph.constant(len(known), np.int64)
            place = graph.add("Where", graph.add("IsNaN", asked), missing, place)
        place = graph.add("Squeeze", place, graph.constant(1, np.int64))
        pieces.append(graph.add("Gather", graph.constant(encodings, np.float32), place))
    joined = graph.add("Concat", *pieces, axis=1)
    return graph.add("Gather", joined, graph.constant(_order(step), np.int64), axis=1)


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
