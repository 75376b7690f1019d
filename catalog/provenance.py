"""Where stored data came from, kept inside the metadata of the very file that holds them."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

__all__ = ["METADATA_KEY", "Provenance", "Repair", "Source"]

METADATA_KEY = b"aitb"


class Source(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that bars were taken from.

    Parameters
    ----------
    name
        File name, address, or words such as ``simulated, seed 7``.
    sha256
        Of the file, where there is one.
    first_ns, last_ns
        Close times of the first and the last bar taken from it, ns UTC.
    """

    name: str
    sha256: str | None = None
    first_ns: int | None = None
    last_ns: int | None = None

    def touches(self, first_ns: int, last_ns: int) -> bool:
        """Return whether it may have given bars that close between two times, both included."""
        begins = self.first_ns is None or self.first_ns <= last_ns
        ends = self.last_ns is None or self.last_ns >= first_ns
        return begins and ends


class Repair(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one named rule changed before the bars were stored.

    Parameters
    ----------
    rule
        Its name, such as ``drop-duplicates``.
    rows
        How many rows of the source it touched.
    source
        The source's name.
    detail
        What was done, in words.
    """

    rule: str
    rows: int
    source: str
    detail: str = ""


class Provenance(msgspec.Struct, frozen=True):
    """The origin of the rows of one file.

    Parameters
    ----------
    simulated
        Whether a random generator made them. Never mixed with recorded rows.
    sources, repairs
        In the order in which they arrived.
    """

    simulated: bool = False
    sources: tuple[Source, ...] = ()
    repairs: tuple[Repair, ...] = ()

    def within(self, first_ns: int, last_ns: int) -> Provenance:
        """Return the same without the sources that gave nothing between two close times."""
        return msgspec.structs.replace(
            self, sources=tuple(s for s in self.sources if s.touches(first_ns, last_ns))
        )

    def joined(self, others: Iterable[Provenance]) -> Provenance:
        """Return the union with others, each source and repair once, in order of arrival."""
        everyone = [self, *others]
        return Provenance(
            simulated=any(p.simulated for p in everyone),
            sources=tuple(dict.fromkeys(s for p in everyone for s in p.sources)),
            repairs=tuple(dict.fromkeys(r for p in everyone for r in p.repairs)),
        )

    def metadata(self) -> dict[bytes, bytes]:
        """Return the entry for a file's metadata."""
        return {METADATA_KEY: msgspec.json.encode(self)}

    @classmethod
    def of_metadata(cls, metadata: dict[bytes, bytes]) -> Provenance:
        """Read the entry of a file's metadata; a file of the engine itself has none."""
        text = metadata.get(METADATA_KEY)
        return cls() if text is None else msgspec.json.decode(text, type=cls)
