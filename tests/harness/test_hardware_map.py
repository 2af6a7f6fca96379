"""The hardware map: where it is looked for, what is refused, which port is a probe's."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import hardware_map
from harness.board import load_board
from harness.errors import ConfigError, UnknownBoardError, UsageError
from harness.hardware_map import HardwareMap, MappedMeter, find_hardware_map, load_hardware_map
from harness.serial_ports import SerialPort, _interface_of, find_port

PROBE = "066AFF495087534867104632"
OTHER = "0671FF485550755187121723"


def unit(
    name: str = "left", probe: str = PROBE, more: str = "", board: str = "nucleo_f412zg"
) -> str:
    return f'[[unit]]\nname = "{name}"\nboard = "{board}"\nprobe = "{probe}"\n{more}\n'


def meter(kind: str = "lpm01a", serial: str = "/dev/ttyACM7", volts: float = 3.3) -> str:
    return f'energy = {{ meter = "{kind}", serial = "{serial}", volts = {volts} }}'


def write(folder: Path, *units: str) -> Path:
    path = folder / "hardware_map.toml"
    path.write_text("".join(units))
    return path


def load(folder: Path, *units: str) -> HardwareMap:
    return load_hardware_map(write(folder, *units))


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No map of this machine's is found."""
    monkeypatch.delenv("HILNAS_HARDWARE_MAP", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


# where


def test_the_nearest_map_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert find_hardware_map() is None
    usual = tmp_path / "config" / "hilnas"
    usual.mkdir(parents=True)
    assert find_hardware_map(write(usual)) == usual / "hardware_map.toml" == find_hardware_map()
    write(Path())
    assert find_hardware_map() == Path("hardware_map.toml")
    monkeypatch.setenv("HILNAS_HARDWARE_MAP", "/lab/map.toml")
    assert find_hardware_map() == Path("/lab/map.toml")
    assert find_hardware_map(Path("mine.toml")) == Path("mine.toml")


def test_without_a_map_the_places_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_hardware_map()
    assert str(caught.value) == (
        f"there is no hardware map (expected hardware_map.toml or {tmp_path}/config/hilnas/"
        "hardware_map.toml); `hilnas boards --discover` writes one, --hardware-map names another"
    )


def test_a_map_that_is_named_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HILNAS_HARDWARE_MAP", "/lab/map.toml")
    with pytest.raises(ConfigError, match="/lab/map.toml: no such file"):
        load_hardware_map()


def test_a_unit_may_have_an_energy_meter(tmp_path: Path) -> None:
    found = load(tmp_path, unit(more=meter(volts=2)), unit("right", OTHER))
    assert [one.energy for one in found.units] == [
        MappedMeter("lpm01a", "/dev/ttyACM7", 2.0),
        None,
    ]


# what is refused


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (unit(more='colour = "red"'), r"unit\[0\]: unknown key 'colour'"),
        ('[[unit]]\nname = "left"\nboard = "nucleo_f412zg"', r"unit\[0\]: key 'probe' is missing"),
        (unit(name="my board"), "name must be letters, digits.*got 'my board'"),
        (unit(board="nucleo"), "board must be one of b_l475e_iot01a, .*got 'nucleo'"),
        (unit(board=""), "board must be one of .*got ''"),
        (unit(probe=""), "probe is empty; `hilnas boards --discover` lists those attached"),
        (unit(probe="remote:host"), "probe must be a unique id or remote:HOST:PORT"),
        (unit(probe="remote:host:5555"), "serial is missing: a remote probe has no USB port"),
        (
            unit(more='serial = "/dev/ttyACM0"\nserial_interface = 2'),
            "serial and serial_interface exclude each other",
        ),
        (unit(more='reset_type = "hw"'), "reset_type must be one of default, hardware.*got 'hw'"),
        (unit(more='connect_mode = "gently"'), "connect_mode must be one of halt, pre-reset"),
        (unit(more='power_cycle = "reboot"'), "power_cycle: has the wrong type"),
        (unit(more='power_cycle = ["absent-hub"]'), "power_cycle: no such program: 'absent-hub'"),
        (unit(more="energy = true"), r"unit\[0\]: energy: is not a table .*got True"),
        (unit(more="energy = {}"), r"unit\[0\]: energy: key 'meter' is missing"),
        (unit(more=meter(kind="ppk9")), "energy: meter must be one of lpm01a, got 'ppk9'"),
        (unit(more=meter(serial="")), "energy: serial is empty; /dev/serial/by-id lists ports"),
        (unit(more=meter(volts=5)), "energy: volts must be 1.8 to 3.3 with lpm01a, got 5"),
        (
            unit(more='serial = "/dev/ttyACM7"\n' + meter()),
            r"unit\[0\]: energy: the meter's port is the unit's own",
        ),
    ],
)
def test_what_is_no_unit_is_refused_by_name(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        load(tmp_path, text)


@pytest.mark.parametrize(
    ("second", "sentence"),
    [
        (unit("left", OTHER), "units left and left have the same name (got left)"),
        (unit("right", PROBE.lower()), "units left and right have the same probe (got 66aff"),
        (unit("right", "00" + PROBE), "units left and right have the same probe (got 66aff"),
        (
            unit("right", OTHER, 'serial = "by-id"'),
            "units left and right have the same serial port (got /dev/ttyACM0); each unit has",
        ),
        (
            unit("right", OTHER, meter(serial="by-id")),
            "units left and right have the same serial port (got /dev/ttyACM0); each unit has",
        ),
    ],
)
def test_two_units_share_neither_name_nor_probe_nor_port(
    tmp_path: Path, second: str, sentence: str
) -> None:
    Path("by-id").symlink_to("/dev/ttyACM0")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, unit(more='serial = "/dev/ttyACM0"'), second)
    assert f"{tmp_path / 'hardware_map.toml'}: {sentence}" in str(caught.value)


def test_a_remote_probe_under_two_names_of_this_machine_is_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="have the same probe"):
        load(
            tmp_path,
            unit("left", "remote:localhost:5555", 'serial = "/dev/ttyACM0"'),
            unit("right", "remote:127.0.0.1:5555", 'serial = "/dev/ttyACM1"'),
        )


# which unit


def test_the_only_unit_needs_no_name(tmp_path: Path) -> None:
    desk = load(tmp_path, unit(), unit("dk", OTHER, board="nrf52840dk"))
    assert desk.unit_of("nrf52840dk", None).name == "dk"
    with pytest.raises(UnknownBoardError, match=r"no unit of nucleo_f446re \(got left \(nucleo_"):
        desk.unit_of("nucleo_f446re", None)


def test_of_several_units_one_is_to_be_chosen(tmp_path: Path) -> None:
    desk = load(tmp_path, unit("left"), unit("right", OTHER))
    assert desk.unit_of("nucleo_f412zg", "right").probe == OTHER
    with pytest.raises(UsageError) as caught:
        desk.unit_of("nucleo_f412zg", None)
    assert str(caught.value) == (
        f"{desk.path}: there are 2 units of nucleo_f412zg (got left, right); "
        "choose one with --unit"
    )
    with pytest.raises(UsageError, match=r"is called 'middle' \(expected left, right\)"):
        desk.unit_of("nucleo_f412zg", "middle")


# how it is reached


def test_the_probes_options_are_the_boards_where_the_unit_has_none(tmp_path: Path) -> None:
    (tmp_path / "vendor.pack").touch()
    desk = load(tmp_path, unit(more='reset_type = "hardware"\npack = "vendor.pack"'))
    board = load_board("nucleo_f412zg")
    access = desk.access_to(desk.units[0], board)
    assert (access.reset_type, access.connect_mode) == ("hardware", board.pyocd.connect_mode)
    assert access.pack == tmp_path / "vendor.pack"  # relative to the map
    (tmp_path / "vendor.pack").unlink()
    with pytest.raises(ConfigError, match="unit left: pack: there is no such pack"):
        desk.access_to(desk.units[0], board)


VCP = SerialPort("/dev/ttyACM0", PROBE)
JLINK = [
    SerialPort("/dev/ttyACM1", "000683123456", 0),
    SerialPort("/dev/ttyACM2", "000683123456", 2),
]


def test_a_probes_port_is_found_by_its_usb_serial_number() -> None:
    assert find_port(PROBE.lower(), None, [*JLINK, VCP], where="left") == "/dev/ttyACM0"
    assert find_port("683123456", 2, [*JLINK, VCP], where="left") == "/dev/ttyACM2"


@pytest.mark.parametrize(
    ("probe", "interface", "sentence"),
    [
        (OTHER, None, f"left: no serial port of probe {OTHER} is attached (got no port with"),
        (
            "683123456",
            None,
            "left: probe 683123456 has 2 serial ports (got /dev/ttyACM1 (interface 0), "
            "/dev/ttyACM2 (interface 2)); name one with serial_interface or serial",
        ),
        ("683123456", 1, "is attached at USB interface 1 (got /dev/ttyACM1 (interface 0), "),
    ],
)
def test_a_port_that_cannot_be_told_is_refused(
    probe: str, interface: int | None, sentence: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        find_port(probe, interface, [*JLINK, VCP], where="left")
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("location", "interface"), [("1-1.2:1.2", 2), ("1-1.2", None), ("", None)]
)
def test_the_interface_is_read_from_the_usb_location(location: str, interface: int | None) -> None:
    assert _interface_of(location) == interface


def test_a_port_that_was_found_is_nobody_elses(tmp_path: Path) -> None:
    desk = load(tmp_path, unit(), unit("right", OTHER, 'serial = "/dev/ttyACM0"'))
    with pytest.raises(ConfigError, match="units right and left have the same serial port"):
        desk.port_of(desk.units[0], [VCP])
    assert desk.port_of(desk.units[1], [VCP]) == "/dev/ttyACM0"


def test_ports_are_looked_up_where_none_are_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(hardware_map, "attached_ports", lambda: [VCP])
    desk = load(tmp_path, unit())
    assert desk.port_of(desk.units[0]) == "/dev/ttyACM0"
