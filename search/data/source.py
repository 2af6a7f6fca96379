"""What does a loader find? The common form of all of them, before anything is split or capped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from search.data.dataset import Split


@dataclass(frozen=True, eq=False)
class Source:
    """samples: to learn from. load_test: reads the test split, which no loader does before it is
    called; in an order whose first few are of all classes. validation: the set's own, if it has
    one. name, notice: as Dataset's, where they are not the configuration's. is_picture: as
    Dataset's."""

    samples: Split
    classes: int
    load_test: Callable[[], Split]
    class_names: tuple[str, ...] = ()
    validation: Split | None = None
    name: str = ""
    notice: str = ""
    is_picture: bool = True
