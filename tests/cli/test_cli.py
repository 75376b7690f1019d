"""The command line as a person and as a script meets it: help, answers, errors, exit codes."""

from __future__ import annotations

import errno
import importlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from aitb_nautilus import __version__
from aitb_nautilus.cli import VERBS, VerbGroup, main
from aitb_nautilus.cli.plumbing import emit, json_option, run
from aitb_nautilus.errors import (
    AitbError,
    ConfigError,
    DataError,
    HaltedError,
    ModelError,
    RunError,
    UsageError,
)

PARAGRAPH = ConfigError("desk.toml: risk.max", "was -3", "must be at least 1", "Write 1 or more")


def group_of(function: Callable[..., Any]) -> click.Group:
    """Return a command line whose one verb, `work`, does what a test wants, with --json."""
    group = click.Group("aitb", context_settings={"help_option_names": ["-h", "--help"]})
    group.add_command(click.command("work")(json_option(function)))
    return group


def raising(error: BaseException) -> click.Group:
    """Return a command line whose verb raises."""

    def work(as_json: bool) -> None:
        raise error

    return group_of(work)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (AitbError, 1),
        (RunError, 1),
        (UsageError, 2),
        (ConfigError, 3),
        (DataError, 4),
        (ModelError, 5),
        (HaltedError, 6),
    ],
)
def test_each_error_leaves_with_its_exit_code_and_one_paragraph(
    kind: type[AitbError], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    error = kind("bars", "were missing", "must be there", "Import them")
    assert run(raising(error), ["work"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "error: bars: were missing, must be there. Import them.\n"


def test_error_with_json_is_the_one_object_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(raising(PARAGRAPH), ["work", "--json"]) == 3
    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "error": {
            "where": "desk.toml: risk.max",
            "found": "was -3",
            "wanted": "must be at least 1",
            "todo": "Write 1 or more",
            "exit_code": 3,
        }
    }
    assert err.count("\n") == 1


def test_error_after_the_answer_adds_no_second_object(capsys: pytest.CaptureFixture[str]) -> None:
    def work(as_json: bool) -> None:
        emit({"run_id": "r1", "status": "failed"}, as_json, lambda: None)
        raise RunError("run r1", "ended early")

    assert run(group_of(work), ["work", "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out) == {"run_id": "r1", "status": "failed"}
    assert err == "error: run r1: ended early.\n"


def test_two_answers_of_one_verb_are_a_defect(capsys: pytest.CaptureFixture[str]) -> None:
    def work(as_json: bool) -> None:
        emit({"first": 1}, as_json, lambda: None)
        emit({"second": 2}, as_json, lambda: None)

    assert run(group_of(work), ["work", "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out) == {"first": 1}
    assert "this is a defect in AITB" in err


@pytest.mark.parametrize("words", [["--debug", "work"], ["work", "--debug"]])
def test_debug_before_or_after_the_verb_shows_the_traceback(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(raising(PARAGRAPH), words) == 3
    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err
    assert err.endswith(f"error: {PARAGRAPH.paragraph()}\n")


def test_unexpected_exception_is_called_a_defect_without_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(raising(ZeroDivisionError("division by zero")), ["work"]) == 1
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert (
        "this is a defect in AITB, not in your input (ZeroDivisionError: division by zero)" in err
    )
    assert "--debug" in err


def test_full_disk_names_the_file_and_is_no_defect(capsys: pytest.CaptureFixture[str]) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "runs/r1/fills.parquet")
    assert run(raising(full), ["work"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: runs/r1/fills.parquet: no space left on device, ")
    assert "defect" not in err


def test_ctrl_c_says_interrupted_and_leaves_as_shells_have_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(raising(KeyboardInterrupt()), ["work", "--json"]) == 130
    out, err = capsys.readouterr()
    assert json.loads(out)["error"]["found"] == "interrupted"
    assert "error: aitb: interrupted." in err


@pytest.mark.parametrize("place", ["click", "rich/console", "aitb_nautilus_desk_part"])
def test_ctrl_c_while_something_is_imported_says_one_line(place: str, tmp_path: Path) -> None:
    """The command line itself, a part of it, or a module that a config names."""
    begun = tmp_path / "begun"
    slow = tmp_path / f"{place}.py"
    slow.parent.mkdir(exist_ok=True)
    (slow.parent / "__init__.py").touch()
    slow.write_text(f"import pathlib, time\npathlib.Path({str(begun)!r}).touch()\ntime.sleep(60)\n")
    (tmp_path / "desk.toml").write_text(
        "[risk]\nmax_order_notional = 1\nmax_position_notional = 1\nprice_band_frac = 0.1\n"
        "[[venues]]\nname = 'SIM'\nstarting_balance = '1 USDT'\nmaker_fee_bps = 0\n"
        "taker_fee_bps = 0\n[[strategies]]\nclass = 'aitb_nautilus_desk_part:A'\nid = 'a'\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-m", "aitb_nautilus", "live", "desk.toml"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={"PATH": "", "PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}"},
    )
    until = time.monotonic() + 60
    while not begun.exists():
        assert child.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130, err
    assert err.strip() == "error: aitb: interrupted. Run the same command again to start over."
    assert out == ""


@pytest.mark.parametrize(
    ("words", "where", "found", "wanted"),
    [
        (["bactest"], "aitb", "no such verb 'bactest'", "did you mean backtest?"),
        (["zzz"], "aitb", "no such verb 'zzz'", "known verbs are " + ", ".join(VERBS)),
        (["data", "improt"], "aitb data", "no such verb 'improt'", "did you mean import?"),
        (["--versoin"], "aitb", "no such option --versoin", "did you mean --version?"),
    ],
)
def test_misspelt_command_line_leaves_with_two_and_the_nearest_word(
    words: list[str],
    where: str,
    found: str,
    wanted: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*words, "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["where"], error["found"], error["wanted"]) == (where, found, wanted)
    assert error["todo"] == f"See: {where} --help"


def test_missing_argument_names_the_verb_and_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    group = click.Group("aitb")
    group.add_command(click.Command("work", params=[click.Argument(["config"])]))
    assert run(group, ["work"]) == 2
    assert capsys.readouterr().err == (
        "error: aitb work: missing argument 'CONFIG'. See: aitb work --help.\n"
    )


def test_words_after_two_dashes_are_the_users_own(capsys: pytest.CaptureFixture[str]) -> None:
    group = click.Group("aitb")
    echo = click.Command("echo", params=[click.Argument(["words"], nargs=-1)], callback=print_words)
    group.add_command(echo)
    assert run(group, ["echo", "--", "--debug", "--json"]) == 0
    assert capsys.readouterr().out == "--debug --json\n"


def print_words(words: tuple[str, ...]) -> None:
    """Print the arguments of a verb."""
    click.echo(" ".join(words))


def test_verb_chooses_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    def work(as_json: bool) -> None:
        emit({"defects": 3}, as_json, lambda: None)
        click.get_current_context().exit(4)

    assert run(group_of(work), ["work", "--json"]) == 4
    out, err = capsys.readouterr()
    assert json.loads(out) == {"defects": 3}
    assert err == ""


def test_json_answer_holds_paths_as_text_and_nan_as_null(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def work(as_json: bool) -> None:
        emit(
            {"path": Path("runs/r1"), "sharpe": float("nan"), "name": "Zürich"},
            as_json,
            lambda: None,
        )

    assert run(group_of(work), ["work", "--json"]) == 0
    out = capsys.readouterr().out
    assert json.loads(out) == {"path": "runs/r1", "sharpe": None, "name": "Zürich"}
    assert out.count("\n") == 1


def test_without_json_a_person_is_answered(capsys: pytest.CaptureFixture[str]) -> None:
    def work(as_json: bool) -> None:
        emit({"rows": 2}, as_json, lambda: click.echo("two rows"))

    assert run(group_of(work), ["work"]) == 0
    assert capsys.readouterr().out == "two rows\n"


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"aitb-nautilus {__version__}\n"


def test_no_verb_shows_the_overview_and_leaves_with_two(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Usage: aitb" in err


@pytest.mark.parametrize("columns", ["80", "120"])
def test_overview_lists_every_verb_and_imports_none(columns: str) -> None:
    script = (
        "import sys; from aitb_nautilus.cli import main; code = main(['--help']); "
        "slow = {'nautilus_trader', 'numpy', 'pandas', 'plotly', 'ccxt', 'pyarrow', 'duckdb'}; "
        "print('IMPORTED', sorted(slow & set(sys.modules)), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={"COLUMNS": columns, "PATH": ""},
        cwd=Path(__file__).parents[2],
        check=True,
    )
    assert done.stderr == "IMPORTED []\n"
    for verb, line in VERBS.items():
        assert f"  {verb}" in done.stdout
        assert line in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= int(columns)


@pytest.mark.parametrize("verb", VERBS)
def test_one_line_help_is_the_one_in_the_overview(verb: str) -> None:
    module = importlib.import_module(f"aitb_nautilus.cli.{verb.replace('-', '_')}")
    command = module.command
    assert command.name == verb
    assert command.get_short_help_str(limit=200) == VERBS[verb]
    if isinstance(command, VerbGroup):
        for name, line in command.verbs.items():
            child = command.get_command(click.Context(command), name)
            assert child is not None
            assert child.name == name
            assert child.get_short_help_str(limit=200) == line


def leaves(command: click.Command, path: str) -> list[tuple[str, click.Command]]:
    """Return every command under this one that does something."""

    if not isinstance(command, click.Group):
        return [(path, command)]
    context = click.Context(command)
    children = {name: command.get_command(context, name) for name in command.list_commands(context)}
    return [leaf for n, child in children.items() if child for leaf in leaves(child, f"{path} {n}")]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_takes_json_and_explains_itself(verb: str) -> None:
    module = importlib.import_module(f"aitb_nautilus.cli.{verb.replace('-', '_')}")
    for path, command in leaves(module.command, verb):
        options = {o: p for p in command.params for o in p.opts}
        assert "--json" in options, f"aitb {path} lacks --json"
        assert command.help, f"aitb {path} has no help"
        unexplained = [
            p.opts[0] for p in command.params if isinstance(p, click.Option) and not p.help
        ]
        assert not unexplained, f"aitb {path}: {unexplained} have no help"


def test_reader_that_goes_away_is_no_error() -> None:
    script = (
        "import click, sys; from aitb_nautilus.cli.plumbing import run; g = click.Group('aitb'); "
        "g.add_command(click.Command('work', callback=lambda: [print(i) for i in range(99999)])); "
        "sys.exit(run(g, ['work']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"0\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 1


def test_module_and_script_are_one_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "aitb_nautilus", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"aitb-nautilus {__version__}\n"


def test_package_of_the_extra_that_is_missing_is_named_with_its_remedy(
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = ModuleNotFoundError("No module named 'lightgbm'", name="lightgbm")
    assert run(raising(error), ["work"]) == 1
    assert "pip install 'aitb-nautilus[train]'" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["live", "paper"])
def test_node_takes_arrows_memory_from_the_system(verb: str) -> None:
    program = (
        "from aitb_nautilus.cli import aitb\n"
        f"aitb.get_command(None, {verb!r})\n"
        "import pyarrow\n"
        "print(pyarrow.default_memory_pool().backend_name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "system"
