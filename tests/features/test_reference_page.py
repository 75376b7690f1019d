"""The page that lists every feature says what the kernels declare."""

from __future__ import annotations

from pathlib import Path

from aitb_nautilus.features.kernels import KERNELS
from aitb_nautilus.features.reference_page import FAMILIES, reference_page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "features.md"


def test_page_is_what_the_kernels_declare() -> None:
    assert PAGE.read_text() == reference_page(KERNELS), (
        "write it anew: aitb features list --markdown > docs/features.md"
    )


def test_every_feature_stands_on_the_page_once() -> None:
    lines = reference_page(KERNELS).splitlines()
    titles = [line.removeprefix("### ").strip("`") for line in lines if line.startswith("### ")]
    assert sorted(titles) == sorted(kernel.example() for kernel in KERNELS.values())
    assert {kernel.family for kernel in KERNELS.values()} == set(FAMILIES)
