"""``aitb models verify``: check every byte of some versions, and run them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from aitb_nautilus.cli.models_options import models_option
from aitb_nautilus.cli.plumbing import console, emit, json_option
from aitb_nautilus.errors import ModelError, UsageError
from aitb_nautilus.models.references import Reference, version_of
from aitb_nautilus.models.registry import LoadedModel, Registry

__all__ = ["command"]


@click.command("verify")
@click.argument("references", metavar="[MODEL[@VERSION|@ALIAS]]...", nargs=-1)
@click.option(
    "--all", "everything", is_flag=True, help="Verify every version that was not withdrawn."
)
@models_option
@json_option
def command(references: tuple[str, ...], everything: bool, models: Path, as_json: bool) -> int:
    """Check every byte of some versions, and run them.

    A version may also be named by its folder: models/btc_up/3. Checks signature, hashes, format,
    expiry and withdrawal, then asks the model about the rows whose answers its bundle keeps. Leaves
    with 5 if one fails. With --all a version that has expired does not fail for that.
    """
    if everything == bool(references):
        raise UsageError("aitb models verify", "needs the models to verify, or --all")
    registry = Registry(models)
    if everything:
        references = tuple(_every_version(registry))
    now_ns = 0 if everything else time.time_ns()
    results = [_verify(reference, registry, now_ns) for reference in references]
    failed = [result for result in results if result["problem"] is not None]
    answer = {"models": models, "verified": results, "failed": len(failed)}
    emit(answer, as_json, lambda: _show(results))
    return ModelError.exit_code if failed else 0


def _every_version(registry: Registry) -> Iterator[str]:
    for model_id in registry.ids():
        withdrawn = registry.history(model_id).withdrawn
        for version in registry.versions(model_id):
            if version not in withdrawn:
                yield str(Reference(model_id, version))


def _verify(reference: str, registry: Registry, now_ns: int) -> dict[str, Any]:
    """Return what one version is, or the paragraph that refuses it."""
    try:
        loaded = _load(reference, registry, now_ns)
    except ModelError as e:
        return {"reference": reference, "problem": e.paragraph()}
    manifest = loaded.bundle.manifest
    return {
        "reference": reference,
        "model": manifest.id,
        "version": manifest.version,
        "signer": loaded.bundle.signer,
        "model_sha256": manifest.model.sha256,
        "manifest_sha256": loaded.bundle.manifest_sha256,
        "probes": len(manifest.probes),
        "problem": None,
    }


def _load(reference: str, registry: Registry, now_ns: int) -> LoadedModel:
    """Load a version by its reference or its folder."""
    path = Path(reference)
    version = version_of(path.name)
    if "/" not in reference or version is None:
        return registry.verify(reference, now_ns)
    there = path.absolute()
    return Registry(there.parent.parent, registry.keyring).verify(
        Reference(there.parent.name, version), now_ns
    )


def _show(results: Sequence[dict[str, Any]]) -> None:
    out = console()
    for result in results:
        if result["problem"] is None:
            out.print(
                f"[green]ok[/] {escape(result['reference'])}: signed by "
                f"{escape(result['signer'])}, answers all of its {result['probes']} probes"
            )
        else:
            out.print(f"[bold red]refused[/] {escape(result['problem'])}")
    if not results:
        out.print("There is no model to verify.")
