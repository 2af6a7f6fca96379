"""A library is found where it is named, and says itself what it is."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from harness.engines.tflm import library as subject
from harness.engines.tflm.archive import read_archive
from harness.engines.tflm.library import ARCHIVE, VARIABLE, find_library
from harness.errors import ToolchainError, UsageError
from tests.harness.engines.tflm.trees import (
    COMMIT,
    HARD,
    RELEASE,
    archived,
    compiled,
    library_bytes,
    library_source,
    make_tree,
    put_library,
    write_headers,
)


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


def complaint(path: Path | None, error: type[Exception] = ToolchainError) -> str:
    with pytest.raises(error) as refused:
        find_library(path)
    return str(refused.value)


def test_the_tree_and_its_build_name_the_same_library(tmp_path):
    tree = make_tree(tmp_path)

    library = find_library(tree)
    assert library == find_library(tree / "gen" / RELEASE)
    assert library.archive == tree / "gen" / RELEASE / ARCHIVE
    assert library.tree == tree
    assert (library.commit, library.kernels, library.build) == (COMMIT, "cmsis_nn", "release")
    assert library.compiler.startswith("GCC: (15:12.2")
    assert library.sha256 == read_archive(library.archive).sha256
    downloads = tree / "tensorflow/lite/micro/tools/make/downloads"
    assert library.include_dirs == (
        tree,
        downloads / "flatbuffers/include",
        downloads / "gemmlowp",
    )


def test_its_version_says_all_that_makes_two_libraries_differ(tmp_path):
    library = find_library(make_tree(tmp_path))

    assert library.version == (
        f"{COMMIT[:12]}, cmsis_nn, release, objects {library.sha256[:12]}, {library.compiler}"
    )


def test_without_git_the_objects_tell_two_libraries_apart(tmp_path):
    tree = make_tree(tmp_path)
    (tree / ".git/HEAD").unlink()

    library = find_library(tree)
    assert library.commit == "unknown"
    assert library.version.startswith("unknown commit, cmsis_nn, release, objects ")
    assert library.sha256[:12] in library.version


def test_a_version_fits_into_a_frame_however_many_compilers_there_are(tmp_path):
    comments = "".join(f'asm(".ident \\"{"c" * 90}{number}\\"");' for number in range(9))
    tree = make_tree(tmp_path, library_bytes(extra=comments))

    assert len(find_library(tree).version) == 160


def test_several_compilers_are_all_named(tmp_path):
    data = archived(
        {
            "a.o": compiled(library_source(cmsis_nn=False), HARD),
            "b.o": compiled('asm(".ident \\"another compiler\\"");', (*HARD, "-fno-ident")),
        }
    )
    library = find_library(make_tree(tmp_path, data))

    first, second = library.compiler.split(" + ")
    assert first.startswith("GCC: (15:12.2")
    assert second == "another compiler"


def test_the_environment_is_asked_when_nothing_is_named(tmp_path, monkeypatch):
    tree = make_tree(tmp_path)
    monkeypatch.setenv(VARIABLE, str(tree))

    assert find_library(None).tree == tree


def test_what_is_named_goes_before_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "/nonexistent")

    assert find_library(make_tree(tmp_path)).tree == tmp_path / "tflite-micro"


def test_a_relative_path_is_meant_from_here(tmp_path, monkeypatch):
    tree = make_tree(tmp_path)
    monkeypatch.chdir(tmp_path)

    assert find_library(Path("tflite-micro")).tree == tree


def test_without_a_library_it_says_what_to_build_and_how_to_name_it():
    assert complaint(None) == (
        "no TFLite Micro library is named; build upstream's target cortex_m_generic as its "
        "tensorflow/lite/micro/cortex_m_generic/README.md and tensorflow/lite/micro/docs say, and "
        "name the tree with --tflm-dir, tflm_dir in a configuration's [device], or HILNAS_TFLM_DIR"
    )


def test_a_folder_that_is_not_there_or_no_tree_is_said_to_be(tmp_path):
    nowhere = tmp_path / "nowhere"
    assert complaint(nowhere).startswith(f"{nowhere}: is no folder with a TFLite Micro library; ")
    assert complaint(tmp_path).startswith(f"{tmp_path}: is neither upstream's tree nor in one (")


def test_a_tree_without_a_library_for_arm_says_so(tmp_path):
    tree = make_tree(tmp_path)
    (tree / "gen" / RELEASE / ARCHIVE).unlink()
    host = archived({"a.o": compiled(library_source(cmsis_nn=False), (), "g++")}, ar="ar")
    put_library(tree, host, "linux_x86_64_default_gcc")

    assert "has no library for Arm (expected gen/<build>/lib/" in complaint(tree)
    assert "has no library (expected lib/" in complaint(tree / "gen" / RELEASE)


def test_a_host_build_beside_it_is_no_second_library(tmp_path):
    tree = make_tree(tmp_path)
    host = archived({"a.o": compiled(library_source(cmsis_nn=False), (), "g++")}, ar="ar")
    put_library(tree, host, "linux_x86_64_default_gcc")

    assert find_library(tree).archive.parents[1].name == RELEASE


def test_of_two_builds_one_must_be_named(tmp_path):
    tree = make_tree(tmp_path)
    other = put_library(tree, library_bytes(cmsis_nn=False), "cortex_m_generic_m4_default_gcc")

    assert complaint(tree, UsageError) == (
        f"{tree}: has several libraries (expected one, got gen/{RELEASE}, "
        "gen/cortex_m_generic_m4_default_gcc); name one of these folders instead of the tree"
    )
    assert find_library(other).build == "default"


def test_headers_that_were_never_downloaded_are_missed(tmp_path):
    tree = make_tree(tmp_path)
    (tree / "tensorflow/lite/micro/tools/make/downloads/gemmlowp").rmdir()

    assert "lacks what upstream's makefile downloads (expected tensorflow/" in complaint(tree)


def test_a_library_that_is_built_again_is_read_again(tmp_path):
    tree = make_tree(tmp_path)
    before = find_library(tree)
    put_library(tree, library_bytes(cmsis_nn=False))

    after = find_library(tree)
    assert (before.kernels, after.kernels) == ("cmsis_nn", "reference")
    assert before.sha256 != after.sha256


def test_objects_that_take_for_ever_are_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(subject, "_READ_DEADLINE_S", -1.0)

    assert "takes longer than -1 s to read" in complaint(make_tree(tmp_path))


class TestDefines:
    """Each macro is told from what the objects define or name."""

    def defines(self, tmp_path: Path, **what: object) -> tuple[str, ...]:
        return find_library(make_tree(tmp_path, library_bytes(**what))).defines

    def test_of_a_release_with_kernels_of_cmsis_nn(self, tmp_path):
        assert self.defines(tmp_path) == (
            "TF_LITE_STATIC_MEMORY",
            "TF_LITE_MCU_DEBUG_LOG",
            "CMSIS_NN",
            "TF_LITE_STRIP_ERROR_STRINGS",
            "NDEBUG",
        )

    def test_reference_kernels_have_no_function_of_cmsis_nn(self, tmp_path):
        assert "CMSIS_NN" not in self.defines(tmp_path, cmsis_nn=False)

    def test_error_texts_are_there_where_micro_printf_is_a_function(self, tmp_path):
        library = find_library(make_tree(tmp_path, library_bytes(logs=True)))

        assert library.logs and "TF_LITE_STRIP_ERROR_STRINGS" not in library.defines

    def test_assertions_are_there_where_an_object_calls_newlibs(self, tmp_path):
        extra = "#include <cassert>\nvoid k(int x) { assert(x); }"

        assert "NDEBUG" not in self.defines(tmp_path, extra=extra)

    def test_compression_is_there_where_its_method_is(self, tmp_path):
        extra = (
            "namespace tflite { struct MicroContext { void DecompressTensorToBuffer(); };"
            "void MicroContext::DecompressTensorToBuffer() {} }"
        )
        assert "USE_TFLM_COMPRESSION" in self.defines(tmp_path, extra=extra)

    def test_kernels_of_a_cmsis_nn_elsewhere_cannot_be_linked(self, tmp_path):
        source = library_source(cmsis_nn=True).replace("arm_convolve_s8", "something_else")
        tree = make_tree(tmp_path, archived({"a.o": compiled(source, HARD)}))

        assert "calls CMSIS-NN without containing it" in complaint(tree)

    def test_a_build_with_a_heap_is_refused(self, tmp_path):
        extra = 'extern "C" int TfLiteIntArrayCreate() { return 0; }'

        assert "without TF_LITE_STATIC_MEMORY, which needs a heap" in complaint(
            make_tree(tmp_path, library_bytes(extra=extra))
        )

    def test_another_library_of_that_name_is_refused(self, tmp_path):
        tree = make_tree(tmp_path, archived({"a.o": compiled("int f() { return 1; }", HARD)}))

        assert "is no TFLite Micro library (expected tflite::Register_CONV_2D())" in complaint(
            tree
        )


class TestCommit:
    """Git's files are read; git, which a repository's configuration can make run anything, is
    not."""

    @pytest.fixture
    def repository(self, tmp_path, monkeypatch):
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
        folder = tmp_path / "repository"
        folder.mkdir()
        self.git(folder, "init", "-q", "-b", "main")
        self.git(folder, "commit", "-q", "--allow-empty", "-m", "first")
        return folder

    def git(self, folder: Path, *words: str) -> str:
        who = ["-c", "user.name=n", "-c", "user.email=e"]
        command = ["git", *who, *words]
        done = subprocess.run(
            command, cwd=folder, check=True, capture_output=True, text=True, timeout=60
        )
        return done.stdout.strip()

    def head(self, folder: Path) -> str:
        return self.git(folder, "rev-parse", "HEAD")

    def test_of_a_branch(self, repository):
        assert subject.commit_of(repository) == self.head(repository)

    def test_of_packed_refs(self, repository):
        self.git(repository, "pack-refs", "--all")

        assert not (repository / ".git/refs/heads/main").exists()
        assert subject.commit_of(repository) == self.head(repository)

    def test_of_a_detached_head(self, repository):
        self.git(repository, "checkout", "-q", "--detach")

        assert subject.commit_of(repository) == self.head(repository)

    def test_of_a_worktree_on_a_branch_of_its_own(self, repository):
        tree = repository.parent / "worktree"
        self.git(repository, "worktree", "add", "-q", "-b", "side", str(tree))
        self.git(tree, "commit", "-q", "--allow-empty", "-m", "second")

        assert (tree / ".git").is_file()
        assert subject.commit_of(tree) == self.head(tree) != self.head(repository)
        self.git(tree, "pack-refs", "--all")
        assert subject.commit_of(tree) == self.head(tree)

    def test_before_the_first_commit_there_is_none(self, tmp_path):
        self.git(tmp_path, "init", "-q")

        assert subject.commit_of(tmp_path) is None

    @pytest.mark.parametrize(
        "head",
        [
            "ref: refs/heads/../../../secret",
            "ref: /etc/passwd",
            "ref: refs/heads/.invalid",  # the reftable form
            "0123",
            "",
            "\0",
        ],
    )
    def test_a_head_that_is_none_is_not_followed(self, tmp_path, head):
        git = tmp_path / ".git"
        git.mkdir()
        (git / "HEAD").write_text(head + "\n")
        (tmp_path / "secret").write_text(COMMIT)

        assert subject.commit_of(tmp_path) is None

    def test_refs_in_a_circle_end(self, tmp_path):
        (tmp_path / ".git/refs/heads").mkdir(parents=True)
        for name in ("HEAD", "refs/heads/a"):
            (tmp_path / ".git" / name).write_text("ref: refs/heads/a\n")

        assert subject.commit_of(tmp_path) is None

    def test_a_pipe_in_place_of_a_file_is_not_waited_for(self, tmp_path):
        (tmp_path / ".git").mkdir()
        os.mkfifo(tmp_path / ".git/HEAD")

        assert subject.commit_of(tmp_path) is None

    @pytest.mark.parametrize("text", ["gitdir: nowhere\n", "nothing\n", "gitdir: a\0b\n"])
    def test_a_link_to_nothing_has_none(self, tmp_path, text):
        (tmp_path / ".git").write_text(text)

        assert subject.commit_of(tmp_path) is None


def test_a_tree_without_git_is_named_unknown(tmp_path):
    write_headers(tmp_path)
    put_library(tmp_path, library_bytes())

    assert find_library(tmp_path).commit == "unknown"
