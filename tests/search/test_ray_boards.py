from pathlib import Path

from tests.search.apart import run_apart


def test_boards_of_a_cluster(tmp_path: Path) -> None:
    run_apart("tests/search/on_ray_boards.py", tmp_path)
