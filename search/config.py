"""What does a search configuration say? TOML -> frozen dataclasses, defaults included."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.options import CompilerOptions, Optimise
from harness.toml import load_toml


@dataclass(frozen=True)
class Budget:
    """rounds: candidates taken past the analytic tier. minutes: no new candidate is started later
    than this (0: no limit). workers: processes, one candidate each. population and sample_size:
    aging evolution (Real et al. 2019). window: candidate i is chosen knowing the results of all up
    to i - window; more lets workers wait less, fewer lets evolution know more. It must not depend
    on `workers`, or the journal would. candidate_deadline_s: a candidate that takes longer has
    failed, and its worker is killed."""

    rounds: int = 2000
    population: int = 100
    sample_size: int = 25
    workers: int = 2
    minutes: float = 0.0
    seed: int = 0
    window: int = 4
    candidate_deadline_s: float = 900.0

    def __post_init__(self) -> None:
        for name in ("rounds", "population", "sample_size", "workers", "window"):
            if getattr(self, name) < 1:
                raise ValueError(f"[search] {name} must be at least 1, got {getattr(self, name)}")
        if self.sample_size > self.population:
            raise ValueError(
                f"[search] sample_size {self.sample_size} exceeds population {self.population}"
            )
        _check_finite("search", self)
        if self.minutes < 0:
            raise ValueError(f"[search] minutes must not be negative, got {self.minutes}")
        if self.seed < 0:
            raise ValueError(f"[search] seed must not be negative, got {self.seed}")
        if self.candidate_deadline_s <= 0:
            raise ValueError(
                f"[search] candidate_deadline_s must be positive, got {self.candidate_deadline_s}"
            )


@dataclass(frozen=True)
class Space:
    """Caps on what is drawn at random; uniform draws of the full µNAS space (the defaults) are
    mostly too big for a microcontroller. Only draws are capped: morphisms may grow a network
    beyond, up to the full space. Lower bounds stay those of the space: 1 block of 1 layer, 1
    filter, 1 dense block of 10 units."""

    max_blocks: int = 10
    max_layers: int = 3
    max_filters: int = 128
    max_dense_blocks: int = 3
    max_units: int = 256

    def __post_init__(self) -> None:
        for name, low, high in (
            ("max_blocks", 1, 10),
            ("max_layers", 1, 3),
            ("max_filters", 1, 128),
            ("max_dense_blocks", 1, 3),
            ("max_units", 10, 256),
        ):
            if not low <= getattr(self, name) <= high:
                raise ValueError(
                    f"[space] {name} must be {low} to {high}, got {getattr(self, name)}"
                )


@dataclass(frozen=True)
class Device:
    """Where candidates are measured, and what their code is to be good at: speed or size."""

    board: str
    via: str = "virtual"
    engine: str = "aot"
    optimise: str = "speed"

    def __post_init__(self) -> None:
        if self.optimise not in (known.value for known in Optimise):
            raise ValueError(f"[device] optimise must be speed or size, got {self.optimise!r}")

    @property
    def options(self) -> CompilerOptions:
        return CompilerOptions(Optimise(self.optimise))


@dataclass(frozen=True)
class Data:
    """name: a loader in search/data. path: folder of the files ("" = where the loader looks by
    itself). The *_limit fields cap a split (0 = all)."""

    name: str
    path: str = ""
    validation_fraction: float = 0.1
    train_limit: int = 0
    validation_limit: int = 0
    test_limit: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.validation_fraction < 1:
            raise ValueError(
                f"[data] validation_fraction must lie in (0, 1), got {self.validation_fraction}"
            )
        for name in ("train_limit", "validation_limit", "test_limit"):
            if getattr(self, name) < 0:
                raise ValueError(
                    f"[data] {name} must be 0 (all) or more, got {getattr(self, name)}"
                )


@dataclass(frozen=True)
class Training:
    """One recipe for all candidates: SGD with momentum under a one-cycle schedule."""

    epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-4

    def __post_init__(self) -> None:
        _check_finite("training", self)
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"[training] {name} must be at least 1, got {getattr(self, name)}"
                )
        if self.learning_rate <= 0:
            raise ValueError(
                f"[training] learning_rate must be positive, got {self.learning_rate}"
            )
        if not 0 <= self.momentum < 1:
            raise ValueError(f"[training] momentum must lie in [0, 1), got {self.momentum}")
        if self.weight_decay < 0:
            raise ValueError(
                f"[training] weight_decay must not be negative, got {self.weight_decay}"
            )


@dataclass(frozen=True)
class Bounds:
    """Upper bounds. A candidate that breaks a resource bound is rejected; val_error (0..1) is a
    goal: it scales the fitness, and bounds the front once a network reaches it. None = unbounded.
    """

    val_error: float | None = None
    latency_us: float | None = None
    sram_bytes: int | None = None
    flash_bytes: int | None = None
    macs: int | None = None

    def __post_init__(self) -> None:
        _check_finite("bounds", self)
        for name, value in vars(self).items():
            if value is not None and value <= 0:
                raise ValueError(f"[bounds] {name} must be positive, got {value}")
        if self.val_error is not None and self.val_error > 1:
            raise ValueError(f"[bounds] val_error must be at most 1, got {self.val_error}")


@dataclass(frozen=True)
class SearchConfig:
    """name: names the run folder, so it can be no path."""

    name: str
    search: Budget
    device: Device
    data: Data
    training: Training = field(default_factory=Training)
    bounds: Bounds = field(default_factory=Bounds)
    space: Space = field(default_factory=Space)

    def __post_init__(self) -> None:
        is_word = 0 < len(self.name) <= 100 and self.name.isprintable()
        if not is_word or "/" in self.name or self.name.startswith("."):
            raise ValueError(
                "name must be 1 to 100 printable characters without '/', the first no dot, "
                f"got {self.name!r}"
            )


def load_config(path: Path) -> SearchConfig:
    """Raises ConfigError naming file, table and key."""
    return load_toml(path, SearchConfig)


def dump_config(config: SearchConfig) -> str:
    """TOML that load_config reads back as an equal value, defaults spelled out."""
    tables: list[str] = []
    top: list[str] = []
    for name, value in asdict(config).items():
        if isinstance(value, dict):
            lines = [f"{key} = {_toml(item)}" for key, item in value.items() if item is not None]
            tables.append("\n".join([f"[{name}]", *lines]))
        else:
            top.append(f"{name} = {_toml(value)}")
    return "\n\n".join(["\n".join(top), *tables]) + "\n"


def _check_finite(table: str, values: object) -> None:
    """TOML can spell inf and nan, which slip through comparisons and have no JSON."""
    for name, value in vars(values).items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"[{table}] {name} must be finite, got {value}")


def _toml(value: Any) -> str:
    if isinstance(value, str):  # TOML's basic strings are JSON's, but for DEL
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value) if isinstance(value, float) else json.dumps(value)
