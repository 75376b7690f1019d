"""What every verb shares: ``--json``, printing, and the way from an error to an exit code.

A verb prints its answer with `emit` and raises `AitbError` when it cannot go on. `run` turns what
was raised into one paragraph on stderr and an exit code; with ``--json`` the error is also the one
JSON object on stdout.
"""

from __future__ import annotations

import errno
import numbers
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.text import Text

from aitb_nautilus.errors import AitbError, StoppedError, UsageError
from aitb_nautilus.settings import nearest

__all__ = ["console", "emit", "json_option", "progress_console", "run"]

_EMITTED = "aitb.emitted"
# The machine refused to write; the program is not at fault and the user can act.
_TRAIN_PACKAGES = {"lightgbm", "sklearn", "scipy", "threadpoolctl"}
_DISK_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG}


def json_option[F: Callable[..., Any]](function: F) -> F:
    """Add ``--json`` to a verb; it arrives as the argument ``as_json: bool``."""
    return click.option(
        "--json",
        "as_json",
        is_flag=True,
        help="Print one JSON object on stdout and nothing else there.",
    )(function)


def console() -> Console:
    """Return a console that prints for people on stdout.

    Made anew at each call, because tests and launchers may exchange ``sys.stdout``.
    """
    return Console(file=sys.stdout, highlight=False)


def progress_console() -> Console:
    """Return a console on stderr, for progress bars, logs and errors."""
    return Console(file=sys.stderr, highlight=False)


def emit(obj: Mapping[str, Any], as_json: bool, human: Callable[[], None]) -> None:
    """Print the answer of a verb: one JSON object, or what a person wants to read.

    Parameters
    ----------
    obj
        The answer as plain data. Paths become texts; NaN and infinity, which JSON lacks, become
        null.
    as_json
        Whether ``--json`` was given.
    human
        Called without arguments when a person reads.

    Raises
    ------
    RuntimeError
        If one command emits twice: a reader of stdout expects exactly one object.
    """
    context = click.get_current_context(silent=True)
    if context is not None:
        state = context.find_root().ensure_object(dict)
        if state.get(_EMITTED):
            raise RuntimeError("a verb emitted two answers")
        state[_EMITTED] = True
    if as_json:
        _print_json(obj)
    else:
        human()


def run(group: click.Group, argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code.

    Parameters
    ----------
    group
        The top of the command line.
    argv
        The words after ``aitb``; by default those of the process. ``--debug`` is accepted anywhere
        before a ``--``.

    Returns
    -------
    int
        0 done, 1 failed, 2 usage, 3 config, 4 data, 5 model, 6 halted by risk, 130 stopped by
        Ctrl-C before a run had begun. A verb that returns an int, or leaves with ``ctx.exit(n)``,
        chooses its own.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    end = words.index("--") if "--" in words else len(words)
    debug = "--debug" in words[:end]
    as_json = "--json" in words[:end]
    words = [word for word in words[:end] if word != "--debug"] + words[end:]
    state: dict[str, bool] = {}
    try:
        answer = group.main(args=words, prog_name="aitb", standalone_mode=False, obj=state)
        sys.stdout.flush()
        return answer if isinstance(answer, int) else 0
    except click.exceptions.NoArgsIsHelpError as e:
        click.echo(e.format_message(), err=True)
        return e.exit_code
    except BrokenPipeError as e:
        if _stdout_is_closed():
            return 1
        return _report(e, debug=debug, as_json=as_json, state=state)
    except Exception as e:
        return _report(e, debug=debug, as_json=as_json, state=state)


def _report(error: Exception, *, debug: bool, as_json: bool, state: Mapping[str, bool]) -> int:
    """Print an error as one paragraph, and as JSON if that was asked for; return the exit code."""
    known = _known(error)
    if debug:
        sys.stderr.write("".join(traceback.format_exception(error)))
    err = progress_console()
    paragraph = Text.assemble(("error: ", "bold red"), known.paragraph())
    # Piped into a file or a log, one paragraph is one line: it can be searched.
    err.print(paragraph, soft_wrap=not err.is_terminal)
    if as_json and not state.get(_EMITTED):
        _print_json(
            {
                "error": {
                    "where": known.where,
                    "found": known.found,
                    "wanted": known.wanted,
                    "todo": known.todo,
                    "exit_code": known.exit_code,
                }
            }
        )
    return known.exit_code


def _known(error: Exception) -> AitbError:  # noqa: PLR0911 - one answer a kind of error
    """Return what was raised as an error that a user can act on."""
    match error:
        case AitbError():
            return error
        case click.Abort():
            return StoppedError.at_once()
        case click.ClickException():
            if isinstance(error, click.UsageError):
                return _usage(error)
            return AitbError("aitb", error.format_message())
        case ModuleNotFoundError() if error.name in _TRAIN_PACKAGES:
            return _not_installed(error.name)
        case OSError() if error.errno in _DISK_ERRNOS:
            return AitbError(
                str(error.filename or "writing a file"),
                (error.strerror or str(error)).lower(),
                "must be a place with free space where you may write",
                "Make room or choose another folder, then run the same command again",
            )
    found = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return AitbError(
        "aitb",
        f"this is a defect in AITB, not in your input ({found})",
        todo="Run the same command with --debug to see the traceback, and report it",
    )


def _not_installed(package: str) -> AitbError:
    return AitbError(
        "aitb train",
        f"the package {package} is not installed",
        "training needs it",
        "Install it with: pip install 'aitb-nautilus[train]'",
    )


def _usage(error: click.UsageError) -> UsageError:
    """Return an error of the command line, with the nearest verb or option that exists."""
    context = error.ctx
    where = context.command_path if context else "aitb"
    wanted = ""
    match error:
        case click.NoSuchOption():
            found = f"no such option {error.option_name}"
            known = [o for p in context.command.params for o in p.opts] if context else []
            wanted = _did_you_mean(error.option_name, known)
        case click.NoSuchCommand():
            found = f"no such verb {error.command_name!r}"
            if context and isinstance(context.command, click.Group):
                wanted = _did_you_mean(
                    error.command_name, context.command.list_commands(context), "verbs"
                )
        case _:
            message = error.format_message()
            found = (message[:1].lower() + message[1:]).rstrip(".")
    return UsageError(where, found, wanted, f"See: {where} --help")


def _did_you_mean(word: str, known: Sequence[str], kind: str = "") -> str:
    close = nearest(word, known)
    if close:
        return f"did you mean {close}?"
    return f"known {kind} are {', '.join(known)}" if kind else ""


def _print_json(obj: Mapping[str, Any]) -> None:
    # Bytes in UTF-8 whatever the locale: JSON is UTF-8.
    text = msgspec.json.encode(obj, enc_hook=_plain).decode()
    click.echo(text)


def _plain(value: Any) -> Any:
    """Turn what JSON does not know into what it knows."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    raise TypeError(f"JSON cannot hold {type(value).__name__}")


def _stdout_is_closed() -> bool:
    """Return whether the reader of stdout went away (``aitb data list | head -1``)."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more at exit; give it somewhere to write.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False
