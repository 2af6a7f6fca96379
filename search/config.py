"""What does a search configuration say? TOML -> frozen dataclasses, defaults included."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.options import CompilerOptions, Optimise
from harness.toml import load_toml

ALGORITHMS = ("evolution", "nsga2", "bayes", "random")

# What can be minimised, and what of it is where nothing is said but bounds.
OBJECTIVES = ("val_error", "latency_us", "sram_bytes", "flash_bytes", "macs", "energy_uj")
DEFAULT_OBJECTIVES = ("val_error", "latency_us", "sram_bytes", "flash_bytes", "energy_uj")


@dataclass(frozen=True)
class Budget:
    """algorithm: what chooses candidates, see search/algorithms. objectives: what it minimises;
    where none is named, what fitness.objectives_of says. population: of evolution and NSGA-II;
    sample_size: of a tournament of aging evolution (Real et al. 2019). rounds: candidates taken
    past the analytic tier. minutes: no new candidate is started later than this (0: no limit).
    workers: processes, one candidate each. window: candidate i is chosen knowing the results of
    all up to i - window; more lets workers wait less, fewer lets the algorithm know more. It must
    not depend on `workers`, or the journal would. candidate_deadline_s: a candidate that takes
    longer has failed, and its worker is killed."""

    rounds: int = 2000
    population: int = 100
    sample_size: int = 25
    workers: int = 2
    minutes: float = 0.0
    seed: int = 0
    window: int = 4
    candidate_deadline_s: float = 900.0
    algorithm: str = "evolution"
    objectives: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise ValueError(
                f"[search] algorithm must be one of {', '.join(ALGORITHMS)}, got "
                f"{self.algorithm!r}"
            )
        _check_names("[search] objectives", self.objectives, OBJECTIVES)
        counts = ("rounds", "population", "sample_size", "workers", "window")
        _require("search", self, counts, "be at least 1", lambda value: value >= 1)
        if self.sample_size > self.population:
            raise ValueError(
                f"[search] sample_size {self.sample_size} exceeds population {self.population}"
            )
        _check_finite("search", self)
        _require_not_negative("search", self, "minutes", "seed")
        _require_positive("search", self, "candidate_deadline_s")


@dataclass(frozen=True)
class SpaceChoice:
    """name: a space that comes with hilnas (without it and without a file, munas). file: a space
    of one's own (docs/spaces.md), relative to the configuration.

    max_*: caps on what is drawn at random from munas; uniform draws of the full space (the
    defaults) are mostly too big for a microcontroller. Only draws are capped: morphisms may grow a
    network beyond, up to the full space. Lower bounds stay those of the space: 1 block of 1 layer,
    1 filter, 1 dense block of 10 units."""

    max_blocks: int = 10
    max_layers: int = 3
    max_filters: int = 128
    max_dense_blocks: int = 3
    max_units: int = 256
    name: str | None = None
    file: str | None = None

    def __post_init__(self) -> None:
        if self.name is not None and self.file is not None:
            raise ValueError("[space] name and file exclude each other: give one of them")
        for name, low, high in (
            ("max_blocks", 1, 10),
            ("max_layers", 1, 3),
            ("max_filters", 1, 128),
            ("max_dense_blocks", 1, 3),
            ("max_units", 10, 256),
        ):
            _require_between("space", self, name, low, high)
            is_munas = self.file is None and self.name in (None, "munas")
            if getattr(self, name) != high and not is_munas:
                raise ValueError(f"[space] {name} caps munas only, the space is another one")


@dataclass(frozen=True)
class Device:
    """Where candidates are measured, and what their code is to be good at: speed or size.
    tflm_dir: where engine tflm has its library ("" = where HILNAS_TFLM_DIR says); in a file,
    relative to its folder. control_every: via hardware, so many measurements on a unit want a
    control run of it."""

    board: str
    via: str = "virtual"
    engine: str = "aot"
    optimise: str = "speed"
    tflm_dir: str = ""
    control_every: int = 20

    def __post_init__(self) -> None:
        _require_positive("device", self, "control_every")
        if self.optimise not in (known.value for known in Optimise):
            raise ValueError(f"[device] optimise must be speed or size, got {self.optimise!r}")

    @property
    def library_dir(self) -> Path | None:
        return Path(self.tflm_dir) if self.tflm_dir else None

    @property
    def options(self) -> CompilerOptions:
        return CompilerOptions(Optimise(self.optimise))


@dataclass(frozen=True)
class Image:
    """Of a folder of pictures. size: (height, width) that each is brought to (empty: all must have
    one size already). grey: one channel instead of three."""

    size: tuple[int, ...] = ()
    grey: bool = False

    def __post_init__(self) -> None:
        if self.size and (
            len(self.size) != 2 or not 1 <= min(self.size) <= max(self.size) <= 1024
        ):
            raise ValueError(
                f"[data.image] size must be [height, width], each 1 to 1024, got {self.size}"
            )


@dataclass(frozen=True)
class Sound:
    """Of a folder of clips. rate_hz, clip_ms: of every clip; shorter ones are padded, longer ones
    cut. front_end: what a network sees of a clip, "log_mel" (mel_bands values a frame) or "mfcc"
    (coefficients of these). words: the classes to tell apart, all others being "unknown"; empty:
    every word is a class."""

    front_end: str = "log_mel"
    rate_hz: int = 16000
    clip_ms: int = 1000
    window_ms: int = 30
    stride_ms: int = 20
    mel_bands: int = 40
    coefficients: int = 10
    words: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.front_end not in ("log_mel", "mfcc"):
            raise ValueError(
                f"[data.sound] front_end must be log_mel or mfcc, got {self.front_end!r}"
            )
        for name, low, high in (
            ("rate_hz", 1000, 96_000),
            ("clip_ms", 10, 60_000),
            ("window_ms", 2, self.clip_ms),
            ("stride_ms", 1, self.clip_ms),
            ("mel_bands", 2, 256),
            ("coefficients", 1, self.mel_bands),
        ):
            _require_between("data.sound", self, name, low, high)
        if len(set(self.words)) != len(self.words):
            raise ValueError(f"[data.sound] words names one twice: {', '.join(self.words)}")


@dataclass(frozen=True)
class Data:
    """name: a loader in search/data. path: of its file or folder ("" = where the loader looks by
    itself). validation_fraction: of the training samples, where the set has no validation split;
    test_fraction: of all samples, where it has no test split. The *_limit fields cap a split (0 =
    all)."""

    name: str
    path: str = ""
    validation_fraction: float = 0.1
    test_fraction: float = 0.2
    train_limit: int = 0
    validation_limit: int = 0
    test_limit: int = 0
    image: Image = field(default_factory=Image)
    sound: Sound = field(default_factory=Sound)

    def __post_init__(self) -> None:
        fractions = ("validation_fraction", "test_fraction")
        _require("data", self, fractions, "lie in (0, 1)", lambda value: 0 < value < 1)
        limits = ("train_limit", "validation_limit", "test_limit")
        _require("data", self, limits, "be 0 (all) or more", lambda value: value >= 0)


@dataclass(frozen=True)
class Training:
    """One recipe for all candidates: SGD with momentum under a one-cycle schedule. shift: pixels
    by which an image is moved at random, up to so many along each axis; flip: whether every other
    image, at random, is mirrored left to right. inherit: whether a child starts from its parent's
    weights; inherited_epochs: its epochs then (0: the same)."""

    epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-4
    shift: int = 0
    flip: bool = False
    inherit: bool = False
    inherited_epochs: int = 0

    def __post_init__(self) -> None:
        _check_finite("training", self)
        counts = ("epochs", "batch_size")
        _require("training", self, counts, "be at least 1", lambda value: value >= 1)
        _require_positive("training", self, "learning_rate")
        _require("training", self, ("momentum",), "lie in [0, 1)", lambda value: 0 <= value < 1)
        _require_not_negative("training", self, "weight_decay", "shift", "inherited_epochs")
        if self.inherited_epochs and not self.inherit:
            raise ValueError("[training] inherited_epochs needs inherit = true")


@dataclass(frozen=True)
class Pruning:
    """Channels that training finds to matter least are cut off (search/prune.py). sparsity: the
    share of them, of a candidate without a parent; a child's is near its parent's. ramp: share of
    the training after which the sparsity is reached."""

    enabled: bool = False
    sparsity: float = 0.3
    ramp: float = 0.6

    def __post_init__(self) -> None:
        _require(
            "pruning", self, ("sparsity",), "lie in [0, 0.9]", lambda value: 0 <= value <= 0.9
        )
        _require("pruning", self, ("ramp",), "lie in (0, 1)", lambda value: 0 < value < 1)


@dataclass(frozen=True)
class Tiers:
    """Short training before the full one (search/tiers.py). short_epochs: of it, 0 leaves it out.
    short_fraction: of the training samples. eta: the best 1/eta of those short-trained go on.
    minimum: so many were short-trained before anybody is left behind."""

    short_epochs: int = 0
    short_fraction: float = 0.25
    eta: float = 2.0
    minimum: int = 8

    def __post_init__(self) -> None:
        _require_not_negative("tiers", self, "short_epochs")
        _require("tiers", self, ("short_fraction",), "lie in (0, 1]", lambda value: 0 < value <= 1)
        _require("tiers", self, ("eta",), "be greater than 1", lambda value: 1 < value < math.inf)
        _require("tiers", self, ("minimum",), "be at least 1", lambda value: value >= 1)


@dataclass(frozen=True)
class Finalists:
    """What the front gets after the search (search/finalists.py). epochs: that each network of it
    is trained on for, 0 leaves this out. count: of networks, those of the least val_error. spread:
    of networks beside them, those that dominate the most together with them."""

    epochs: int = 0
    count: int = 8
    spread: int = 0

    def __post_init__(self) -> None:
        _require_not_negative("finalists", self, "epochs", "spread")
        _require("finalists", self, ("count",), "be at least 1", lambda value: value >= 1)


@dataclass(frozen=True)
class Distillation:
    """teacher: whose logits candidates are trained towards ("" = none): "predictions.npz",
    "file.py:function", or "run_folder:archid" of an earlier run (docs/training.md); in a file,
    relative to its folder. alpha: share of the teacher in the loss, the labels have the rest.
    temperature: divides the logits of both before they are compared (arXiv 1503.02531)."""

    teacher: str = ""
    alpha: float = 0.3
    temperature: float = 1.0

    def __post_init__(self) -> None:
        _check_finite("distillation", self)
        if self.teacher and not (self.teacher.endswith(".npz") or all(self.named)):
            raise ValueError(
                '[distillation] teacher must be "predictions.npz", "file.py:function" or '
                f'"run_folder:archid", got {self.teacher!r}'
            )
        _require("distillation", self, ("alpha",), "lie in (0, 1]", lambda value: 0 < value <= 1)
        _require_positive("distillation", self, "temperature")

    @property
    def named(self) -> tuple[str, str]:
        """The teacher's file or folder, and what of it is meant: a function, an archid, or ""."""
        if self.teacher.endswith(".npz"):
            return self.teacher, ""
        path, _, name = self.teacher.rpartition(":")
        return path, name


@dataclass(frozen=True)
class Quantisation:
    """Fine-tuning with fake quantisation, of a network whose int8 model loses more validation
    accuracy than `tolerance` (a share of 1) against the float network. epochs: 0 = never.
    learning_rate: its peak; a tenth of what training from scratch takes keeps what was learned."""

    tolerance: float = 0.005
    epochs: int = 5
    learning_rate: float = 0.005

    def __post_init__(self) -> None:
        _check_finite("quantisation", self)
        _require(
            "quantisation", self, ("tolerance",), "lie in [0, 1]", lambda value: 0 <= value <= 1
        )
        _require(
            "quantisation", self, ("epochs",), "be 0 (never) or more", lambda value: value >= 0
        )
        _require_positive("quantisation", self, "learning_rate")


@dataclass(frozen=True)
class Bounds:
    """Upper bounds; None = unbounded. A candidate that breaks a hard bound is rejected. A soft one
    is a goal: it scales the fitness, and bounds the front once a network reaches it. val_error
    (0..1) is soft by nature, the others where `soft` names them."""

    val_error: float | None = None
    latency_us: float | None = None
    sram_bytes: int | None = None
    flash_bytes: int | None = None
    macs: int | None = None
    energy_uj: float | None = None
    soft: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_finite("bounds", self)
        given = [name for name in OBJECTIVES if getattr(self, name) is not None]
        _require_positive("bounds", self, *given)
        _check_names("[bounds] soft", self.soft, OBJECTIVES)
        for name in self.soft:
            if getattr(self, name) is None:
                raise ValueError(f"[bounds] soft names {name}, which has no bound")
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
    pruning: Pruning = field(default_factory=Pruning)
    bounds: Bounds = field(default_factory=Bounds)
    space: SpaceChoice = field(default_factory=SpaceChoice)
    tiers: Tiers = field(default_factory=Tiers)
    finalists: Finalists = field(default_factory=Finalists)
    distillation: Distillation = field(default_factory=Distillation)
    quantisation: Quantisation = field(default_factory=Quantisation)

    def __post_init__(self) -> None:
        is_word = 0 < len(self.name) <= 100 and self.name.isprintable()
        if not is_word or "/" in self.name or self.name.startswith("."):
            raise ValueError(
                "name must be 1 to 100 printable characters without '/', the first no dot, "
                f"got {self.name!r}"
            )
        self._check_objectives()

    @property
    def needs_energy(self) -> bool:
        """Whether a measurement without energy says too little."""
        return self.bounds.energy_uj is not None or "energy_uj" in self.search.objectives

    def _check_objectives(self) -> None:
        objectives, bounds = self.search.objectives, self.bounds
        # Only units on the desk may have a meter; whether they do, their map says.
        if self.needs_energy and self.device.via != "hardware":
            raise ValueError(
                f"energy_uj is measured by no meter on {self.device.board} via {self.device.via}; "
                "take it out of [bounds] and of [search] objectives"
            )
        if self.search.algorithm == "evolution":
            for name in objectives:
                if getattr(bounds, name) is None:
                    raise ValueError(
                        f"[search] objectives names {name}, which evolution scales by its bound; "
                        "give it one in [bounds]"
                    )
        for name in bounds.soft if objectives else ():
            if name not in objectives:
                raise ValueError(
                    f"[bounds] soft names {name}, which [search] objectives does not: a soft "
                    "bound on it would have no effect"
                )


def load_config(path: Path) -> SearchConfig:
    """Raises ConfigError naming file, table and key."""
    config = load_toml(path, SearchConfig)
    # Absolute from here on: a run keeps its configuration in another folder.
    folder = path.absolute().parent
    if config.device.tflm_dir:
        tflm_dir = str(folder / config.device.tflm_dir)
        config = replace(config, device=replace(config.device, tflm_dir=tflm_dir))
    if config.distillation.teacher:
        teacher = str(folder / config.distillation.teacher)
        config = replace(config, distillation=replace(config.distillation, teacher=teacher))
    if config.space.file is not None:
        config = replace(config, space=replace(config.space, file=str(folder / config.space.file)))
    return config


def dump_config(config: SearchConfig) -> str:
    """TOML that load_config reads back as an equal value, defaults spelled out."""
    return "\n\n".join(_tables("", asdict(config))) + "\n"


def _tables(name: str, table: dict[str, Any]) -> list[str]:
    """TOML of a table, then of those within it."""
    values = {k: v for k, v in table.items() if v is not None and not isinstance(v, dict)}
    lines = [f"[{name}]"] if name else []
    texts = ["\n".join([*lines, *(f"{key} = {_toml(value)}" for key, value in values.items())])]
    for key, value in table.items():
        if isinstance(value, dict):
            texts += _tables(f"{name}.{key}" if name else key, value)
    return texts


def _require(
    table: str,
    values: object,
    names: Sequence[str],
    what: str,
    holds: Callable[[float], bool],
) -> None:
    """Each of `names` must `what`, or the first that does not is said with its value."""
    for name in names:
        value = getattr(values, name)
        if not holds(value):
            raise ValueError(f"[{table}] {name} must {what}, got {value}")


def _require_between(table: str, values: object, name: str, low: int, high: int) -> None:
    _require(table, values, (name,), f"be {low} to {high}", lambda value: low <= value <= high)


def _require_positive(table: str, values: object, *names: str) -> None:
    _require(table, values, names, "be positive", lambda value: value > 0)


def _require_not_negative(table: str, values: object, *names: str) -> None:
    _require(table, values, names, "not be negative", lambda value: value >= 0)


def _check_finite(table: str, values: object) -> None:
    """TOML can spell inf and nan, which slip through comparisons and have no JSON."""
    for name, value in vars(values).items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"[{table}] {name} must be finite, got {value}")


def _check_names(where: str, names: tuple[str, ...], known: tuple[str, ...]) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"{where} must be of {', '.join(known)}, got {name!r}")
    if len(set(names)) < len(names):
        raise ValueError(f"{where} names one twice: {', '.join(names)}")


def _toml(value: Any) -> str:
    if isinstance(value, str):  # TOML's basic strings are JSON's, but for DEL
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return repr(value) if isinstance(value, float) else json.dumps(value)
