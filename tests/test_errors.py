"""Errors are one paragraph, and each kind has its exit code."""

from __future__ import annotations

import pytest

from aitb_nautilus import errors
from aitb_nautilus.errors import AitbError, ConfigError


def test_paragraph_says_where_found_wanted_and_what_to_do() -> None:
    error = ConfigError("btc.toml: risk", "was -3", "must be at least 1", "Raise it")
    assert str(error) == "btc.toml: risk: was -3, must be at least 1. Raise it."
    assert error.paragraph() == str(error)
    assert (error.where, error.found, error.wanted, error.todo) == (
        "btc.toml: risk",
        "was -3",
        "must be at least 1",
        "Raise it",
    )


@pytest.mark.parametrize(
    ("wanted", "todo", "paragraph"),
    [
        ("", "", "x: was 1."),
        ("must be 2.", "", "x: was 1, must be 2."),
        ("must be 2.", "Do it.", "x: was 1, must be 2. Do it."),
        ("did you mean 2?", "", "x: was 1, did you mean 2?"),
        ("did you mean 2?", "Or 3?", "x: was 1, did you mean 2? Or 3?"),
        ("", "Read the log", "x: was 1. Read the log."),
    ],
)
def test_paragraph_ends_each_sentence_once(wanted: str, todo: str, paragraph: str) -> None:
    assert str(AitbError("x", "was 1", wanted, todo)) == paragraph


def test_each_kind_has_the_exit_code_of_the_design() -> None:
    codes = {name: getattr(errors, name).exit_code for name in errors.__all__}
    assert codes == {
        "AitbError": 1,
        "RunError": 1,
        "UsageError": 2,
        "ConfigError": 3,
        "DataError": 4,
        "ModelError": 5,
        "HaltedError": 6,
        "StoppedError": 130,
    }


def test_every_error_is_caught_as_one_kind() -> None:
    assert all(issubclass(getattr(errors, name), AitbError) for name in errors.__all__)
