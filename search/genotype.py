"""What is a candidate? A plain, frozen value with one canonical JSON and one hash; which values
there are is a space's matter. Must not know how it is lowered, trained or measured, nor import
any framework.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from typing import Any, Protocol

ARCHID_DIGITS = 16


class Genotype(Protocol):
    """A network of a space, without input shape and number of classes. Equal genotypes share their
    archid, different ones do not."""

    @property
    def archid(self) -> str:
        """The first 16 hex digits of the canonical JSON's SHA-256."""

    def canonical(self) -> str:
        """The one JSON text of this genotype: sorted keys, no white space."""

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict, which Space.read turns back; absent fields are not in it."""


class CanonicalGenotype(ABC):
    """Archid and canonical JSON of a genotype that has a to_json."""

    @property
    def archid(self) -> str:
        return hashlib.sha256(self.canonical().encode()).hexdigest()[:ARCHID_DIGITS]

    def canonical(self) -> str:
        return json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))

    @abstractmethod
    def to_json(self) -> dict[str, Any]: ...
