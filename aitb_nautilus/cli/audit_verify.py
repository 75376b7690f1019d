"""``aitb audit verify``: prove a journal whole, or name the first record that breaks it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.text import Text

from aitb_nautilus.cli.plumbing import console, emit, json_option
from aitb_nautilus.errors import DataError, UsageError
from aitb_nautilus.market.times import iso
from aitb_nautilus.observe.run_record import JournalRecord
from aitb_nautilus.risk.journal_file import JournalError, find_journal
from aitb_nautilus.risk.journal_proof import Proof, verify
from aitb_nautilus.risk.journal_recovery import Unresolved, unresolved

__all__ = ["command"]


class _Noting(msgspec.Struct):
    """The part of run.json that notes the head."""

    journal: JournalRecord | None = None


_SHOWN = 10
_HASH = re.compile("[0-9a-fA-F]{64}")


@click.command("verify")
@click.argument("journal", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--head",
    metavar="HASH",
    help="Hash of a record, noted earlier; verify then also sees a journal that was cut off or "
    "written anew.",
)
@json_option
def command(journal: Path, head: str | None, as_json: bool) -> int:
    """Prove a journal whole, or name the first record that breaks it.

    RUN is a run folder or a journal file. Leaves with 1 if the journal is broken. The head that a
    run folder's run.json notes is compared. Note the head that is printed where nobody can change
    it, and give it back with --head another day. Commands that were written and never answered
    are named: after a crash, the venue may have them.
    """
    if head is not None and not _HASH.fullmatch(head):
        raise UsageError(
            "aitb audit verify", f"--head was {head!r}", "must be the 64 hex digits of a hash"
        )
    if head is None:
        head = _noted_head(journal / "run.json")
    proof = verify(find_journal(journal), head)
    unanswered = unresolved(journal) if proof.whole else []
    answer = _plain(proof) | {"unanswered": [one.client_order_id for one in unanswered]}
    emit(answer, as_json, lambda: _show(proof, unanswered))
    return 0 if proof.whole else JournalError.exit_code


def _noted_head(path: Path) -> str | None:
    """Return the head that a run has noted; None if it has noted none, or is no run folder."""
    if not path.is_file():
        return None
    try:
        noted = msgspec.json.decode(path.read_bytes(), type=_Noting).journal
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise DataError(str(path), f"cannot be read ({e})", "must be what the run wrote") from e
    return None if noted is None else noted.head


def _plain(proof: Proof) -> dict[str, Any]:
    broken = proof.broken
    return {
        "path": proof.path,
        "whole": proof.whole,
        "records": proof.records,
        "head": proof.head,
        "first": None if proof.first_ts is None else iso(proof.first_ts),
        "last": None if proof.last_ts is None else iso(proof.last_ts),
        "closed": proof.closed,
        "gaps": proof.gaps,
        "lost": proof.lost,
        "noted_at": proof.noted_at,
        "broken": (
            None
            if broken is None
            else {"seq": broken.seq, "what": broken.what, "line": broken.line}
        ),
    }


def _show(proof: Proof, unanswered: Sequence[Unresolved]) -> None:
    out = console()
    if proof.broken is not None:
        before = f"; the {_records(proof.records)} before it are whole" if proof.records else ""
        said = f" {proof.path}: {proof.broken.line}{before}."
        out.print(Text.assemble(("broken", "bold red"), said))
        return
    span = (
        f", {iso(proof.first_ts)} to {iso(proof.last_ts)}"
        if proof.first_ts is not None and proof.last_ts is not None
        else ""
    )
    noted = "" if proof.noted_at is None else f", the noted head is record {proof.noted_at:,}"
    end = "" if proof.closed else ", not closed (the node runs, or was killed)"
    holes = f"{proof.gaps} gap{'' if proof.gaps == 1 else 's'}"
    gaps = f"; {_records(proof.lost)} could not be written, in {holes}"
    said = f" {proof.path}: {_records(proof.records)}{span}{noted}{end}"
    said += gaps if proof.gaps else ""
    out.print(Text.assemble(("whole", "green"), f"{said}. Head {proof.head}."))
    if unanswered:
        ids = ", ".join(one.client_order_id for one in unanswered[:_SHOWN])
        more = f" and {len(unanswered) - _SHOWN:,} more" if len(unanswered) > _SHOWN else ""
        out.print(f"Without an answer: {ids}{more}.", highlight=False, markup=False)


def _records(count: int) -> str:
    return f"{count:,} record{'' if count == 1 else 's'}"
