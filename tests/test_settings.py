"""Settings are decoded strictly, and what is wrong is said with path, value and nearest name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given, strategies as st

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.settings import Secret, Settings, decode, encode, nearest, schema


class Square(Settings, frozen=True, tag_field="shape", tag="square"):
    side: Annotated[float, msgspec.Meta(gt=0)]


class Circle(Settings, frozen=True, tag_field="shape", tag="circle"):
    radius: float = 1.0


type Shape = Square | Circle


class Inner(Settings, frozen=True):
    count: Annotated[int, msgspec.Meta(ge=1)] = 1
    mode: Literal["open", "closed"] = "open"
    limit_frac: float | None = None


class Outer(Settings, frozen=True, rename={"path": "class"}):
    name: str
    path: str = "a:B"
    inner: Inner = Inner()
    maybe: Inner | None = None
    several: tuple[Inner, ...] = ()
    named: dict[str, Inner] = msgspec.field(default_factory=dict)
    shape: Shape = Circle()
    shapes: tuple[Shape, ...] = ()
    key: Secret | None = None

    def __post_init__(self) -> None:
        if self.name == "bad":
            raise ValueError("name was 'bad', must be good")


def refused(data: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        decode(data, Outer, "desk.toml")
    return str(caught.value)


def test_settings_are_frozen_and_take_keywords_only() -> None:
    inner = Inner(count=2)
    with pytest.raises(AttributeError):
        inner.count = 3  # type: ignore[misc]
    with pytest.raises(TypeError):
        Inner(2)  # type: ignore[misc]


def test_defaults_fill_what_is_absent() -> None:
    outer = decode({"name": "x"}, Outer, "desk.toml")
    assert outer == Outer(name="x")
    assert outer.inner.limit_frac is None


def test_whole_numbers_are_taken_where_floats_are_wanted() -> None:
    outer = decode({"name": "x", "inner": {"limit_frac": 1}}, Outer, "desk.toml")
    assert outer.inner.limit_frac == 1.0
    assert isinstance(outer.inner.limit_frac, float)


@pytest.mark.parametrize(
    ("data", "paragraph"),
    [
        (
            {},
            "desk.toml: key 'name' is missing, it has no default.",
        ),
        (
            {"nme": "x"},
            "desk.toml: unknown key 'nme', did you mean 'name'?",
        ),
        (
            {"name": "x", "iner": {}},
            "desk.toml: unknown key 'iner', did you mean 'inner'?",
        ),
        (
            {"name": "x", "clas": "a:B"},
            "desk.toml: unknown key 'clas', did you mean 'class'?",
        ),
        (
            {"name": "x", "inner": {"cuont": 3}},
            "desk.toml: inner: unknown key 'cuont', did you mean 'count'?",
        ),
        (
            {"name": "x", "maybe": {"moed": "open"}},
            "desk.toml: maybe: unknown key 'moed', did you mean 'mode'?",
        ),
        (
            {"name": "x", "several": [{}, {"cuont": 3}]},
            "desk.toml: several[1]: unknown key 'cuont', did you mean 'count'?",
        ),
        (
            {"name": "x", "inner": {"zzzzzz": 3}},
            "desk.toml: inner: unknown key 'zzzzzz', known keys are count, mode, limit_frac.",
        ),
        (
            {"name": "x", "inner": {"count": "3"}},
            "desk.toml: inner.count: was '3', must be int.",
        ),
        (
            {"name": "x", "inner": {"count": True}},
            "desk.toml: inner.count: was True, must be int.",
        ),
        (
            {"name": "x", "inner": {"count": 0}},
            "desk.toml: inner.count: was 0, must be int >= 1.",
        ),
        (
            {"name": "x", "inner": {"mode": "opne"}},
            "desk.toml: inner.mode: was 'opne', must be one of open, closed. Did you mean open?",
        ),
        (
            {"name": "x", "several": [{"mode": "ajar"}]},
            "desk.toml: several[0].mode: was 'ajar', must be one of open, closed.",
        ),
        (
            {"name": "x", "inner": 7},
            "desk.toml: inner: was 7, must be object.",
        ),
        (
            {"name": "x", "shape": {"shape": "sqare", "side": 1}},
            "desk.toml: shape.shape: was 'sqare', must be one of square, circle. "
            "Did you mean square?",
        ),
        (
            {"name": "x", "shape": {"side": 1}},
            "desk.toml: shape: key 'shape' is missing, must be one of square, circle.",
        ),
        (
            {"name": "x", "shape": {"shape": "circle", "raduis": 1}},
            "desk.toml: shape: unknown key 'raduis', did you mean 'radius'?",
        ),
        (
            {"name": "x", "shapes": [{"shape": "square", "sied": 1}]},
            "desk.toml: shapes[0]: unknown key 'sied', did you mean 'side'?",
        ),
        (
            {"name": "x", "shape": {"shape": "square", "side": 0}},
            "desk.toml: shape.side: was 0, must be float > 0.0.",
        ),
        (
            {"name": "bad"},
            "desk.toml: name was 'bad', must be good.",
        ),
    ],
)
def test_refusal_names_path_found_wanted_and_nearest(data: Any, paragraph: str) -> None:
    assert refused(data) == paragraph


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize(
    ("wrap", "path"),
    [
        (lambda v: {"name": "x", "inner": {"limit_frac": v}}, "inner.limit_frac"),
        (lambda v: {"name": "x", "several": [{}, {"limit_frac": v}]}, "several[1].limit_frac"),
        (lambda v: {"name": "x", "shape": {"shape": "square", "side": v}}, "shape.side"),
    ],
)
def test_number_that_is_not_finite_is_refused(value: float, wrap: Any, path: str) -> None:
    assert refused(wrap(value)) == f"desk.toml: {path}: was {value}, must be a finite number."


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda child: (
            st.lists(child, max_size=3)
            | st.dictionaries(
                st.sampled_from(["name", "inner", "several", "shape", "key", "count", "x"]),
                child,
                max_size=4,
            )
        ),
        max_leaves=8,
    )
)
def test_anything_is_decoded_or_refused_in_one_paragraph(data: Any) -> None:
    paragraph = ""
    try:
        decode(data, Outer, "desk.toml")
    except ConfigError as e:
        paragraph = str(e)
    fits = isinstance(data, dict) and isinstance(data.get("name"), str) and len(data) == 1
    assert not (fits and paragraph)
    assert paragraph == "" or (paragraph.startswith("desk.toml") and paragraph[-1] in ".?")


def test_encode_gives_back_what_was_decoded() -> None:
    data = {
        "name": "x",
        "class": "c:D",
        "inner": {"count": 3, "mode": "closed", "limit_frac": 0.5},
        "shape": {"shape": "square", "side": 2.0},
        "key": "env:API_KEY",
    }
    outer = decode(data, Outer, "desk.toml")
    plain = encode(outer)
    assert {k: plain[k] for k in data} == data
    assert decode(plain, Outer, "desk.toml") == outer


def test_secret_is_a_reference_that_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "hunter2")
    outer = decode({"name": "x", "key": "env:API_KEY"}, Outer, "desk.toml")
    assert outer.key is not None
    assert outer.key.reveal() == "hunter2"
    assert outer.key == Secret("env:API_KEY") != Secret("env:OTHER")
    assert hash(outer.key) == hash(Secret("env:API_KEY"))
    shown = repr(outer) + str(outer) + json.dumps(encode(outer))
    assert "hunter2" not in shown
    assert "env:API_KEY" in shown


@pytest.mark.parametrize("pasted", ["hunter2", "env:", "env:1X", "env:A B", "ENV:A", "env:A\n"])
def test_pasted_secret_is_refused_and_not_repeated(pasted: str) -> None:
    paragraph = refused({"name": "x", "key": pasted})
    assert "env:NAME" in paragraph
    assert "hunter2" not in paragraph


def test_secret_of_another_type_is_refused() -> None:
    assert "must be a text such as env:NAME" in refused({"name": "x", "key": 3})


@pytest.mark.parametrize("value", [None, ""])
def test_secret_without_its_variable_says_how_to_set_it(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("NO_SUCH_KEY", value)
    with pytest.raises(ConfigError, match=r"export NO_SUCH_KEY="):
        Secret("env:NO_SUCH_KEY").reveal()


def test_secret_in_a_file_is_read_without_the_blanks_around_it(tmp_path: Path) -> None:
    path = tmp_path / "key with a blank"
    path.write_text("  hunter2\n")
    assert Secret(f"file:{path}").reveal() == "hunter2"


@pytest.mark.parametrize("content", [None, " \n"])
def test_secret_file_that_is_missing_or_empty_is_said(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        Secret(f"file:{path}").reveal()
    assert str(path) in str(caught.value)


def test_schema_describes_every_key_for_editors() -> None:
    made = schema(Outer)
    outer = made["$defs"]["Outer"]
    assert set(outer["properties"]) == set(Outer.__struct_encode_fields__)
    assert outer["additionalProperties"] is False
    assert outer["required"] == ["name"]
    assert made["$defs"]["Inner"]["properties"]["mode"]["enum"] == ["closed", "open"]
    key = outer["properties"]["key"]["anyOf"]
    pattern = "^(env:[A-Za-z_][A-Za-z0-9_]*|file:\\S.*)$"
    assert {"type": "string", "pattern": pattern} in key
    json.dumps(made)


def test_type_that_settings_cannot_hold_is_refused() -> None:
    class Odd(Settings, frozen=True):
        thing: complex

    with pytest.raises(TypeError, match="cannot hold"):
        schema(Odd)
    with pytest.raises(ConfigError, match="thing: settings cannot hold"):
        decode({"thing": 1}, Odd, "desk.toml")
    with pytest.raises(TypeError, match="cannot hold"):
        encode(Odd(thing=1j))


def test_nearest_word_is_found_only_if_it_is_near() -> None:
    known = ["fast", "slow", "direction"]
    assert nearest("fats", known) == "fast"
    assert nearest("directon", known) == "direction"
    assert nearest("zzz", known) is None
    assert nearest("x", []) is None
