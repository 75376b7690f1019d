"""A small writer of ONNX graphs: arithmetic on columns, in the fewest operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from onnx import AttributeProto, NodeProto, TensorProto, helper, numpy_helper

from aitb_nautilus.models.export import INPUT_NAME, normalized
from aitb_nautilus.models.manifest import Role

__all__ = ["ML_DOMAIN", "GraphWriter"]

ML_DOMAIN: Final = "ai.onnx.ml"
_OPSET, _ML_OPSET = 17, 3


class GraphWriter:
    """Collects nodes and numbers of one graph.

    Parameters
    ----------
    columns
        Features; the input is (rows, columns) float32.
    """

    input_name = INPUT_NAME

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._nodes: list[NodeProto] = []
        self._numbers: list[TensorProto] = []

    def number(self, value: NDArray[Any] | Sequence[float] | float) -> str:
        """Add a constant, float32 unless it is an array of int64; return its name."""
        array = np.asarray(value)
        if array.dtype != np.int64:
            array = array.astype(np.float32)
        name = f"c{len(self._numbers)}"
        self._numbers.append(numpy_helper.from_array(array, name))
        return name

    def node(self, operator: str, inputs: Sequence[str], domain: str = "", **options: Any) -> str:
        """Add a node; return the name of its output."""
        name = f"v{len(self._nodes)}"
        node = helper.make_node(operator, inputs, [name], domain=domain)
        node.attribute.extend(_attribute(key, options[key]) for key in sorted(options))
        self._nodes.append(node)
        return name

    def finish(self, outputs: dict[Role, str]) -> bytes:
        """Return the model's bytes in the house form; each output is named after its role.

        Parameters
        ----------
        outputs
            Role to the name of the node output that answers it, (rows, 1) float32.
        """
        for role, name in outputs.items():
            self._nodes.append(helper.make_node("Identity", [name], [role]))
        float32 = TensorProto.FLOAT
        graph = helper.make_graph(
            self._nodes,
            "training",
            [helper.make_tensor_value_info(INPUT_NAME, float32, ["rows", self._columns])],
            [helper.make_tensor_value_info(role, float32, ["rows", 1]) for role in outputs],
            self._numbers,
        )
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(ML_DOMAIN, _ML_OPSET)]
        model: bytes = helper.make_model(graph, opset_imports=opsets).SerializeToString()
        return normalized(model, "the export")


def _attribute(name: str, value: Any) -> AttributeProto:
    """Return an attribute of a node.

    ONNX's own helper looks at every number of a list several times, which takes longer than all
    else in the export of some hundred trees.
    """
    if not isinstance(value, list):
        return helper.make_attribute(name, value)
    first = value[0]
    if isinstance(first, bytes):
        return AttributeProto(name=name, type=AttributeProto.STRINGS, strings=value)
    if isinstance(first, float):
        return AttributeProto(name=name, type=AttributeProto.FLOATS, floats=value)
    return AttributeProto(name=name, type=AttributeProto.INTS, ints=value)
