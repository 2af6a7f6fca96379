"""Which published networks does a run stand beside? Figures as their authors printed them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """A network of another search. size, ram: as printed; both are counted by arithmetic (weights,
    and the largest working set of int8 tensors), nothing was run on a board. dataset: by the name
    of the loader here, with a variant of it behind."""

    source: str
    dataset: str
    accuracy_percent: float
    size: str
    ram: str
    macs: str


# Liberis, Dudziak and Lane, µNAS: Constrained Neural Architecture Search for Microcontrollers,
# arXiv 2010.14246.
_MUNAS = "µNAS, arXiv 2010.14246"
PUBLISHED = (
    Published(_MUNAS, "cifar10", 86.49, "11.4 KB", "15.4 KB", "384 K"),
    Published(_MUNAS, "cifar10, binary", 77.49, "685 B", "909 B", "41.2 K"),
    Published(_MUNAS, "speech_commands", 95.58, "37 KB", "21.1 KB", "1.1 M"),
)


def published_beside(dataset: str) -> tuple[Published, ...]:
    """Those of the same data set; all of them where there are none, for their size alone."""
    same = tuple(p for p in PUBLISHED if p.dataset.split(",")[0] == dataset)
    return same or PUBLISHED
