"""What an ONNX file may hold: standard operators and its own numbers, and nothing else.

An ONNX graph is data, not code, but it can still name operators from a shared library, read
tensors from other files, draw random numbers or loop for ever. Such a file is refused before ONNX
Runtime sees it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping

from onnx import (
    AttributeProto,
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    ValueInfoProto,
    load_model_from_string,
)

from aitb_nautilus.errors import ModelError
from aitb_nautilus.models.manifest import Input, ModelFile, Output, Role

__all__ = [
    "NEWEST_IR",
    "NEWEST_OPSETS",
    "STANDARD_DOMAIN",
    "domain_of",
    "inspect",
    "nodes_of",
    "parse",
    "rows_are_independent",
]

STANDARD_DOMAIN = "ai.onnx"
NEWEST_OPSETS: Mapping[str, int] = {STANDARD_DOMAIN: 23, "ai.onnx.ml": 5}
"""The newest operator sets that the oldest ONNX Runtime we run on (1.23) implements."""
NEWEST_IR = 11
_OLDEST_OPSETS: Mapping[str, int] = {STANDARD_DOMAIN: 7, "ai.onnx.ml": 1}
_OLDEST_IR = 4  # before it, weights were inputs

_RANDOM = frozenset(
    {
        "Bernoulli",
        "Multinomial",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
    }
)
_ENDLESS = frozenset({"Loop"})

# ONNX Runtime computes these with the same operations on a row alone and on a row among others.
# What is not here (matrix products, the linear operators, logarithms) is another kernel for one row
# than for many on some processor, and differs in the last bit: see docs/decisions/0011.
_ROW_BY_ROW = frozenset(
    {
        "Abs",
        "Add",
        "Cast",
        "Clip",
        "Concat",
        "Div",
        "Equal",
        "Flatten",
        "Gather",
        "Greater",
        "GreaterOrEqual",
        "Identity",
        "Less",
        "LessOrEqual",
        "Max",
        "Min",
        "Mul",
        "Neg",
        "ReduceSum",
        "Scaler",
        "Sigmoid",
        "Slice",
        "Sub",
        "TreeEnsemble",
        "TreeEnsembleClassifier",
        "TreeEnsembleRegressor",
        "Where",
    }
)


def parse(data: bytes, where: str) -> ModelProto:
    """Return the model in the bytes of an ONNX file.

    Raises
    ------
    ModelError
        If the bytes are no ONNX model.
    """
    try:
        model = load_model_from_string(data)
    except Exception as e:  # protobuf's own errors have no public name that we could import
        raise _no_onnx(where) from e
    if not model.HasField("graph") or not model.graph.node or not model.ir_version:
        raise _no_onnx(where)
    return model


def inspect(data: bytes, where: str, roles: Mapping[str, Role] | None = None) -> ModelFile:
    """Return what an ONNX file is, or refuse it.

    Parameters
    ----------
    data
        The bytes of the file.
    where
        What an error names first: the file.
    roles
        Name of an output to its role. By default an output is named after its role.

    Raises
    ------
    ModelError
        If the bytes are no ONNX model; if it is too new; if it has operators of other domains,
        functions, tensors outside the file, random numbers or loops; or if it does not turn one
        float32 input (rows, columns) into float32 outputs (rows, 1).
    """
    model = parse(data, where)
    opsets = _check_age(model, where)
    _check_parts(model, where)
    return ModelFile(
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        ir_version=model.ir_version,
        opsets=opsets,
        input=_input(model.graph, where),
        outputs=_outputs(model.graph, where, roles),
    )


def rows_are_independent(model: ModelProto) -> bool:
    """Return whether a row's answer has the same bits alone and among other rows.

    True only for graphs of operators that are known to compute row by row: trees, and arithmetic on
    single values.
    """
    return all(node.op_type in _ROW_BY_ROW for node in nodes_of(model.graph.node))


def domain_of(name: str) -> str:
    """Return an operator domain's full name; the standard one may be written as nothing."""
    return name or STANDARD_DOMAIN


def nodes_of(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """Yield some nodes, and after each those of the graphs inside it."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for inner in _graphs_of(attribute):
                yield from nodes_of(inner.node)


def _graphs_of(attribute: AttributeProto) -> Iterator[GraphProto]:
    if attribute.HasField("g"):
        yield attribute.g
    yield from attribute.graphs


def _check_age(model: ModelProto, where: str) -> dict[str, int]:
    """Return operator domain to version; refuse foreign domains and versions out of range."""
    opsets: dict[str, int] = {}
    for entry in model.opset_import:
        domain = domain_of(entry.domain)
        if domain not in NEWEST_OPSETS:
            raise _foreign(where, domain)
        oldest, newest = _OLDEST_OPSETS[domain], NEWEST_OPSETS[domain]
        if not oldest <= entry.version <= newest:
            raise ModelError(
                where,
                f"uses operator set {entry.version} of {domain}",
                f"must be {oldest} to {newest}",
                f"Export the model again with target_opset={newest}",
            )
        if opsets.setdefault(domain, entry.version) != entry.version:
            raise ModelError(
                where, f"names two versions of the operator set {domain}", "must name one"
            )
    if not _OLDEST_IR <= model.ir_version <= NEWEST_IR:
        raise ModelError(
            where,
            f"is of ONNX format (IR) {model.ir_version}",
            f"must be {_OLDEST_IR} to {NEWEST_IR}",
            "Export the model again with an older or newer version of the converter",
        )
    if not opsets:
        raise ModelError(where, "names no operator set", "must name those that it uses")
    return opsets


def _check_parts(model: ModelProto, where: str) -> None:
    """Refuse everything but standard operators and the file's own numbers."""
    if model.functions:
        names = ", ".join(sorted({function.name for function in model.functions}))
        raise ModelError(
            where,
            f"defines functions of its own ({names})",
            "must consist of standard operators",
            "Inline them before the export: onnx.inliner.inline_local_functions",
        )
    if model.training_info:
        raise ModelError(where, "holds training graphs", "must hold the trained model alone")
    for node in nodes_of(model.graph.node):
        if domain_of(node.domain) not in NEWEST_OPSETS:
            raise _foreign(where, node.domain, node.op_type)
        if node.op_type in _RANDOM:
            raise ModelError(
                where,
                f"draws random numbers (operator {node.op_type})",
                "the same row must always have the same answer",
            )
        if node.op_type in _ENDLESS:
            raise ModelError(
                where,
                f"holds a loop (operator {node.op_type})",
                "an answer must take a bounded time",
            )
    for tensor in _tensors_of(model.graph):
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            place = {entry.key: entry.value for entry in tensor.external_data}.get("location", "?")
            raise ModelError(
                where,
                f"keeps the tensor {tensor.name!r} in another file ({place})",
                "must hold all of its numbers itself",
                "Save it with onnx.save(model, path, save_as_external_data=False)",
            )


def _tensors_of(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            for inner in _graphs_of(attribute):
                yield from _tensors_of(inner)


def _input(graph: GraphProto, where: str) -> Input:
    names = [value.name for value in graph.input]
    if len(names) != 1:
        raise ModelError(
            where,
            f"has {len(names)} inputs ({', '.join(names) or 'none'})",
            "must have one, with a column for each feature",
        )
    value = graph.input[0]
    _check_float32(value, where, "input")
    shape = _shape(value)
    if len(shape) != 2 or shape[0] is not None or shape[1] is None or shape[1] < 1:
        raise ModelError(
            where,
            f"has the input {value.name!r} of shape {_spell(shape)}",
            "must be (any number of rows, number of features)",
        )
    return Input(name=value.name, columns=shape[1], dtype="float32")


def _outputs(graph: GraphProto, where: str, roles: Mapping[str, Role] | None) -> tuple[Output, ...]:
    known: Mapping[str, Role] = roles or {
        "probability": "probability",
        "expected_return": "expected_return",
    }
    names = [value.name for value in graph.output]
    if not names or not set(names) <= set(known) or (roles and set(names) != set(known)):
        raise ModelError(
            where,
            f"has the outputs {', '.join(names) or 'none'}",
            f"must have {' and '.join(known) if roles else ' or '.join(known)}, and no others",
        )
    for value in graph.output:
        _check_float32(value, where, "output")
        if _shape(value) != (None, 1):
            raise ModelError(
                where,
                f"has the output {value.name!r} of shape {_spell(_shape(value))}",
                "must be (any number of rows, 1)",
            )
    return tuple(Output(name=name, role=known[name]) for name in names)


def _check_float32(value: ValueInfoProto, where: str, kind: str) -> None:
    if value.type.HasField("tensor_type"):
        found = value.type.tensor_type.elem_type
        if found == TensorProto.FLOAT:
            return
        spelled = TensorProto.DataType.Name(found).lower()
    else:
        spelled = value.type.WhichOneof("value") or "nothing"
    raise ModelError(where, f"has the {kind} {value.name!r} of {spelled}", "must be float32")


def _shape(value: ValueInfoProto) -> tuple[int | None, ...]:
    """Return a tensor's declared shape; None for a size that is open."""
    return tuple(
        dim.dim_value if dim.HasField("dim_value") else None
        for dim in value.type.tensor_type.shape.dim
    )


def _spell(shape: tuple[int | None, ...]) -> str:
    return f"({', '.join('any' if size is None else str(size) for size in shape)})"


def _foreign(where: str, domain: str, operator: str = "") -> ModelError:
    named = f"the operator {operator} of the domain {domain!r}" if operator else repr(domain)
    return ModelError(
        where,
        f"needs custom operators ({named})",
        f"must use those of {' and '.join(NEWEST_OPSETS)} alone",
        "Export the model again without them: they would run code from a library",
    )


def _no_onnx(where: str) -> ModelError:
    return ModelError(
        where,
        "is no ONNX model",
        "must be the bytes that a converter such as skl2onnx wrote",
        "Train or export the model again",
    )
