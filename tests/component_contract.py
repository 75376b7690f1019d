"""What CONVENTIONS asks of a component, as checks that can be put to any class.

Each check takes a component's class and returns what it found wrong, one sentence each.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

from msgspec import inspect as shape

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.features.feature_set import parse_features
from aitb_nautilus.market.bars import Interval
from aitb_nautilus.messages import (
    BarClosed,
    CancelIntent,
    CloseIntent,
    ModifyIntent,
    OrderIntent,
    Prediction,
)
from aitb_nautilus.models.registry import Registry
from aitb_nautilus.risk.actor import GuardedActor
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.sources import PredictionSource
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.settings import Settings, decode, encode, schema
from tests.model_lab import CONTRACT, put_for
from tests.risk.rig import BTC, ETH, make_context
from tests.stream_files import row, write_stream_file

__all__ = ["CHECKS", "components", "components_of", "example", "write_files"]

BASES = (GuardedStrategy, GuardedActor)
INTENTS = (OrderIntent, CloseIntent, CancelIntent, ModifyIntent)
ALLOWED = (
    "aitb_nautilus.risk",
    "aitb_nautilus.observe",
    "aitb_nautilus.market",
    "aitb_nautilus.features",
    "aitb_nautilus.models",
    "aitb_nautilus.messages",
    "aitb_nautilus.settings",
    "aitb_nautilus.errors",
)
"""The floors below the components."""
OURS = ("aitb_nautilus", "actors", "strategies", "catalog", "tests")
MODES = {"backtest", "backtesting", "live", "paper", "sandbox"}
CLOCKS = {
    ("time", "time"),
    ("time", "time_ns"),
    ("time", "monotonic"),
    ("time", "perf_counter"),
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
}
RANDOM = {"random", "secrets", "uuid"}
SEEDED = {"Random", "default_rng", "Generator", "SeedSequence"}
AROUND = {
    "submit_order",
    "submit_order_list",
    "modify_order",
    "modify_orders",
    "close_position",
    "close_all_positions",
    "market_exit",
}
WORDS: Mapping[str, Any] = {
    "instruments": [BTC, ETH],
    "instrument": BTC,
    "interval": "1m",
    "models": ["example"],
    "path": "example.parquet",
    "members": [{"model": "first"}, {"model": "second"}],
}
"""What fields of these names are filled with. Files are those of `write_files`."""


def write_files(folder: Path) -> None:
    """Write what `WORDS` names into a folder: the components are made while it is the current one.

    Its models are signed with the key of the folder that ``AITB_HOME`` names.
    """
    features = parse_features(["log_return(1)", f"beta({ETH},8)"], interval="1m")
    put_for(Registry(folder / "models"), "example", features, (BTC, ETH))
    write_stream_file(folder / "example.parquet", [row(1, 0.4), row(2, 0.6)])


def example_context() -> Context:
    """Return a context in which the models exist that `WORDS` names as members."""
    context = make_context()
    for name in ("first", "second"):
        context.add_source(
            PredictionSource(
                model=name,
                version="1",
                sha256="a" * 64,
                instruments=(BTC, ETH),
                interval="1m",
                label=CONTRACT.label,
                longest_gap_bars=CONTRACT.longest_gap_bars,
            )
        )
    return context


def components(packages: Iterable[str]) -> list[type]:
    """Return every component of every module in some packages."""
    found = []
    for package in packages:
        for info in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            found += components_of(importlib.import_module(info.name))
    return found


def components_of(module: ModuleType) -> list[type]:
    """Return the components that a module itself defines."""
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, BASES)
        and value.__module__ == module.__name__
    ]


def example(type_: type) -> dict[str, Any]:
    """Return plain data, as a TOML file would give it, with every key that has no default."""
    filled: dict[str, Any] = _fill(shape.type_info(type_))
    return filled


def _fill(kind: Any) -> Any:  # noqa: PLR0911 - one line a kind
    """Return a value of a type; of structs, only what is required."""
    match kind:
        case shape.StructType():
            tag = {} if kind.tag_field is None else {kind.tag_field: kind.tag}
            return tag | {
                f.encode_name: WORDS.get(f.name) or _fill(f.type) for f in kind.fields if f.required
            }
        case shape.UnionType():
            return _fill(kind.types[0])
        case shape.LiteralType():
            return kind.values[0]
        case shape.IntType() | shape.FloatType():
            low = kind.ge if kind.ge is not None else (kind.gt or 0)
            high = kind.le if kind.le is not None else kind.lt
            number = low + 1 if high is None else (low + high) / 2
            return int(number) if isinstance(kind, shape.IntType) else float(number)
        case shape.VarTupleType() | shape.ListType():
            return [_fill(kind.item_type)] * max(kind.min_length or 0, 1)
        case shape.BoolType():
            return False
        case shape.StrType():
            return "text"
        case shape.Metadata():
            return _fill(kind.type)
    raise ValueError(f"no example of {kind}: add it here, or to WORDS")


def one_file_one_component(cls: type) -> Iterator[str]:
    names = [c.__name__ for c in components_of(sys.modules[cls.__module__])]
    if names != [cls.__name__]:
        yield f"{cls.__module__} defines {', '.join(names)}; one file is one component"


def settings_stand_in_the_same_file(cls: Any) -> Iterator[str]:
    settings = cls.settings_type
    if settings is Settings or not issubclass(settings, Settings):
        yield "settings_type is not a struct of its own that derives from Settings"
        return
    if settings.__module__ != cls.__module__:
        yield f"its settings stand in {settings.__module__}, not in its own file"
    if not settings.__struct_config__.frozen:
        yield "its settings can be changed"
    if not settings.__struct_config__.forbid_unknown_fields:
        yield "its settings take unknown keys"


def docstrings_tell_all(cls: Any) -> Iterator[str]:
    first = (inspect.getdoc(cls) if "__doc__" in vars(cls) and cls.__doc__ else "") or ""
    word = first.split(" ")[0].split("\n")[0]
    if not first:
        yield f"{cls.__name__} has no docstring"
    elif not re.fullmatch(r"[A-Z][a-z-]*", word) or re.search(r"([^s]s|ing|ed)$", word):
        yield f"the docstring of {cls.__name__} begins with {word!r}, which is no imperative"
    told = _attributes_told(inspect.getdoc(cls.settings_type) or "")
    for name in cls.settings_type.__struct_fields__:
        if name not in told:
            yield f"{cls.settings_type.__name__} does not tell what {name} is"


def _attributes_told(text: str) -> set[str]:
    """Return the names in the Attributes section of a numpy docstring that have a description."""
    _, _, section = text.partition("Attributes\n----------\n")
    section = re.split(r"\n[A-Z][a-z]+\n-{3,}\n", section)[0]
    names = re.findall(r"^(\S[^\n]*)\n {4}\S", section, re.MULTILINE)
    return {name.strip() for line in names for name in line.partition(" :")[0].split(",")}


def settings_refuse_a_misspelt_key(cls: Any) -> Iterator[str]:
    data = example(cls.settings_type)
    decoded = decode(data, cls.settings_type, "x")
    if decode(encode(decoded), cls.settings_type, "x") != decoded:
        yield "its settings do not come back as they were written"
    for name in cls.settings_type.__struct_encode_fields__:
        try:
            decode(data | {f"{name}x": 1}, cls.settings_type, "x")
        except ConfigError as e:
            if f"did you mean {name!r}?" not in str(e):
                yield f"the misspelt key {name}x is not answered with {name}: {e}"
        else:
            yield f"the misspelt key {name}x is taken"


def settings_have_a_schema(cls: Any) -> Iterator[str]:
    made = schema(cls.settings_type)
    json.dumps(made)
    known = set(made["$defs"][cls.settings_type.__name__]["properties"])
    for name in sorted(set(cls.settings_type.__struct_encode_fields__) - known):
        yield f"the schema lacks {name}"


def decides_without_an_engine(cls: Any) -> Iterator[str]:
    context = example_context()
    settings = decode(example(cls.settings_type), cls.settings_type, "x")
    component = cls(settings, context, "component-001")
    if isinstance(component, GuardedActor):
        return
    bar_types = list(component.bar_types())
    if not bar_types:
        yield "it listens to nothing"
    for number in range(120):
        for text in bar_types:
            instrument_id = Interval.instrument_of_bar_type(text)
            # Saw-teeth of 20 bars: every average crosses every other.
            close = 1_000.0 * (1 + 0.01 * abs(number % 20 - 10))
            ts = (number + 1) * Interval.of_bar_type(text).ns
            bar = BarClosed(instrument_id, ts, close, close * 1.001, close * 0.999, close, 1.0)
            context.ledger.apply_bar(bar)
            intents = list(component.decide_on_bar(bar) or ())
            for model, about in component.predictions():
                if about == instrument_id:
                    prediction = _prediction(model, instrument_id, ts, number % 20 / 20)
                    intents += component.decide_on_prediction(prediction) or ()
            for intent in intents:
                if not isinstance(intent, INTENTS):
                    yield f"it answered a bar with {intent!r}, which is no intent"
                elif isinstance(intent, OrderIntent) and intent.quantity is None:
                    size = component.size(intent)
                    if not isinstance(size, Decimal) or size < 0:
                        yield f"it sized {intent} as {size!r}"
    if context.ledger.orders or context.guard.refusals:
        yield "it sent orders by itself instead of answering with intents"


def _prediction(model: str, instrument_id: str, ts: int, probability: float) -> Prediction:
    score, hour = 2 * probability - 1, 3_600_000_000_000
    return Prediction(
        instrument_id, model, "1", score, probability, score, 1.0, hour, ts, ts, ts, ts + hour
    )


def imports_lower_floors_only(cls: type) -> Iterator[str]:
    for name in _imports(_tree(cls)):
        top = name.partition(".")[0]
        if top in OURS and not name.startswith(ALLOWED):
            yield f"it imports {name}, which is not below it"


def asks_for_no_mode(cls: type) -> Iterator[str]:
    tree = _tree(cls)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        words: str = ""
        match node:
            case ast.Name(id=words) | ast.Attribute(attr=words) | ast.arg(arg=words):
                pass
            case ast.Constant(value=str(words)) if id(node) not in docstrings:
                pass
            case ast.keyword(arg=str(words)) | ast.FunctionDef(name=words):
                pass
        for word in sorted(MODES & set(re.split(r"[^a-z]+", words.lower()))):
            yield f"line {node.lineno} says {word!r}; a component does not know its mode"  # type: ignore[attr-defined]


def takes_time_and_chance_from_the_engine_and_the_config(cls: type) -> Iterator[str]:
    tree = _tree(cls)
    for name in _imports(tree):
        if name.partition(".")[0] == "time" or name in ("secrets", "uuid"):
            yield f"it imports {name}"
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute):
            continue
        owner = node.value
        parent = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
        if (parent, node.attr) in CLOCKS:
            yield f"line {node.lineno} asks the wall clock: {parent}.{node.attr}"
        if parent in RANDOM and node.attr not in SEEDED:
            yield f"line {node.lineno} draws without a seed: {parent}.{node.attr}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and not (node.args or node.keywords):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in SEEDED:
                yield f"line {node.lineno} makes a {name} without a seed"
    for name in _imports(tree):
        module, _, attribute = name.rpartition(".")
        if module == "random" and attribute not in SEEDED:
            yield f"it imports {name}, which draws without a seed"


def keeps_to_the_guard_and_to_exact_prices(cls: type) -> Iterator[str]:
    for node in ast.walk(_tree(cls)):
        if isinstance(node, ast.Attribute) and node.attr == "as_double":
            yield f"line {node.lineno} takes a price by as_double, which is not exact"
        if isinstance(node, ast.Attribute) and node.attr in AROUND:
            owner = node.value
            is_super = isinstance(owner, ast.Call) and getattr(owner.func, "id", "") == "super"
            if is_super or getattr(owner, "id", "") in ("Strategy", "GuardedStrategy"):
                yield f"line {node.lineno} calls {node.attr} around the guard"


def _tree(cls: type) -> ast.Module:
    return ast.parse(inspect.getsource(sys.modules[cls.__module__]))


def _imports(tree: ast.Module) -> Iterator[str]:
    """Yield the full name of everything that is imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from (f"{module}.{alias.name}" for alias in node.names)


CHECKS: list[Callable[[type], Iterator[str]]] = [
    one_file_one_component,
    settings_stand_in_the_same_file,
    docstrings_tell_all,
    settings_refuse_a_misspelt_key,
    settings_have_a_schema,
    decides_without_an_engine,
    imports_lower_floors_only,
    asks_for_no_mode,
    takes_time_and_chance_from_the_engine_and_the_config,
    keeps_to_the_guard_and_to_exact_prices,
]
