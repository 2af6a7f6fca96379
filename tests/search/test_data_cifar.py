"""CIFAR's archives are read in every published form, and nothing in a pickle is ever executed."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from harness.errors import DatasetError
from search.config import Data
from search.data.archive import walk
from search.data.cifar import CIFAR10, CIFAR100, CIFAR100_COARSE, load_cifar
from search.data.cifar_pickle import read_batch
from search.data.load import load_dataset
from tests.search.cifar_files import (
    pack,
    python2_pickle,
    python_batch,
    rows_and_labels,
    write_cifar10_binary,
    write_cifar10_python,
    write_cifar100_binary,
    write_cifar100_python,
)


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cifar")
    for folder in (
        write_cifar10_python(root / "py" / "cifar-10-batches-py"),
        write_cifar10_binary(root / "bin" / "cifar-10-batches-bin"),
    ):
        (root / "packed" / folder.parent.name).mkdir(parents=True)
        name = {"py": "python", "bin": "binary"}[folder.parent.name]
        pack(folder, root / "packed" / folder.parent.name / f"cifar-10-{name}.tar.gz")
    return root


PLACES = [
    "py",
    "py/cifar-10-batches-py",
    "packed/py",
    "packed/py/cifar-10-python.tar.gz",
    "bin",
    "bin/cifar-10-batches-bin",
    "packed/bin/cifar-10-binary.tar.gz",
]


@pytest.mark.parametrize("place", PLACES)
def test_cifar10_is_the_same_in_every_form_and_place(sets: Path, place: str) -> None:
    source = load_cifar(sets / place, CIFAR10)
    rows = [rows_and_labels(10, 10, seed)[0] for seed in range(6)]
    assert source.samples.images.shape == (50, 32, 32, 3)
    assert source.samples.images[21, 5, 7, 2] == rows[2][1, 2 * 1024 + 5 * 32 + 7]
    assert source.samples.labels.tolist() == list(range(10)) * 5
    assert source.class_names == tuple(f"class{i}" for i in range(10))
    test = source.load_test()
    assert np.array_equal(test.images[3, :, :, 0], rows[5][3, :1024].reshape(32, 32))
    assert test.images.flags.c_contiguous and source.samples.images.flags.c_contiguous


@pytest.mark.parametrize("write", [write_cifar100_python, write_cifar100_binary])
def test_cifar100_has_fine_and_coarse_classes(tmp_path: Path, write) -> None:
    folder = write(tmp_path / "set")
    fine, coarse = load_cifar(folder, CIFAR100), load_cifar(folder, CIFAR100_COARSE)
    assert (fine.classes, coarse.classes) == (100, 20)
    assert np.array_equal(fine.samples.labels // 5, coarse.samples.labels)
    assert (fine.class_names[99], coarse.class_names[19]) == ("fine99", "coarse19")
    assert np.array_equal(fine.load_test().images, coarse.load_test().images)


def test_cifar10_becomes_a_dataset_by_name(sets: Path) -> None:
    dataset = load_dataset(Data("cifar10", path=str(sets / "packed" / "py")), seed=0)
    assert (dataset.input_shape, dataset.classes) == ((32, 32, 3), 10)
    assert (len(dataset.train), len(dataset.validation)) == (40, 10)


def test_the_test_batch_is_not_decoded_before_it_is_asked_for(tmp_path: Path) -> None:
    folder = write_cifar10_python(tmp_path / "set", count=2)
    (folder / "test_batch").write_bytes(b"nonsense")
    source = load_cifar(folder, CIFAR10)
    with pytest.raises(DatasetError, match="test_batch: is no CIFAR batch"):
        source.load_test()


@pytest.mark.parametrize("name", ["test_batch", "data_batch_3"])
def test_a_missing_batch_is_noticed_before_the_search(tmp_path: Path, name: str) -> None:
    folder = write_cifar10_python(tmp_path / "set", count=2)
    (folder / name).unlink()
    with pytest.raises(DatasetError, match=rf"files are not there \(expected {name}\)"):
        load_cifar(folder, CIFAR10)


def test_a_folder_or_file_that_is_no_set_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"holds no such set \(expected cifar-10-python.tar.gz"):
        load_cifar(tmp_path, CIFAR10)
    with pytest.raises(DatasetError, match="nowhere: no such file or folder"):
        load_cifar(tmp_path / "nowhere", CIFAR10)
    (tmp_path / "text").write_text("hello")
    with pytest.raises(DatasetError, match="text: cannot be read: .*damaged, fetch it again"):
        load_cifar(tmp_path / "text", CIFAR10)


def test_a_truncated_archive_is_refused(sets: Path, tmp_path: Path) -> None:
    whole = (sets / "packed/py/cifar-10-python.tar.gz").read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match=r"cut.tar.gz: cannot be read: "):
        load_cifar(tmp_path / "cut.tar.gz", CIFAR10)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": [0, 10]}, r"holds a label of no class \(expected 0 to 9, got 10\)"),
        ({"labels": [0, -1]}, "expected 0 to 9, got -1"),
        ({"labels": [0]}, r"expected 2 labels, got 1"),
        ({"labels": "ab"}, r"has no labels .*`labels`, a list of whole numbers, got a str"),
        ({"labels": ["a", "b"]}, "has no labels"),
        ({"data": [1, 2]}, r"has no images .* got a list of 2"),
        ({"data": np.zeros((2, 3), np.uint8)}, r"got an array of shape \(2, 3\)"),
        ({"data": np.zeros((0, 3072), np.uint8), "labels": []}, "holds no images"),
    ],
)
def test_a_batch_that_holds_something_else_is_refused(
    tmp_path: Path, changes: dict, message: str
) -> None:
    folder = write_cifar10_python(tmp_path / "set", count=2)
    batch = python2_pickle({**python_batch(2), **changes})
    (folder / "data_batch_2").write_bytes(batch)
    with pytest.raises(DatasetError, match=f"data_batch_2: .*{message}"):
        load_cifar(folder, CIFAR10)


def test_a_batch_of_the_other_set_is_refused(tmp_path: Path) -> None:
    folder = write_cifar100_python(tmp_path / "set", count=4)
    (folder / "train").write_bytes(python2_pickle(python_batch(4)))
    with pytest.raises(DatasetError, match="`fine_labels`, a list .*got nothing"):
        load_cifar(folder, CIFAR100)


def test_a_binary_batch_of_another_size_is_refused(tmp_path: Path) -> None:
    folder = write_cifar10_binary(tmp_path / "set", count=2)
    with (folder / "data_batch_5.bin").open("ab") as file:
        file.write(b"x")
    with pytest.raises(DatasetError, match="ends within a record .*multiple of 3073 bytes"):
        load_cifar(folder, CIFAR10)


def test_class_names_must_name_every_class(tmp_path: Path) -> None:
    folder = write_cifar10_binary(tmp_path / "set", count=2)
    (folder / "batches.meta.txt").write_text("cat\ndog\n")
    with pytest.raises(DatasetError, match=r"does not name the classes .*10 names, got a list"):
        load_cifar(folder, CIFAR10)
    (folder / "batches.meta.txt").unlink()
    assert load_cifar(folder, CIFAR10).class_names == ()


# The pickle.


def test_the_reader_agrees_with_pickle_itself() -> None:
    batch = python_batch(3)
    data = python2_pickle(batch)
    for written in (data, pickle.dumps(batch, protocol=3)):
        ours = read_batch(written, where="")
        theirs = pickle.loads(written, encoding="latin-1")  # of bytes made in this test
        assert ours.keys() == theirs.keys()
        assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


class _Hostile:
    def __init__(self, call: object, *arguments: object) -> None:
        self._call = (call, arguments)

    def __reduce__(self) -> tuple:
        return self._call


@pytest.mark.parametrize("protocol", range(6))
def test_nothing_in_a_pickle_is_called(tmp_path: Path, protocol: int) -> None:
    victim = tmp_path / "victim"
    for call in (_Hostile(os.mkdir, str(victim)), _Hostile(eval, f"open({str(victim)!r}, 'w')")):
        with pytest.raises(DatasetError, match="no batch has it|is none of a batch's"):
            read_batch(pickle.dumps({"data": call}, protocol=protocol), where="")
    assert not victim.exists()


def _instructions(*parts: bytes) -> bytes:
    return b"\x80\x02" + b"".join(parts) + b"."


ARRAY = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87R"
DTYPE = b"cnumpy\ndtype\nU\x02u1K\0K\x01\x87R"
STATE = b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is no CIFAR batch"),
        (b"\x80\x02}", "exhausted before seeing STOP"),
        (_instructions(b"K\x01"), "holds a int, not a dictionary"),
        (_instructions(), "the stack is empty"),
        (_instructions(b"0"), "POP at byte 2: no batch has it"),
        (_instructions(b"cos\nsystem\n"), "GLOBAL at byte 2: the name 'os system' is none"),
        (_instructions(b"h\x07"), "nothing was kept as 7"),
        (_instructions(b"t"), "nothing marks the first item"),
        (_instructions(b"}(K\x01K\x02u"), "a key that is no string"),
        (_instructions(b"}(U\x01au"), "a key without a value"),
        (_instructions(b"}(U\x01aNu"), "a NoneType in the dictionary"),
        (_instructions(b"](K\x01K\x02u"), "items for a list"),
        (_instructions(b"}(K\x01e"), "items for a dict"),
        (_instructions(b"](]e"), "a list of other things"),
        (_instructions(b"cnumpy\nndarray\nK\0\x85R"), "calls something else"),
        (_instructions(b"cnumpy\ndtype\nU\x02f4K\0K\x01\x87R"), "calls something else"),
        (_instructions(b"cnumpy\ndtype\nU\x02O8K\0K\x01\x87R"), "calls something else"),
        (_instructions(DTYPE, b"K\x01b"), "gives a state to something else"),
        (_instructions(ARRAY, b"K\x01b"), "an array's state of another form"),
        (
            _instructions(ARRAY, b"(K\x01K\x02\x85", DTYPE, STATE, b"\x89U\x01xtb"),
            "an array of 2 in 1 bytes",
        ),
        (
            _instructions(ARRAY, b"(K\x01J\xff\xff\xff\xff\x85", DTYPE, STATE, b"\x89U\x01xtb"),
            "an array without a shape",
        ),
        (_instructions(ARRAY, b"(K\x01)N\x89U\x01xtb"), "no batch has it"),
        (_instructions(ARRAY, b"(K\x01NN\x89U\x01xtb"), "an array of something else than bytes"),
        (_instructions(ARRAY, ARRAY), "makes more than one array"),
        (_instructions(b"B\xff\xff\xff\x7f"), "is no CIFAR batch"),
    ],
)
def test_each_instruction_that_no_batch_has_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(DatasetError) as caught:
        read_batch(data, where="batch")
    assert message in str(caught.value) and "no pickle is executed" in str(caught.value)


def test_mutated_batches_are_read_or_refused_never_more() -> None:
    rng = np.random.default_rng(0)
    whole = python2_pickle(python_batch(2))
    head = len(whole) - whole.index(b"filenames")  # what is not pixels
    interesting = np.r_[0:120, len(whole) - head : len(whole)]
    refused = 0
    for _ in range(5000):
        data = bytearray(whole)
        for _ in range(rng.integers(1, 4)):
            place = int(rng.choice(interesting))
            match rng.integers(4):
                case 0:
                    data[place % len(data)] = rng.integers(256)
                case 1:
                    del data[place : place + int(rng.integers(1, 9))]
                case 2:
                    data[place:place] = rng.bytes(rng.integers(1, 5))
                case 3:
                    other = int(rng.choice(interesting))
                    data[place:place] = data[other : other + int(rng.integers(1, 40))]
        try:
            batch = read_batch(bytes(data), where="batch")
        except DatasetError:
            refused += 1
            continue
        for name, value in batch.items():
            assert isinstance(name, str)
            assert value is None or isinstance(value, int | str | list | np.ndarray)
    assert 1000 < refused < 5000


# The archive.


def test_links_and_folders_in_an_archive_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    path = tmp_path / "links.tar"
    with tarfile.open(path, "w") as tar:
        for name, kind in (("train", tarfile.SYMTYPE), ("test", tarfile.LNKTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, str(secret)
            tar.addfile(member)
    assert list(walk(path, read={"train", "test"})) == []


def test_a_member_that_claims_gigabytes_is_refused(tmp_path: Path) -> None:
    member = tarfile.TarInfo("cifar-10-batches-py/data_batch_1")
    member.size = 1 << 40
    (tmp_path / "bomb.tar").write_bytes(member.tobuf(tarfile.GNU_FORMAT) + bytes(10240))
    with pytest.raises(DatasetError, match="larger than any file of such a set"):
        list(walk(tmp_path / "bomb.tar", read={"data_batch_1"}))


def test_an_archive_of_a_thousand_files_is_another(tmp_path: Path) -> None:
    path = tmp_path / "many.tar"
    with tarfile.open(path, "w") as tar:
        for i in range(1001):
            tar.addfile(tarfile.TarInfo(str(i)))
    with pytest.raises(DatasetError, match="holds too many files"):
        list(walk(path, read={"train"}))


def test_mutated_archives_are_read_or_refused_and_end(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        for name in ("train", "test", "meta"):
            member = tarfile.TarInfo(f"cifar-100-python/{name}")
            member.size = 600
            tar.addfile(member, io.BytesIO(bytes(600)))
    whole = path.read_bytes()[: 3 * 1536 + 1024]
    rng = np.random.default_rng(0)
    for _ in range(400):
        data = bytearray(whole)
        header = 1536 * int(rng.integers(3))
        for _ in range(rng.integers(1, 4)):
            data[header + int(rng.integers(0, 345))] = rng.integers(256)
        if rng.integers(2):  # a negative or huge size, in base 256 as GNU's tar writes it
            data[header + 124 : header + 136] = rng.choice([b"\x80", b"\xff"]) + rng.bytes(11)
        field = sum(data[header : header + 148]) + sum(data[header + 156 : header + 512]) + 256
        data[header + 148 : header + 156] = b"%06o\0 " % field
        path.write_bytes(data)
        try:
            for _, content in walk(path, read={"train", "test", "meta"}):
                assert len(content) <= len(whole)
        except DatasetError:
            pass
