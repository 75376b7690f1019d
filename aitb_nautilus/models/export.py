"""From a converter's graph to the house form, and the gate that every export must pass.

In the house form there is one input, ``features`` (rows, n) float32, and an output named after its
role, (rows, 1) float32. Names and bytes depend on the model alone: the same trees always give the
same file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, TensorProto, helper, numpy_helper

from aitb_nautilus.errors import ModelError
from aitb_nautilus.models.graphs import STANDARD_DOMAIN, domain_of, inspect, nodes_of, parse
from aitb_nautilus.models.manifest import Role
from aitb_nautilus.models.runtime import ModelSession

__all__ = ["INPUT_NAME", "TIE", "ExportCheck", "check_export", "house_model", "normalized"]

INPUT_NAME: Final = "features"
GRAPH_NAME: Final = "aitb"
TIE: Final = 5e-7
"""Closer to a threshold than this, a float32 cannot tell on which side a probability lies."""

_OLDEST_IR = 4


@dataclass(frozen=True, slots=True)
class ExportCheck:
    """How an exported model compares with the library that trained it.

    Attributes
    ----------
    rows
        That both answered.
    largest_difference
        Between the two answers, absolute.
    flips
        Threshold to the rows on whose side the two disagree: 0, or the export was refused.
    ties
        Rows so close to a threshold that float32 cannot tell; not counted as flips.
    """

    rows: int
    largest_difference: float
    flips: dict[float, int]
    ties: int


def house_model(model: bytes, role: Role = "probability", where: str = "the export") -> bytes:
    """Return a converter's model in the house form.

    Parameters
    ----------
    model
        Bytes of an ONNX model with one input (rows, n) float32. For the role ``probability`` one of
        its outputs is (rows, 2) float32, the second column the probability of up, as skl2onnx and
        onnxmltools write it with ``zipmap=False``; or (rows, 1). For ``expected_return`` one output
        is (rows, 1) float32. Other outputs, such as the label, are dropped.
    role
        What the model gives.

    Raises
    ------
    ModelError
        If the model has no such input or output.
    """
    proto = parse(model, where)
    graph = proto.graph
    name, width = _output_of(graph, {1, 2} if role == "probability" else {1}, where)
    if width == 2:
        _rename(graph, name, "aitb_both")
        graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), "aitb_up"))
        graph.node.append(helper.make_node("Gather", ["aitb_both", "aitb_up"], [role], axis=1))
    elif name != role:
        graph.node.append(helper.make_node("Identity", [name], [role]))
    if not any(domain_of(entry.domain) == STANDARD_DOMAIN for entry in proto.opset_import):
        proto.opset_import.append(helper.make_opsetid("", 13))
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(role, TensorProto.FLOAT, ["rows", 1]))
    return normalized(proto.SerializeToString(), where)


def normalized(model: bytes, where: str = "the export") -> bytes:
    """Return a model in the house form with everything removed that does not change its answers.

    Names its one input ``features``, and graph, producer and nodes always the same; drops comments
    and what no output needs. To be called once more after nodes were added to a `house_model`.
    Twice is the same as once.

    Raises
    ------
    ModelError
        If the result may not be a model: see `aitb_nautilus.models.graphs`.
    """
    proto = parse(model, where)
    graph = proto.graph
    _keep_what_is_needed(graph)
    _rename_input(graph, where)
    graph.name = GRAPH_NAME
    graph.ClearField("doc_string")
    graph.ClearField("value_info")
    for number, node in enumerate(nodes_of(graph.node)):
        node.name = f"n{number}"
        node.ClearField("doc_string")
    for field in ("producer_version", "domain", "model_version", "doc_string", "metadata_props"):
        proto.ClearField(field)
    proto.producer_name = GRAPH_NAME
    opsets = {(domain_of(entry.domain), entry.version) for entry in proto.opset_import}
    del proto.opset_import[:]
    for domain, version in sorted(opsets):
        proto.opset_import.append(
            helper.make_opsetid("" if domain == STANDARD_DOMAIN else domain, version)
        )
    proto.ir_version = max(_OLDEST_IR, helper.find_min_ir_version_for(list(proto.opset_import)))
    data: bytes = proto.SerializeToString(deterministic=True)
    inspect(data, where)
    return data


def check_export(
    model: bytes,
    rows: NDArray[np.float32],
    expected: NDArray[np.float64],
    *,
    tolerance: float,
    role: Role = "probability",
    thresholds: Sequence[float] = (0.5,),
    where: str = "the export",
) -> ExportCheck:
    """Refuse an export that does not answer as the library that trained it.

    Parameters
    ----------
    model
        Bytes of a model in the house form.
    rows
        (n, n_features) float32, n >= 1: rows that the model has not necessarily seen.
    expected
        (n,) float64: what the library answers to the same float32 rows.
    tolerance
        The largest difference that is accepted, absolute.
    thresholds
        At which a strategy decides. The two must be on the same side of each, but for rows closer
        to it than `TIE`.

    Raises
    ------
    ModelError
        If an answer differs by more than the tolerance, or a decision flips.
    """
    session = ModelSession(model, inspect(model, where), where)
    values = getattr(session.rows_exact(rows), role)
    if values is None:
        raise ModelError(where, f"gives no {role}")
    found = values.astype(np.float64)
    if expected.shape != found.shape or not len(found) or not np.isfinite(expected).all():
        raise ValueError(f"expected must be {found.shape} finite values, was {expected.shape}")
    difference = np.abs(found - expected)
    worst = int(np.argmax(difference))
    largest = float(difference[worst])
    if not largest <= tolerance:
        raise ModelError(
            where,
            f"answers {found[worst]:.9g} to row {worst} of {len(rows):,}, {largest:.3g} away",
            f"the library that trained it answers {expected[worst]:.9g}, and {tolerance:g} is "
            "allowed",
            "A feature may have values closer together than float32 can tell, or the converter "
            "does not fit the library's version: nothing was published",
        )
    flips, ties = {}, 0
    for threshold in thresholds:
        tied = np.abs(expected - threshold) <= TIE
        flipped = ((found > threshold) != (expected > threshold)) & ~tied
        flips[threshold], ties = int(flipped.sum()), ties + int(tied.sum())
        if flipped.any():
            row = int(np.argmax(flipped))
            raise ModelError(
                where,
                f"decides {flips[threshold]} of {len(rows):,} rows otherwise at {threshold:g}: "
                f"{found[row]:.9g} to row {row}",
                f"the library that trained it answers {expected[row]:.9g}",
                "Lower the tolerance to see where they part: nothing was published",
            )
    return ExportCheck(len(rows), largest, flips, ties)


def _output_of(graph: GraphProto, widths: set[int], where: str) -> tuple[str, int]:
    """Return name and number of columns of the one output that can be the answer."""
    found = []
    for value in graph.output:
        tensor = value.type.tensor_type
        dims = tensor.shape.dim
        if tensor.elem_type == TensorProto.FLOAT and len(dims) == 2:
            width = dims[1].dim_value
            if width in widths:
                found.append((value.name, width))
    if len(found) != 1:
        spelled = " or ".join(f"(rows, {width})" for width in sorted(widths, reverse=True))
        raise ModelError(
            where,
            f"has {len(found)} outputs of {spelled} float32 among "
            f"{', '.join(value.name for value in graph.output) or 'none'}",
            "must have one",
            "Convert a classifier with zipmap=False, and a model of two classes",
        )
    return found[0]


def _keep_what_is_needed(graph: GraphProto) -> None:
    """Drop the nodes and weights that no output needs."""
    needed = {value.name for value in graph.output}
    for i in reversed(range(len(graph.node))):
        if needed.intersection(graph.node[i].output):
            needed.update(name for node in nodes_of([graph.node[i]]) for name in node.input)
        else:
            del graph.node[i]
    for i in reversed(range(len(graph.initializer))):
        if graph.initializer[i].name not in needed:
            del graph.initializer[i]


def _rename_input(graph: GraphProto, where: str) -> None:
    weights = {weight.name for weight in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if len(inputs) != 1:
        raise ModelError(where, f"has {len(inputs)} inputs", "must have one")
    value = inputs[0]
    tensor = value.type.tensor_type
    columns = tensor.shape.dim[1].dim_value if len(tensor.shape.dim) == 2 else 0
    if not columns:
        raise ModelError(
            where,
            f"has the input {value.name!r} without a number of columns",
            "must be (rows, number of features)",
        )
    old, dtype = value.name, tensor.elem_type
    _rename(graph, old, INPUT_NAME)
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info(INPUT_NAME, dtype, ["rows", columns]))


def _rename(graph: GraphProto, old: str, new: str) -> None:
    """Give a value inside a graph another name."""
    for node in nodes_of(graph.node):
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                if name == old:
                    names[i] = new
