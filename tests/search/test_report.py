"""A report says what the run folder says: no more, nothing unescaped, nothing from elsewhere."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from harness.errors import ConfigError, JournalError, NotComparableError
from search.config import Bounds
from search.evaluation import Evaluation, Rejected
from search.report.page import render_page
from search.report.plots import plot_run, render_png, render_svg
from search.report.proxy import BAND, FEWEST, fullest_band, judge_macs
from search.report.run_folder import find_front, read_front, read_run
from search.report.tables import front_table
from search.report.write import write_report
from tests.measurements import make_measurement
from tests.search.evaluations import make_evaluation, make_rejected
from tests.search.runs import CONFIG, make_outcomes, write_run, write_tested


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_run(tmp_path_factory.mktemp("runs") / "run", make_outcomes(24))
    write_tested(folder, read_run(folder).front)
    return folder


def print_table(run_dir: Path) -> str:
    console = Console(width=140, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(front_table(read_run(run_dir)))
    return console.export_text()


# --- the run folder ---------------------------------------------------------------------------


def test_a_run_is_read_from_its_folder_alone(run_dir: Path) -> None:
    run = read_run(run_dir)
    assert run.config == CONFIG and len(run.outcomes) == 48
    assert (run.dataset, run.test_images) == ("fashion_mnist", 10_000)
    assert set(run.tested) == {e.archid for e in run.front} != set()
    assert run.versions["torch"] == "2.13.0" and run.host["cores"] == 2


def test_the_front_is_ordered_by_latency_and_keeps_the_bounds() -> None:
    config = replace(CONFIG, bounds=Bounds(latency_us=2000.0))
    slow = make_evaluation(archid="slow", cycles=200_001, val_error=0.01)
    exact = make_evaluation(archid="exact", cycles=150_000, val_error=0.02)
    fast = make_evaluation(archid="fast", cycles=1000, val_error=0.3)
    front = find_front(config, [slow, make_rejected(), exact, fast])
    assert [e.archid for e in front] == ["fast", "exact"]


def test_the_front_keeps_the_error_goal_once_a_network_reaches_it() -> None:
    config = replace(CONFIG, bounds=Bounds(val_error=0.15))
    good = make_evaluation(val_error=0.14, cycles=200_000)
    poor = make_evaluation(val_error=0.40, cycles=100_000)
    assert find_front(config, [good, poor]) == (good,)
    assert find_front(config, [poor]) == (poor,)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="nowhere: no such run folder; check the path"):
        read_run(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="config.toml: no such file"):
        read_run(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 2}', '{"schema": 1, "members": [{}]}'])
def test_a_damaged_front_record_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "front.json").write_text(text)
    with pytest.raises(JournalError, match=r"front\.json: is no front record: .*resume the run"):
        read_front(tmp_path)


def test_a_missing_or_damaged_environment_costs_only_its_facts(tmp_path: Path) -> None:
    write_run(tmp_path, [])
    for text in ("not json", '{"host": 1}', "{}"):
        (tmp_path / "environment.json").write_text(text)
        assert read_run(tmp_path).host == {}


# --- MACs as a proxy --------------------------------------------------------------------------


def test_macs_are_judged_over_all_and_within_a_narrow_band() -> None:
    macs = [1000, 100_000, 110_000, 120_000, 130_000, 140_000, 9_000_000]
    cycles = [4000, 900_000, 700_000, 500_000, 400_000, 300_000, 36_000_000]
    proxy = judge_macs(
        [make_measurement(macs=m, cycles=c) for m, c in zip(macs, cycles, strict=True)]
    )
    assert proxy is not None
    assert proxy.error.n == 7 and proxy.error.rank_correlation > 0.2
    assert (proxy.band_count, proxy.band_rank_correlation) == (5, pytest.approx(-1.0))
    assert proxy.band_spread == pytest.approx(3.0)
    assert (
        "Among the 5 networks whose MACs lie within a factor of 2, it is -1.00" in proxy.sentences
    )


def test_too_few_measurements_say_nothing() -> None:
    few = [make_measurement(macs=m, cycles=m) for m in range(1, FEWEST)]
    assert judge_macs(few) is None


def test_a_band_of_equals_is_left_out_of_the_sentence() -> None:
    proxy = judge_macs([make_measurement(macs=500, cycles=c) for c in (1, 2, 3, 4, 5)])
    assert proxy is not None and proxy.band_rank_correlation is None
    assert "Among" not in proxy.sentences


def test_measurements_of_two_boards_never_meet() -> None:
    found = [make_measurement() for _ in range(FEWEST)] + [make_measurement(board="other")]
    with pytest.raises(NotComparableError, match="measurements differ in board"):
        judge_macs(found)


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=30))
def test_no_band_is_fuller_than_the_fullest(macs: list[int]) -> None:
    values = np.array(macs, float)
    band = values[fullest_band(values)]
    assert band.max() <= BAND * band.min()
    for low in values:
        assert ((values >= low) & (values <= BAND * low)).sum() <= len(band)


# --- the table --------------------------------------------------------------------------------


def test_the_table_has_a_row_a_member_and_the_measurements_label(run_dir: Path) -> None:
    text, run = print_table(run_dir), read_run(run_dir)
    assert "int8 test" in text
    for evaluation in run.front:
        row = next(line for line in text.splitlines() if evaluation.archid in line)
        assert f"{evaluation.measured.latency_us.median / 1e3:.2f} ms" in row
        assert f"{1 - run.tested[evaluation.archid].test_error:.2%}" in row
        assert f"{evaluation.measured.macs:,}" in row
    assert "modelled (pipeline-1)" in text


def test_before_the_test_split_is_touched_the_column_says_validation(tmp_path: Path) -> None:
    evaluation = make_evaluation(val_error=0.25, sram_bytes=2048, flash_bytes=10_240)
    text = print_table(write_run(tmp_path, [evaluation]))
    assert "validation" in text and "int8 test" not in text
    assert all(cell in text for cell in ("75.00%", "2.0 KiB", "10.0 KiB", "1.00 ms"))


def test_a_run_without_a_front_says_so(tmp_path: Path) -> None:
    text = print_table(write_run(tmp_path, [make_rejected()]))
    assert "no trained network inside the bounds" in text


# --- the picture ------------------------------------------------------------------------------


def texts_of(figure) -> str:
    found = [text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text"))]
    return "\n".join(found)


def test_the_figure_carries_its_label_bounds_and_fit(run_dir: Path) -> None:
    run = read_run(run_dir)
    figure = plot_run(run)
    render_png(figure)  # lays out what is drawn
    text = texts_of(figure)
    assert run.front[0].measured.label in text
    assert "latency bound" in text and "error bound" in text
    assert f"best constant: {run.proxy.error.cycles_per_mac:.2f} cycles per MAC" in text
    assert f"MAPE {run.proxy.error.mape_percent:.0f} %" in text


def test_every_trained_and_every_measured_network_is_drawn(run_dir: Path) -> None:
    run = read_run(run_dir)
    left, right, *_ = plot_run(run).axes
    trained = [o for o in run.outcomes if isinstance(o, Evaluation)]
    measured = [o for o in run.outcomes if isinstance(o, Evaluation) or o.untrained]
    assert len(left.collections[0].get_offsets()) == len(trained)
    assert sum(len(c.get_offsets()) for c in right.collections) == len(measured)


def test_equal_runs_give_equal_files(run_dir: Path) -> None:
    run = read_run(run_dir)
    assert render_svg(plot_run(run)) == render_svg(plot_run(run))
    assert render_png(plot_run(run)) == render_png(plot_run(run))


@pytest.mark.parametrize(
    "outcomes",
    [[], [make_rejected()], [make_evaluation()], [make_evaluation(val_error=0.0)] * 6],
    ids=["empty", "failed", "one", "equals"],
)
def test_a_run_with_next_to_nothing_still_has_a_picture(tmp_path: Path, outcomes: list) -> None:
    run = read_run(write_run(tmp_path, outcomes))
    assert render_png(plot_run(run)).startswith(b"\x89PNG")


def test_a_hopeless_network_does_not_squeeze_the_others(tmp_path: Path) -> None:
    errors = [0.10, 0.11, 0.12, 0.13, 0.9]
    outcomes = [
        make_evaluation(archid=f"{index:016x}", val_error=error, cycles=10_000 * (index + 1))
        for index, error in enumerate(errors)
    ]
    figure = plot_run(read_run(write_run(tmp_path, outcomes)))
    assert figure.axes[0].get_ylim()[1] < 0.5
    assert "1 above" in texts_of(figure)


def test_dollar_signs_in_names_are_not_mathematics(tmp_path: Path) -> None:
    config = replace(CONFIG, name=r"$\nonsense{$")
    run = read_run(write_run(tmp_path, [make_evaluation()], config=config))
    assert render_png(plot_run(run)).startswith(b"\x89PNG")


# --- the page ---------------------------------------------------------------------------------


def test_the_report_is_three_files_made_from_the_folder(run_dir: Path) -> None:
    page = write_report(run_dir, read_run(run_dir))
    assert page == run_dir / "report.html"
    assert (run_dir / "front.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (run_dir / "front.svg").read_bytes()


def test_the_page_fetches_nothing(run_dir: Path) -> None:
    page = write_report(run_dir, read_run(run_dir)).read_text()
    addresses = re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?([^\"')> ]+)", page)
    assert addresses and all(a.startswith("data:image/svg+xml;base64,") for a in addresses)
    assert "<script" not in page and "@import" not in page


def test_the_page_tells_front_proxy_rejections_and_settings(run_dir: Path) -> None:
    run = read_run(run_dir)
    page = write_report(run_dir, run).read_text()
    assert all(e.archid in page for e in run.front)
    assert run.front[0].measured.label in page
    assert run.proxy.sentences in page
    assert "by arithmetic, before anything was built" in page
    assert "accuracy on 10,000 test images, used once" in page
    assert "<td>search.rounds</td><td>60</td>" in page
    assert "<td>version of torch</td><td>2.13.0</td>" in page


def test_before_the_end_the_page_says_that_the_test_split_is_untouched(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path, [make_evaluation()])
    page = write_report(run_dir, read_run(run_dir)).read_text()
    assert "the test split was not touched yet" in page
    assert "Too few networks were measured to say." in page


def test_whatever_came_from_a_file_is_escaped(tmp_path: Path) -> None:
    evil = "<script>alert('1')<script>"
    config = replace(CONFIG, name=evil)
    rejected = replace(make_rejected(), archid=evil, reason=evil)
    assert isinstance(rejected, Rejected)
    write_run(tmp_path, [rejected, make_evaluation(archid=evil)], config=config)
    (tmp_path / "environment.json").write_text(f'{{"host": {{"{evil}": "{evil}"}}}}')
    write_tested(tmp_path, read_run(tmp_path).front, notice=evil)
    run = read_run(tmp_path)
    page = render_page(run, b"<svg/>")
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(&#x27;1&#x27;)") >= 6
