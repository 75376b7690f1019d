"""Compiled code: where it is kept, when it is made anew, and that it never raises or leaks."""

from __future__ import annotations

import ast
import linecache
import os
import stat
import subprocess
import sys
import textwrap
import types
from pathlib import Path

import numpy as np
import pytest

import aitb_nautilus.features
from aitb_nautilus.features import cache, compiled
from aitb_nautilus.features.engine import FeatureEngine
from aitb_nautilus.features.feature_set import parse_features
from aitb_nautilus.features.kernels import KERNELS
from aitb_nautilus.features.sources import called_functions, source_hash
from aitb_nautilus.features.windows.sums import block_place, window_sum
from tests.features import planted
from tests.features.feature_bars import market, same_bits

ROOT = Path(__file__).resolve().parents[2]

MODULE = '''
from aitb_nautilus.features.kernel import CLOSE, feature

FACTOR = 1.0


def helper(x):
    """Return something."""
    return FACTOR * x


@feature(family="price", unit="none", warmup=lambda: 1, cells=lambda: 0, bounds=(0.0, 1e9))
def mine(_s, _p, x, _y, _k):
    """Return the close."""
    return helper(x[CLOSE])
'''
PROGRAM = """
import mine_module
from aitb_nautilus.features.engine import FeatureEngine
from aitb_nautilus.features.feature_set import parse_features

features = parse_features(["mine"], interval="1m", kernels={"mine": mine_module.mine})
row = FeatureEngine(features).update(60_000_000_000, 5.0, 5.0, 5.0, 5.0, 1.0)
print(row[0], features.fingerprint)
"""


def run_python(program: str, folder: Path, **environment: str) -> str:
    """Run Python in a folder, with the project importable; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=os.environ
        | {"PYTHONPATH": f"{ROOT}{os.pathsep}{folder}", "PYTHONDONTWRITEBYTECODE": "1"}
        | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def own_root(monkeypatch: pytest.MonkeyPatch):
    """Forget which cache folder was found, before and after."""
    cache._root.cache_clear()
    yield monkeypatch
    cache._root.cache_clear()


def test_edit_of_a_called_function_is_compiled_and_changes_the_fingerprint(tmp_path: Path) -> None:
    kept = {cache.CACHE_VARIABLE: str(tmp_path / "cache")}
    seen = []
    for text in (
        MODULE,
        MODULE,
        MODULE.replace("FACTOR * x", "2.0 * x"),
        MODULE.replace("FACTOR = 1.0", "FACTOR = 3.0"),
        MODULE.replace("Return something.", "Return something else.  # and a comment"),
    ):
        (tmp_path / "mine_module.py").write_text(text)
        seen.append(run_python(PROGRAM, tmp_path, **kept).split())
    assert [value for value, _ in seen] == ["5.0", "5.0", "10.0", "15.0", "5.0"]
    prints = [fingerprint for _, fingerprint in seen]
    assert prints[0] == prints[1] == prints[4]
    assert len(set(prints)) == 3
    folders = [p.name for p in (tmp_path / "cache" / "kernels").iterdir()]
    assert sum(name.startswith("mine-") for name in folders) == 3
    assert sum(name.startswith("driver-") for name in folders) == 1


def test_each_kernel_is_kept_in_a_folder_of_its_own_named_by_all_its_sources(
    own_root, tmp_path: Path
) -> None:
    rsi, sma = KERNELS["rsi"].function, KERNELS["sma_ratio"].function
    assert {f.__name__ for f in called_functions(sma)} == {"window_sum", "block_place"}
    assert {"_rsi", "wilder", "finite_average", "quotient"} < {
        f.__name__ for f in called_functions(rsi)
    }
    assert source_hash(rsi) != source_hash(sma)
    assert source_hash(window_sum) != source_hash(block_place)

    own_root.setenv(cache.CACHE_VARIABLE, str(tmp_path))
    compiled._compiled_kernel.__wrapped__(rsi)
    folder = cache.cache_root() / f"rsi-{source_hash(rsi)[:20]}"
    kept = {path: path.stat().st_mtime_ns for path in folder.rglob("*.nb?")}
    assert kept
    compiled._compiled_kernel.__wrapped__(planted.leaves_its_range.function)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.nb?")} == kept
    assert len(list(cache.cache_root().iterdir())) == 2


def test_source_hash_sees_statements_and_constants_only() -> None:
    def made(text: str) -> str:
        module = types.ModuleType("made")
        path = f"made-{abs(hash(text))}.py"
        sys.modules["made"] = module
        import_source(module, text, path)
        return source_hash(module.f)

    plain = made("A = 1.0\ndef f(x):\n    return A * x\n")
    assert plain == made(
        "A = 1.0\ndef f(x: float) -> float:\n    '''Words.'''\n    return A  *  x\n"
    )
    assert plain != made("A = 2.0\ndef f(x):\n    return A * x\n")
    assert plain != made("A = 1.0\ndef f(x):\n    return A + x\n")


def import_source(module: types.ModuleType, text: str, path: str) -> None:
    """Run a module's text as Python's import would, with its lines known to `inspect`."""
    linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)
    exec(compile(text, path, "exec"), module.__dict__)


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (planted.shares_a_state.function, "uses SHARED, a ndarray"),
        (planted.uses_nothing_known, "uses nowhere, which is not defined"),
        (len, "is no plain function"),
    ],
)
def test_function_that_could_not_be_frozen_is_refused(function, wanted: str) -> None:
    with pytest.raises(TypeError, match=wanted):
        source_hash(function)


def test_cache_folder_is_private_and_may_be_named(own_root, tmp_path: Path) -> None:
    own_root.setenv(cache.CACHE_VARIABLE, str(tmp_path / "here"))
    root = cache.cache_root()
    assert root == tmp_path / "here" / "kernels"
    assert stat.S_IMODE(root.stat().st_mode) == 0o700


def test_without_a_name_the_users_cache_folder_is_used(own_root, tmp_path: Path) -> None:
    own_root.delenv(cache.CACHE_VARIABLE, raising=False)
    own_root.setenv("HOME", str(tmp_path))
    own_root.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    root = cache.cache_root()
    assert root.parent.name == "aitb-nautilus"
    assert root.is_relative_to(tmp_path)


def test_folder_that_others_can_write_is_not_trusted(own_root, tmp_path: Path) -> None:
    (tmp_path / "kernels").mkdir(mode=0o700)
    (tmp_path / "kernels").chmod(0o777)
    own_root.setenv(cache.CACHE_VARIABLE, str(tmp_path))
    root = cache.cache_root()
    assert not root.is_relative_to(tmp_path)
    assert stat.S_IMODE(root.stat().st_mode) == 0o700


def test_folder_that_cannot_be_made_falls_back_and_the_fallback_goes_away(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    program = textwrap.dedent(
        """
        from aitb_nautilus.features.cache import cache_root
        from aitb_nautilus.features.engine import FeatureEngine
        from aitb_nautilus.features.feature_set import parse_features

        FeatureEngine(parse_features(["hour_sin"], interval="1m"))
        print(cache_root(), len(list(cache_root().iterdir())))
        """
    )
    root, count = run_python(program, tmp_path, AITB_CACHE_DIR=str(tmp_path / "file")).split()
    assert int(count) == 2
    assert not Path(root).exists()


def test_snapshot_of_one_process_goes_on_in_another(tmp_path: Path) -> None:
    texts = ["rsi(14)", "zscore(close,50)", "log_return(2)@5m"]
    bars = market(700)
    features = parse_features(texts, interval="1m")
    whole = FeatureEngine(features).batch(bars).values
    first = FeatureEngine(features)
    first.batch(bars.take(slice(0, 600)))
    (tmp_path / "state").write_bytes(first.snapshot())
    program = textwrap.dedent(
        f"""
        from pathlib import Path
        import numpy as np
        from aitb_nautilus.features.engine import FeatureEngine
        from aitb_nautilus.features.feature_set import parse_features
        from tests.features.feature_bars import market

        engine = FeatureEngine(parse_features({texts!r}, interval="1m"))
        engine.restore(Path("state").read_bytes())
        np.save("rows.npy", engine.batch(market(700).take(slice(600, None))).values)
        """
    )
    run_python(program, tmp_path, PYTHONHASHSEED="7")
    assert same_bits(np.load(tmp_path / "rows.npy"), whole[600:])


def test_nothing_in_the_features_is_made_by_exec_or_raises_in_compiled_code() -> None:
    for path in sorted(Path(aitb_nautilus.features.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"exec", "eval", "compile"}, path
            if path.parent.name in {"kernels", "windows"} and path.stem != "__init__":
                assert not isinstance(node, ast.Raise | ast.Assert | ast.Try), path


def test_reading_a_feature_set_does_not_load_numba(tmp_path: Path) -> None:
    program = (
        "import sys; from aitb_nautilus.features.feature_set import parse_features; "
        "parse_features(['rsi(14)'], interval='1m').fingerprint; print('numba' in sys.modules)"
    )
    assert run_python(program, tmp_path) == "False"
