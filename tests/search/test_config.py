"""A search configuration is checked key by key, and written back without loss."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ConfigError
from harness.options import Optimise
from search.config import (
    Bounds,
    Budget,
    Data,
    Device,
    Distillation,
    Image,
    SearchConfig,
    Sound,
    SpaceChoice,
    Training,
    dump_config,
    load_config,
)

EXAMPLES = Path(__file__).parents[2] / "examples"
MINIMAL = """
name = "example"
[search]
[device]
board = "nucleo_f412zg"
[data]
name = "digits"
"""


def load(tmp_path: Path, text: str) -> SearchConfig:
    path = tmp_path / "search.toml"
    path.write_text(text)
    return load_config(path)


def test_defaults_are_those_of_the_papers(tmp_path: Path) -> None:
    config = load(tmp_path, MINIMAL)

    assert config.search == Budget(
        rounds=2000, population=100, sample_size=25, workers=2, minutes=0.0, seed=0, window=4,
        candidate_deadline_s=900.0, algorithm="evolution", objectives=(),
    )  # fmt: skip
    assert config.space == SpaceChoice(10, 3, 128, 3, 256), "the full space"
    assert config.bounds == Bounds()
    assert (config.device.via, config.device.engine) == ("virtual", "aot")


def test_a_teacher_is_named_by_file_function_or_run(tmp_path: Path) -> None:
    assert load(tmp_path, MINIMAL).distillation == Distillation("", 0.3, 1.0)
    for teacher, named in {
        "predictions.npz": ("predictions.npz", ""),
        "mine.py:teacher": ("mine.py", "teacher"),
        "../first run:0123456789abcdef": ("../first run", "0123456789abcdef"),
    }.items():
        config = load(tmp_path, f'{MINIMAL}[distillation]\nteacher = "{teacher}"\n')
        path, name = named
        assert config.distillation.named == (str(tmp_path / path), name)
        again = tmp_path / "elsewhere"
        again.mkdir(exist_ok=True)
        assert load(again, dump_config(config)) == config, "a run keeps it in another folder"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            'distillation]\nteacher = "big"',
            r"teacher must be .* or \"run_folder:archid\", got 'big'",
        ),
        ('distillation]\nteacher = "mine.py:"', "teacher must be"),
        ("distillation]\nalpha = 0.0", r"alpha must lie in \(0, 1\], got 0.0"),
        ("distillation]\ntemperature = 0.0", "temperature must be positive"),
        ("quantisation]\ntolerance = 1.5", r"tolerance must lie in \[0, 1\], got 1.5"),
        ("quantisation]\nepochs = -1", r"epochs must be 0 \(never\) or more, got -1"),
        ("quantisation]\nlearning_rate = 0.0", r"\[quantisation\] learning_rate must be positive"),
    ],
)
def test_settings_of_teachers_and_of_fine_tuning_are_checked(
    tmp_path: Path, table: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, f"{MINIMAL}[{table}\n")


def test_a_device_may_be_optimised_for_size(tmp_path: Path) -> None:
    config = load(tmp_path, MINIMAL.replace("[device]", '[device]\noptimise = "size"'))

    assert config.device.options.optimise is Optimise.SIZE
    with pytest.raises(ConfigError, match="optimise must be speed or size, got 'fast'"):
        load(tmp_path, MINIMAL.replace("[device]", '[device]\noptimise = "fast"'))


def test_a_relative_folder_of_a_library_is_relative_to_the_file(tmp_path: Path) -> None:
    named = MINIMAL.replace("[device]", '[device]\nengine = "tflm"\ntflm_dir = "../tflite-micro"')
    config = load(tmp_path, named)

    assert config.device.library_dir == tmp_path / "../tflite-micro"
    again = tmp_path / "elsewhere"
    again.mkdir()
    assert load(again, dump_config(config)) == config, "a run keeps it in another folder"


def test_an_absolute_folder_of_a_library_is_meant_as_it_is(tmp_path: Path) -> None:
    config = load(tmp_path, MINIMAL.replace("[device]", '[device]\ntflm_dir = "/opt/tflm"'))

    assert config.device.library_dir == Path("/opt/tflm")
    assert load(tmp_path, MINIMAL).device.library_dir is None, "HILNAS_TFLM_DIR says where"


def test_a_space_file_is_relative_to_the_configuration(tmp_path: Path) -> None:
    config = load(tmp_path, MINIMAL + '[space]\nfile = "mine.toml"\n')

    assert config.space.file == str(tmp_path / "mine.toml")
    again = tmp_path / "elsewhere"
    again.mkdir()
    assert load(again, dump_config(config)) == config, "a run keeps it in another folder"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            '[search]\n[space]\nname = "mlp"\nfile = "mine.toml"',
            "[space] name and file exclude each other: give one of them",
        ),
        (
            '[search]\n[space]\nname = "mlp"\nmax_units = 20',
            "[space] max_units caps munas only, the space is another one",
        ),
        (
            '[search]\n[space]\nfile = "mine.toml"\nmax_blocks = 3',
            "[space] max_blocks caps munas only, the space is another one",
        ),
        ("[search]\nrounds = 0", "[search] rounds must be at least 1, got 0"),
        ("[search]\nwindow = 0", "[search] window must be at least 1, got 0"),
        ("[search]\nworkers = -1", "[search] workers must be at least 1, got -1"),
        ("[search]\npopulation = 5", "[search] sample_size 25 exceeds population 5"),
        ("[search]\nminutes = -1", "[search] minutes must not be negative, got -1.0"),
        ("[search]\nseed = -1", "[search] seed must not be negative, got -1"),
        (
            "[search]\ncandidate_deadline_s = 0",
            "[search] candidate_deadline_s must be positive, got 0.0",
        ),
        ("[search]\nround = 3", "unknown key 'round'"),
        (
            "[search]\n[tiers]\nshort_epochs = -1",
            "[tiers] short_epochs must not be negative, got -1",
        ),
        (
            "[search]\n[tiers]\nshort_fraction = 0.0",
            "[tiers] short_fraction must lie in (0, 1], got 0.0",
        ),
        ("[search]\n[tiers]\neta = 1.0", "[tiers] eta must be greater than 1, got 1.0"),
        ("[search]\n[tiers]\neta = inf", "[tiers] eta must be greater than 1, got inf"),
        ("[search]\n[tiers]\nminimum = 0", "[tiers] minimum must be at least 1, got 0"),
        (
            "[search]\n[finalists]\nepochs = -1",
            "[finalists] epochs must not be negative, got -1",
        ),
        ("[search]\n[finalists]\ncount = 0", "[finalists] count must be at least 1, got 0"),
        (
            '[search]\nalgorithm = "nsga3"',
            "[search] algorithm must be one of evolution, nsga2, bayes, random, got 'nsga3'",
        ),
        (
            '[search]\nobjectives = ["latency"]',
            "[search] objectives must be of val_error, latency_us, sram_bytes, flash_bytes, macs, "
            "energy_uj, got 'latency'",
        ),
        (
            '[search]\nobjectives = ["macs", "macs"]',
            "[search] objectives names one twice: macs, macs",
        ),
        (
            '[search]\nobjectives = ["val_error"]',
            "[search] objectives names val_error, which evolution scales by its bound; give it "
            "one in [bounds]",
        ),
        ('[search]\n[bounds]\nsoft = ["size"]', "[bounds] soft must be of val_error, latency_us"),
        ('[search]\n[bounds]\nsoft = ["macs"]', "[bounds] soft names macs, which has no bound"),
        (
            '[search]\nobjectives = ["val_error"]\n[bounds]\nval_error = 0.1\nmacs = 5\n'
            'soft = ["macs"]',
            "[bounds] soft names macs, which [search] objectives does not: a soft bound on it "
            "would have no effect",
        ),
        (
            "[search]\n[bounds]\nenergy_uj = 10",
            "energy_uj is measured by no meter on nucleo_f412zg via virtual; take it out of "
            "[bounds] and of [search] objectives",
        ),
        (
            '[search]\nalgorithm = "nsga2"\nobjectives = ["energy_uj"]',
            "energy_uj is measured by no meter on nucleo_f412zg",
        ),
        ("[search]\n[bounds]\nenergy_uj = 0", "[bounds] energy_uj must be positive, got 0.0"),
        ("[search]\n[space]\nmax_blocks = 11", "[space] max_blocks must be 1 to 10, got 11"),
        ("[search]\n[space]\nmax_layers = 0", "[space] max_layers must be 1 to 3, got 0"),
        ("[search]\n[space]\nmax_filters = 0", "[space] max_filters must be 1 to 128, got 0"),
        (
            "[search]\n[space]\nmax_dense_blocks = 4",
            "[space] max_dense_blocks must be 1 to 3, got 4",
        ),
        ("[search]\n[space]\nmax_units = 9", "[space] max_units must be 10 to 256, got 9"),
        ("[search]\n[bounds]\nsram_bytes = 0", "[bounds] sram_bytes must be positive, got 0"),
        ("[search]\n[bounds]\nlatency_us = nan", "[bounds] latency_us must be finite, got nan"),
        ("[search]\n[bounds]\nval_error = 15", "[bounds] val_error must be at most 1, got 15.0"),
        ("[search]\nminutes = inf", "[search] minutes must be finite, got inf"),
        ("[search]\n[training]\nepochs = 0", "[training] epochs must be at least 1, got 0"),
        ("[search]\n[training]\nbatch_size = 0", "[training] batch_size must be at least 1"),
        ("[search]\n[training]\nlearning_rate = 0", "learning_rate must be positive, got 0.0"),
        ("[search]\n[training]\nlearning_rate = nan", "learning_rate must be finite, got nan"),
        ("[search]\n[training]\nmomentum = 1", "momentum must lie in [0, 1), got 1.0"),
        ("[search]\n[training]\nweight_decay = -1", "weight_decay must not be negative"),
        ("[search]\n[training]\nshift = -1", "[training] shift must not be negative, got -1"),
        (
            "[search]\n[training]\ninherit = true\ninherited_epochs = -1",
            "[training] inherited_epochs must not be negative, got -1",
        ),
        (
            "[search]\n[training]\ninherited_epochs = 3",
            "[training] inherited_epochs needs inherit = true",
        ),
        ("[search]\n[pruning]\nsparsity = 0.95", "sparsity must lie in [0, 0.9], got 0.95"),
        ("[search]\n[pruning]\nsparsity = nan", "sparsity must lie in [0, 0.9], got nan"),
        ("[search]\n[pruning]\nramp = 1.0", "[pruning] ramp must lie in (0, 1), got 1.0"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(tmp_path: Path, table: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, MINIMAL.replace("[search]", table))

    assert message in str(caught.value)
    assert "search.toml" in str(caught.value)


def test_objectives_without_bounds_are_for_algorithms_that_need_no_scale(tmp_path: Path) -> None:
    text = MINIMAL.replace(
        "[search]", '[search]\nalgorithm = "nsga2"\nobjectives = ["val_error", "macs"]'
    )

    assert load(tmp_path, text).search.objectives == ("val_error", "macs")


def test_a_validation_fraction_outside_0_and_1_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"validation_fraction must lie in \(0, 1\), got 1.0"):
        load(tmp_path, MINIMAL + "validation_fraction = 1.0")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("test_fraction = 0.0", "[data] test_fraction must lie in (0, 1), got 0.0"),
        ("[data.image]\nsize = [32]", "[data.image] size must be [height, width], each 1 to 1024"),
        ("[data.image]\nsize = [0, 32]", "got (0, 32)"),
        ('[data.sound]\nfront_end = "raw"', "front_end must be log_mel or mfcc, got 'raw'"),
        ("[data.sound]\nrate_hz = 8", "[data.sound] rate_hz must be 1000 to 96000, got 8"),
        ("[data.sound]\nclip_ms = 0", "[data.sound] clip_ms must be 10 to 60000, got 0"),
        ("[data.sound]\nwindow_ms = 1001", "[data.sound] window_ms must be 2 to 1000, got 1001"),
        ("[data.sound]\nstride_ms = 0", "[data.sound] stride_ms must be 1 to 1000, got 0"),
        ("[data.sound]\nmel_bands = 1", "[data.sound] mel_bands must be 2 to 256, got 1"),
        ("[data.sound]\ncoefficients = 41", "coefficients must be 1 to 40, got 41"),
        ('[data.sound]\nwords = ["on", "on"]', "[data.sound] words names one twice: on, on"),
    ],
)
def test_options_of_loaders_are_checked(tmp_path: Path, lines: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, MINIMAL + lines)

    assert message in str(caught.value)


@pytest.mark.parametrize("limit", ["train_limit", "validation_limit", "test_limit"])
def test_a_negative_limit_is_refused(tmp_path: Path, limit: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, MINIMAL + f"{limit} = -1")

    assert f"[data] {limit} must be 0 (all) or more, got -1" in str(caught.value)


@pytest.mark.parametrize("name", ["", "..", "a/b", "/etc", "a" * 101, "a\\nb"])
def test_a_name_that_is_no_name_of_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="name must be 1 to 100 printable"):
        load(tmp_path, MINIMAL.replace("example", name))


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_example_can_be_read(path: Path) -> None:
    assert load_config(path).name == path.stem


POSITIVE = st.floats(1e-9, 1e9)
CONFIGS = st.builds(
    SearchConfig,
    name=st.from_regex(r"\A[a-zµ_<$\"][a-z .+<$\"]{0,20}\Z"),
    search=st.builds(
        Budget,
        rounds=st.integers(1, 10**9),
        minutes=st.floats(0, 1e6),
        seed=st.integers(0, 2**62),
        candidate_deadline_s=POSITIVE,
        algorithm=st.sampled_from(["nsga2", "bayes", "random"]),
        objectives=st.sampled_from([(), ("val_error", "sram_bytes")]),
    ),
    device=st.builds(Device, board=st.text()),
    data=st.builds(
        Data,
        name=st.text(),
        path=st.text(),
        validation_fraction=st.just(0.25),
        image=st.builds(Image, size=st.sampled_from([(), (32, 48)]), grey=st.booleans()),
        sound=st.builds(Sound, words=st.lists(st.text(), unique=True).map(tuple)),
    ),
    training=st.builds(Training, learning_rate=POSITIVE, weight_decay=POSITIVE),
    bounds=st.builds(
        Bounds,
        val_error=st.none() | st.floats(1e-9, 1),
        sram_bytes=st.none() | st.integers(1, 10**9),
    ),
    space=st.builds(SpaceChoice, max_filters=st.integers(1, 128)),
)


@given(CONFIGS)
def test_a_written_configuration_reads_back_equal(
    tmp_path_factory: pytest.TempPathFactory, config: SearchConfig
) -> None:
    path = tmp_path_factory.mktemp("config") / "config.toml"
    path.write_text(dump_config(config), encoding="utf-8")

    assert load_config(path) == config
