"""The schema of a config knows the settings of the components that a block names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aitb_nautilus.run.load import load_config
from aitb_nautilus.run.schema import desk_schema
from tests.run.desk_lab import Lab


def params_of(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the definition of a block's params by the class that it names."""
    found = {}
    for branch in schema["$defs"]["ComponentSettings"]["allOf"]:
        name = branch["if"]["properties"]["class"]["const"]
        reference = branch["then"]["properties"]["params"]["$ref"]
        found[name] = schema["$defs"][reference.removeprefix("#/$defs/")]
    return found


def test_schema_describes_sizing_and_exits_of_the_shipped_strategies() -> None:
    schema = desk_schema()
    json.dumps(schema, allow_nan=False)
    params = params_of(schema)
    assert {"strategies.ema_cross:EmaCross", "strategies.threshold:Threshold"} <= params.keys()
    assert "actors.inference:OnnxInferenceActor" in params
    for name in ("strategies.ema_cross:EmaCross", "strategies.threshold:Threshold"):
        sizing = params[name]["properties"]["sizing"]
        methods = set(sizing["discriminator"]["mapping"])
        assert methods == {
            "fixed_notional",
            "equity_fraction",
            "volatility_target",
            "kelly",
            "risk_parity",
        }
    exits = schema["$defs"]["Exits"]["properties"]
    assert {"stop_atr", "chandelier_atr", "break_even_frac", "targets", "signal"} <= exits.keys()
    assert schema["$defs"]["Target"]["required"] == ["close_frac"]
    references = {word for word in json.dumps(schema).split('"') if word.startswith("#/$defs/")}
    assert {one.removeprefix("#/$defs/") for one in references} <= schema["$defs"].keys()


def test_component_that_only_a_config_names_is_described_as_well(lab: Lab) -> None:
    block = lab.strategy({})
    desk = load_config(lab.config(block))
    assert set(params_of(desk_schema(desk))[block["class"]]["properties"]) == {
        "instruments",
        "interval",
    }
    assert block["class"] not in params_of(desk_schema())


def test_schema_with_components_passes_the_meta_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    jsonschema.Draft202012Validator.check_schema(desk_schema())
