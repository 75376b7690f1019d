from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from aitb_nautilus.errors import ModelError
from aitb_nautilus.models.manifest import (
    Calibration,
    Contract,
    Fold,
    Input,
    Label,
    Manifest,
    ModelFile,
    Output,
    Probe,
    Span,
    Training,
    decode,
    encode,
)
from aitb_nautilus.models.references import Reference

TIMES = st.integers(0, 2**62)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
FLOAT32S = st.floats(width=32, allow_nan=False, allow_infinity=False)
TEXTS = st.text(min_size=1, max_size=20)
SHA256S = st.text("0123456789abcdef", min_size=64, max_size=64)
SPANS = st.tuples(TIMES, TIMES).map(lambda t: Span(first_ns=min(t), last_ns=max(t)))
METRICS = st.dictionaries(TEXTS, st.none() | FLOATS, max_size=4)
FOLDS = st.builds(Fold, train=SPANS, test=SPANS, metrics=METRICS)
LABELS = st.builds(
    Label,
    horizon_bars=st.integers(1, 10**6),
    horizon_ns=st.integers(1, 2**62),
    parameters=st.dictionaries(TEXTS, FLOATS, max_size=3),
)
TRAININGS = st.builds(
    Training,
    span=SPANS,
    data_sha256=SHA256S,
    folds=st.lists(FOLDS, max_size=3).map(tuple),
    purge_ns=TIMES,
    embargo_ns=TIMES,
    trials=st.integers(1, 10**6),
    calibration=st.none() | st.builds(Calibration, span=st.none() | SPANS),
    parameters=st.dictionaries(
        TEXTS, st.none() | st.booleans() | st.integers(-(2**60), 2**60) | FLOATS | TEXTS
    ),
    importance=st.dictionaries(TEXTS, FLOATS, max_size=3),
    config_sha256=st.none() | SHA256S,
)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    features = tuple(draw(st.lists(TEXTS, min_size=1, max_size=4, unique=True)))
    created = draw(TIMES)
    row = st.tuples(*[FLOAT32S] * len(features))
    return Manifest(
        format="aitb-bundle-1",
        id=draw(st.from_regex(r"\A[a-z0-9][a-z0-9_-]{0,20}\Z")),
        version=draw(st.integers(1, 10**8)),
        created_ns=created,
        model=ModelFile(
            sha256=draw(SHA256S),
            size=draw(st.integers(0, 2**40)),
            ir_version=draw(st.integers(1, 99)),
            opsets=draw(st.dictionaries(TEXTS, st.integers(1, 99), max_size=3)),
            input=Input(name=draw(TEXTS), columns=len(features), dtype="float32"),
            outputs=(Output(name=draw(TEXTS), role="expected_return"),),
        ),
        contract=Contract(
            features=features,
            feature_fingerprint=draw(TEXTS),
            interval=draw(st.sampled_from(["1s", "1m", "5m", "1h", "1d"])),
            longest_gap_bars=draw(st.integers(0, 10**5)),
            instruments=tuple(draw(st.lists(TEXTS, min_size=1, max_size=3))),
            label=draw(LABELS),
        ),
        training=draw(TRAININGS),
        probes=tuple(
            draw(st.lists(st.builds(Probe, row=row, answers=st.tuples(FLOAT32S)), min_size=1))
        ),
        parent=draw(st.none() | st.integers(1, 99)),
        expires_ns=draw(st.none() | st.integers(created + 1, 2**63)),
        notes=draw(st.text(max_size=20)),
    )


@settings(max_examples=40)
@given(manifests())
def test_manifest_comes_back_from_its_text_and_its_text_from_it(manifest):
    text = encode(manifest)
    again = decode(text, "here")
    assert again == manifest
    assert encode(again) == text


@settings(max_examples=40)
@given(manifests())
def test_text_is_json_sorted_and_without_spaces(manifest):
    text = encode(manifest)
    plain = json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert len(text) <= len(plain.encode()) + 99  # but for how numbers and letters are spelled


@settings(max_examples=40)
@given(manifests(), st.data())
def test_any_other_spelling_of_the_same_is_refused(manifest, data):
    text = encode(manifest)
    at = data.draw(st.sampled_from([i for i, c in enumerate(text) if c in b",:{}"]))
    other = text[:at] + b" " + text[at:]
    if _inside_a_text(text, at):
        assert decode(other, "here") != manifest
    else:
        with pytest.raises(ModelError, match="canonical"):
            decode(other, "here")


def _inside_a_text(text: bytes, at: int) -> bool:
    quotes, escaped = 0, False
    for c in text[:at]:
        quotes += c == ord('"') and not escaped
        escaped = c == ord("\\") and not escaped
    return quotes % 2 == 1


def test_whole_numbers_become_floats_where_floats_are_meant():
    label = Label(kind="return", horizon_bars=1, horizon_ns=1, parameters={"cost_bps": 5})
    text = encode(_replaced(label=label))
    assert b'"cost_bps":5.0' in text
    assert decode(text, "here").contract.label == label


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Span(first_ns=2, last_ns=1), "end before it begins"),
        (lambda: Label(kind="sign", horizon_bars=0, horizon_ns=1), "at least one bar"),
        (lambda: _contract(features=("a", "a")), "stands there twice"),
        (lambda: _contract(features=()), "one or more"),
        (lambda: _contract(interval="60m"), "shortest spelling"),
        (lambda: _contract(interval="7m"), "does not divide"),
        (lambda: _contract(instruments=()), "must not be empty"),
        (lambda: _contract(longest_gap_bars=-1), "must not be negative"),
        (lambda: _replaced(parent=None, version=0), "version must be at least 1"),
    ],
)
def test_impossible_part_is_refused_when_it_is_made(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def _contract(**changes):
    told = {
        "features": ("a",),
        "feature_fingerprint": "f",
        "interval": "1m",
        "longest_gap_bars": 120,
        "instruments": ("BTCUSDT.BINANCE",),
        "label": Label(kind="sign", horizon_bars=1, horizon_ns=1),
    }
    return Contract(**{**told, **changes})


def _replaced(label=None, **changes):
    manifest = Manifest(
        format="aitb-bundle-1",
        id="m",
        version=changes.pop("version", 1),
        created_ns=0,
        model=ModelFile(
            sha256="0" * 64,
            size=1,
            ir_version=8,
            opsets={"ai.onnx": 17},
            input=Input(name="features", columns=1, dtype="float32"),
            outputs=(Output(name="probability", role="probability"),),
        ),
        contract=_contract(**({"label": label} if label else {})),
        training=Training(
            algorithm="mlp",
            simulated=False,
            span=Span(first_ns=0, last_ns=1),
            rows=1,
            data_sha256="0" * 64,
            folds=(),
            purge_ns=0,
            embargo_ns=0,
            seeds={},
            libraries={},
            trials=1,
        ),
        probes=(Probe(row=(0.0,), answers=(0.5,)),),
    )
    return msgspec.structs.replace(manifest, **changes)


@pytest.mark.parametrize("text", ["btc_up", "btc_up@3", "btc_up@production", "3@3", "a-b@x-1"])
def test_reference_comes_back_as_it_was_written(text):
    assert str(Reference.parse(text)) == text


@given(st.text(max_size=12))
def test_any_text_is_a_reference_or_refused_with_its_own_words(text):
    said = ""
    try:
        assert str(Reference.parse(text)) == text
    except ModelError as e:
        said = e.paragraph()
    assert not said or repr(text) in said


@pytest.mark.parametrize("text", ["m@latest", "m@newest", "m@Production", "m@0", "m@1@2", "m/../x"])
def test_reference_that_could_mislead_is_refused(text):
    with pytest.raises(ModelError, match="model reference"):
        Reference.parse(text)
