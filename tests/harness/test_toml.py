"""TOML files become frozen dataclasses, or a sentence that names file, table and key."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from harness.errors import ConfigError
from harness.toml import load_toml


@dataclass(frozen=True)
class Inner:
    size: int
    ratio: float = 0.5


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner
    flags: tuple[bool, ...] = ()
    limit: int | None = None
    other: Inner = field(default_factory=lambda: Inner(1))

    def __post_init__(self) -> None:
        if self.name == "bad":
            raise ValueError("name must not be bad")


def load(tmp_path, text):
    path = tmp_path / "file.toml"
    path.write_text(text)
    return load_toml(path, Outer)


def test_tables_nest_and_defaults_fill_in(tmp_path):
    got = load(tmp_path, 'name = "x"\nflags = [true, false]\nlimit = 3\n[inner]\nsize = 2\n')
    assert got == Outer("x", Inner(2, 0.5), (True, False), 3, Inner(1))


def test_an_integer_serves_where_a_float_is_asked_for(tmp_path):
    ratio = load(tmp_path, 'name = "x"\n[inner]\nsize = 2\nratio = 1\n').inner.ratio
    assert ratio == 1.0 and isinstance(ratio, float)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "x"\nsise = 1\n[inner]\nsize = 1', "unknown key 'sise' (expected one of name"),
        ('name = "x"\n[inner]\nsize = 1\nsice = 2', "inner: unknown key 'sice'"),
        ("[inner]\nsize = 1", "key 'name' is missing; add it"),
        ("name = 3\n[inner]\nsize = 1", "name: has the wrong type (expected str, got 3)"),
        ('name = "x"\n[inner]\nsize = "1"', "inner: size: has the wrong type (expected int"),
        ('name = "x"\n[inner]\nsize = true', "inner: size: has the wrong type (expected int"),
        ('name = "x"\ninner = 3', "inner: is not a table (expected a [table], got 3)"),
        ('name = "x"\nflags = [1]\n[inner]\nsize = 1', "flags[0]: has the wrong type"),
        ('name = "bad"\n[inner]\nsize = 1', "name must not be bad"),
        ("name = ", "cannot be read as TOML"),
    ],
)
def test_what_is_wrong_is_named_with_file_table_and_key(tmp_path, text, message):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert "file.toml" in str(caught.value)
    assert message in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.toml: no such file"):
        load_toml(tmp_path / "absent.toml", Outer)
