"""The base of every settings struct, and the decoder that explains what is wrong.

A settings struct is frozen, takes keywords only, and refuses keys that it does not know. Units
stand in the field's name (``max_drawdown_frac``, ``fee_bps``, ``horizon_ns``). ``None`` means
absent. A pattern says in its ``description`` what it wants, and gives an example: the user reads
these and never the pattern.
"""

from __future__ import annotations

import difflib
import math
import os
import re
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from aitb_nautilus.errors import ConfigError

__all__ = [
    "ContradictionError",
    "Secret",
    "Settings",
    "decode",
    "encode",
    "nearest",
    "schema",
    "schemas",
]


class _KeywordsOnly(msgspec.StructMeta):
    """Hand `kw_only` down to every subclass; msgspec alone keeps it to the class that says it."""

    def __new__(
        mcs, name: str, bases: tuple[type, ...], body: dict[str, Any], **options: Any
    ) -> Any:
        return super().__new__(mcs, name, bases, body, **({"kw_only": True} | options))


class Settings(msgspec.Struct, metaclass=_KeywordsOnly, frozen=True, forbid_unknown_fields=True):
    """Base of every settings struct: frozen, keywords only, unknown keys are errors."""


class ContradictionError(ValueError):
    """What a struct raises in ``__post_init__`` if its settings cannot hold together.

    `decode` makes the paragraph of it, with the file and the path in front.

    Parameters
    ----------
    key
        Which setting, from the struct on: ``rules[0].max_leverage``.
    found, wanted, todo
        As of `AitbError`.
    """

    def __init__(self, key: str, found: str, wanted: str, todo: str = "") -> None:
        self.key = key
        self.found = found
        self.wanted = wanted
        self.todo = todo
        super().__init__(f"{key} {found}, {wanted}")


class Secret:
    """A reference to a secret, ``env:NAME`` or ``file:PATH``; the secret itself is never printed.

    Parameters
    ----------
    reference
        ``env:`` and the name of an environment variable, or ``file:`` and the path of a file; it
        holds the secret and nothing else, blanks and line ends around it do not count.

    Raises
    ------
    ValueError
        If the text is no such reference.
    """

    __slots__ = ("reference",)

    _PATTERN = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:[^\s].*")

    def __init__(self, reference: str) -> None:
        if not self._PATTERN.fullmatch(reference):
            # The text itself is not repeated: somebody may have pasted the secret.
            raise ValueError(
                "must be a reference such as env:NAME or file:PATH, never the secret itself; "
                "put the secret into an environment variable and name that variable here"
            )
        self.reference = reference

    def reveal(self) -> str:
        """Return the secret itself.

        Raises
        ------
        ConfigError
            If the environment variable is not set or empty, or the file cannot be read or is empty.
        """
        kind, _, name = self.reference.partition(":")
        if kind == "file":
            return self._read(Path(name).expanduser())
        value = os.environ.get(name, "").strip()
        if not value:
            raise ConfigError(
                f"secret {self.reference}",
                f"the environment variable {name} is not set, or empty",
                "must hold the secret",
                f"Set it before the start: export {name}=VALUE",
            )
        return value

    def _read(self, path: Path) -> str:
        try:
            value = path.read_text().strip()
        except (OSError, UnicodeDecodeError) as e:
            raise ConfigError(
                f"secret {self.reference}",
                f"could not be read ({type(e).__name__})",
                "must be a file that holds the secret and that you may read",
            ) from e
        if not value:
            raise ConfigError(f"secret {self.reference}", "is empty", "must hold the secret")
        return value

    def __repr__(self) -> str:
        return f"Secret({self.reference!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.reference == self.reference

    def __hash__(self) -> int:
        return hash(self.reference)


def decode[T](data: Any, type_: type[T], where: str, path: str = "") -> T:
    """Turn plain TOML data into a settings struct, or say exactly what is wrong.

    Parameters
    ----------
    data
        Plain data as `tomllib` gives it.
    type_
        The struct to build.
    where
        What the error names first: the file.
    path
        Where in the file this part stands, such as ``strategies[0].params``.

    Raises
    ------
    ConfigError
        For an unknown key, a wrong type, an impossible value or a number that is not finite. Names
        the path, what was found, what was wanted, and the nearest known key.
    """
    _refuse_non_finite(data, where, path)
    try:
        return msgspec.convert(data, type_, dec_hook=_decode_hook)
    except msgspec.ValidationError as e:
        raise _explain(e, data, type_, where, path) from e


def encode(settings: Any) -> Any:
    """Return settings as plain data: dicts, lists, numbers and texts. Secrets stay references."""
    return msgspec.to_builtins(settings, enc_hook=_encode_hook)


def schema(type_: type) -> dict[str, Any]:
    """Return the JSON schema of a settings struct."""
    return msgspec.json.schema(type_, schema_hook=_schema_hook)


def schemas(types: Sequence[type]) -> list[dict[str, Any]]:
    """Return the JSON schemas of several settings structs.

    The first holds the definitions of all, the others only refer to them.
    """
    parts, definitions = msgspec.json.schema_components(
        types, ref_template="#/$defs/{name}", schema_hook=_schema_hook
    )
    first, *others = parts
    return [{**first, "$defs": definitions}, *others]


def nearest(word: str, known: Sequence[str]) -> str | None:
    """Return the known word that looks most like `word`, or None if none is close."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return close[0] if close else None


def _decode_hook(type_: type, value: Any) -> Any:
    if type_ is Secret:
        if not isinstance(value, str):
            raise ValueError("must be a text such as env:NAME or file:PATH")
        return Secret(value)
    raise TypeError(f"settings cannot hold {type_!r}")


def _encode_hook(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.reference
    raise TypeError(f"settings cannot hold {type(value)!r}")


def _schema_hook(type_: type) -> dict[str, Any]:
    if type_ is Secret:
        return {"type": "string", "pattern": "^(env:[A-Za-z_][A-Za-z0-9_]*|file:\\S.*)$"}
    raise TypeError(f"settings cannot hold {type_!r}")


def _refuse_non_finite(data: Any, where: str, path: str) -> None:
    if isinstance(data, float) and not math.isfinite(data):
        raise ConfigError(f"{where}: {path}", f"was {data}", "must be a finite number")
    if isinstance(data, Mapping):
        for key, value in data.items():
            _refuse_non_finite(value, where, f"{path}.{key}" if path else str(key))
    elif isinstance(data, list):
        for i, value in enumerate(data):
            _refuse_non_finite(value, where, f"{path}[{i}]")


_AT = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<key>.*)`")
_INVALID = re.compile(r"Invalid (?:enum )?value ")
_MISSING = re.compile(r"Object missing required field `(?P<key>.*)`")
_EXPECTED = re.compile(r"Expected (?P<wanted>.*?)(?:, got (?P<got>.*))?$", re.DOTALL)


def _explain(
    error: msgspec.ValidationError, data: Any, type_: type, where: str, prefix: str
) -> ConfigError:
    """Rewrite msgspec's message as our paragraph."""
    message = str(error)
    match = _AT.match(message)
    what = match["what"] if match else message
    steps = _steps((match and match["path"]) or "$")
    inner = "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in steps)
    path = f"{prefix}{inner}".lstrip(".")
    here = f"{where}: {path}" if path else where
    if isinstance(cause := error.__cause__, ContradictionError):
        place = f"{here}.{cause.key}" if path else f"{here}: {cause.key}"
        return ConfigError(place, cause.found, cause.wanted, cause.todo)

    at = _type_at(type_, data, steps)
    if unknown := _UNKNOWN.match(what):
        known = list(at.__struct_encode_fields__) if _is_struct(at) else []
        return ConfigError(here, f"unknown key {unknown['key']!r}", _did_you_mean(unknown, known))
    if missing := _MISSING.match(what):
        kinds = _tags(at)
        wanted = f"must be one of {', '.join(kinds)}" if kinds else "it has no default"
        return ConfigError(here, f"key {missing['key']!r} is missing", wanted)
    if _INVALID.match(what):
        found = _value_at(data, steps)
        known = _tags(_type_at(type_, data, steps[:-1])) or [str(c) for c in typing.get_args(at)]
        wanted = f"must be one of {', '.join(known)}"
        close = nearest(str(found), known)
        return ConfigError(
            here, f"was {found!r}", wanted, f"Did you mean {close}?" if close else ""
        )
    if expected := _EXPECTED.match(what):
        wanted = expected["wanted"].replace("`", "").replace(" | null", "")
        if "matching regex" in wanted:
            wanted = _in_words(_hint_at(type_, data, steps)) or wanted
        return ConfigError(here, f"was {_value_at(data, steps)!r}", f"must be {wanted}")
    return ConfigError(here, what[:1].lower() + what[1:])


def _did_you_mean(unknown: re.Match[str], known: Sequence[str]) -> str:
    close = nearest(unknown["key"], known)
    return f"did you mean {close!r}?" if close else f"known keys are {', '.join(known)}"


def _steps(path: str) -> list[str | int]:
    """Split msgspec's path ``$.strategies[0].params`` into its steps."""
    return [
        int(index) if index else key
        for key, index in re.findall(r"\.([^.\[\]]+)|\[(\d+)\]", path.removeprefix("$"))
    ]


def _value_at(data: Any, steps: Sequence[str | int]) -> Any:
    for step in steps:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return data
    return data


def _in_words(hint: Any) -> str:
    """Return what a pattern's description and examples say is wanted, or nothing."""
    for meta in getattr(hint, "__metadata__", ()):
        if isinstance(meta, msgspec.Meta) and meta.pattern and meta.description:
            example = f", such as {meta.examples[0]!r}" if meta.examples else ""
            return f"{meta.description}{example}"
    return next(filter(None, map(_in_words, typing.get_args(hint))), "")


def _type_at(type_: Any, data: Any, steps: Sequence[str | int]) -> Any:
    """Return the type that is wanted at a path; where several are, the one that the data name."""
    at = _value_at(data, steps) if steps else data
    return _member(_hint_at(type_, data, steps), at)


def _hint_at(type_: Any, data: Any, steps: Sequence[str | int]) -> Any:
    """Return what the field at a path is annotated with."""
    for step in steps:
        type_ = _member(type_, data)
        origin = typing.get_origin(type_)
        if _is_struct(type_):
            names = dict(zip(type_.__struct_encode_fields__, type_.__struct_fields__, strict=True))
            hints = typing.get_type_hints(type_, include_extras=True)
            type_ = hints.get(names.get(str(step), ""), Any)
        elif origin is dict:
            type_ = typing.get_args(type_)[1]
        elif origin in (list, tuple):
            type_ = typing.get_args(type_)[0]
        data = _value_at(data, [step])
    return type_


def _member(type_: Any, data: Any) -> Any:
    """Take aliases, `Annotated` and `| None` off a type; of tagged structs, choose by the tag."""
    while True:
        origin = typing.get_origin(type_)
        if isinstance(type_, typing.TypeAliasType):
            type_ = type_.__value__
        elif origin is typing.Annotated:
            type_ = typing.get_args(type_)[0]
        elif origin in (typing.Union, types.UnionType):
            members = [a for a in typing.get_args(type_) if a is not type(None)]
            named = [m for m in members if _tag(m) is not None and _tag(m) == _tag_in(data, m)]
            if len(members) > 1 and len(named) != 1:
                return type_
            type_ = (named or members)[0]
        else:
            return type_


def _tags(type_: Any) -> list[str]:
    """Return the tags of the structs that a type may be, or nothing if they have none."""
    return [str(_tag(m)) for m in typing.get_args(type_) if _tag(m) is not None]


def _tag(type_: Any) -> str | int | None:
    return type_.__struct_config__.tag if _is_struct(type_) else None


def _tag_in(data: Any, type_: Any) -> Any:
    return data.get(type_.__struct_config__.tag_field) if isinstance(data, Mapping) else None


def _is_struct(type_: Any) -> bool:
    return isinstance(type_, type) and issubclass(type_, msgspec.Struct)
