"""A report says what the run folder says: no more, nothing unescaped, nothing from elsewhere."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from harness.errors import ConfigError, JournalError
from search.config import Bounds, Finalists
from search.evaluation import Cost, Evaluation, Rejected
from search.report.ancestry_plot import plot_ancestors
from search.report.drawing import render_png, render_svg
from search.report.growth_plot import plot_growth
from search.report.page import render_page
from search.report.plots import plot_run
from search.report.proxy_plot import plot_sizes
from search.report.run_folder import find_front, read_front, read_run
from search.report.sheet import Sheet, terminal_table
from search.report.summary import summary
from search.report.tables import comparison_sheet, front_sheet, report_sheets, tiers_sheet
from search.report.write import write_report
from tests.measurements import make_energy, make_measurement
from tests.search.evaluations import make_evaluation, make_rejected
from tests.search.runs import (
    CONFIG,
    make_family,
    make_outcomes,
    write_finalist,
    write_run,
    write_tested,
)

BROKEN_CLOCK = make_measurement(started_at="")


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_run(tmp_path_factory.mktemp("runs") / "run", make_outcomes(24))
    write_tested(folder, read_run(folder).front)
    return folder


def print_table(run_dir: Path) -> str:
    console = Console(width=140, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(terminal_table(front_sheet(read_run(run_dir))))
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


def test_energy_has_a_column_where_it_was_measured(tmp_path: Path) -> None:
    measured = make_measurement(energy=make_energy(1500.0))
    outcome = make_evaluation(cycles=10_000, measured=measured, untrained=measured)
    sheet = front_sheet(read_run(write_run(tmp_path / "run", [outcome])))
    assert sheet.heads[-1] == "energy"
    assert [row[-1] for row in sheet.rows] == ["1,500 +- 45 uJ"]
    assert sheet.note.endswith(f"; energy by {make_energy().label}")


def test_the_terminal_shows_every_table_that_has_rows(run_dir: Path, tmp_path: Path) -> None:
    assert [sheet.title.split(" of ")[0] for sheet in report_sheets(read_run(run_dir))] == [
        "Pareto front",
        "What each tier cost and turned down",
        "Why candidates were turned down",
        "Proxies against measurements",
        "Beside published networks",
    ]
    nothing = read_run(write_run(tmp_path, []))
    assert [sheet.title for sheet in report_sheets(nothing)] == [
        "Pareto front of demo",
        "What each tier cost and turned down",
    ]


def test_a_terminal_shows_the_ancestors_of_the_most_exact_network(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path, make_family(4)))
    (sheet,) = (s for s in report_sheets(run) if s.title.startswith("Ancestors"))
    assert [row[0] for row in sheet.rows] == [outcome.archid for outcome in run.outcomes]
    assert sheet.title.endswith(run.outcomes[-1].archid)


def test_times_that_the_journal_lacks_are_absent_and_not_zero(tmp_path: Path) -> None:
    without = tiers_sheet(read_run(write_run(tmp_path / "old", make_outcomes(4))))
    assert {row[-3:] for row in without.rows} == {("–", "–", "–")}
    assert without.note == "the journal does not say what each tier took"

    old, new = make_outcomes(1), make_family(2)
    partly = tiers_sheet(read_run(write_run(tmp_path / "both", [*old, *new], every_s=30)))
    assert dict(zip(partly.heads, partly.rows[-1], strict=True))["time"] == "40.0 s"
    assert "the journal gives times of some candidates only" in partly.note


def test_wall_time_of_the_workers_stands_beneath_the_tiers(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path, make_family(3), every_s=12))
    sheet = tiers_sheet(run)
    assert [row[-3:] for row in sheet.rows] == [
        ("0.0 s", "0.010 s", "0.0%"),
        ("6.0 s", "2.000 s", "9.1%"),
        ("60.0 s", "20.000 s", "90.9%"),
    ]
    assert "83.3% of the workers' wall time went into training and measuring" in sheet.note
    assert "finalist" not in sheet.note and summary(tmp_path, run)["finalists_time"] is None


def test_a_run_that_went_on_with_other_workers_has_their_time(tmp_path: Path) -> None:
    outcomes = make_family(3)
    alone = read_run(write_run(tmp_path / "alone", outcomes, every_s=12, workers=[1, 1, 1]))
    more = read_run(write_run(tmp_path / "more", outcomes, every_s=12, workers=[1, 3, 3]))

    assert alone.wall_time is not None and more.wall_time is not None
    assert alone.wall_time.workers_s == 36 and more.wall_time.workers_s == 12 + 3 * 24
    assert alone.config == more.config, "which has the workers of one session only"


def test_what_finalists_took_stands_beside_what_the_search_took(tmp_path: Path) -> None:
    config = replace(CONFIG, finalists=Finalists(epochs=5))
    run_dir = write_run(tmp_path, make_family(3), config=config, every_s=12)
    trained_on = make_evaluation(
        val_error=0.9,  # it takes nobody's place, and took its time
        spent={"finalist": 40.0},
        activities={"training": 35.0, "measuring": 1.0, "exporting": 4.0},
    )
    write_finalist(run_dir, trained_on, epochs=5)
    run = read_run(run_dir)
    sheet = tiers_sheet(run)
    assert sheet.rows[-1][:2] == ("finalist", "trained on after the search")
    assert sheet.rows[-1][2:] == ("1", "0", "0", "1", "40.0 s", "40.000 s", "37.7%")
    assert "finalists took 40.0 s of the workers' time after the search, 90.0% of" in sheet.note
    assert "83.3% of the workers' wall time went into training and measuring" in sheet.note
    assert summary(tmp_path, run)["finalists_time"]["useful_share"] == pytest.approx(0.9)


def test_published_networks_of_the_same_data_stand_before_ours(tmp_path: Path) -> None:
    config = replace(CONFIG, data=replace(CONFIG.data, name="cifar10"))
    sheet = comparison_sheet(read_run(write_run(tmp_path, make_family(1), config=config)))
    assert [row[1] for row in sheet.rows] == ["cifar10", "cifar10, binary", "cifar10"]
    assert sheet.rows[0][2:6] == ("86.49 %", "11.4 KB", "15.4 KB", "384 K")
    assert [row[-1] for row in sheet.rows] == ["not run", "not run", "virtual, modelled"]
    assert "int8 accuracy on the validation split; nucleo_f412zg, via virtual" in sheet.note


def test_without_any_of_the_same_data_sizes_alone_compare(run_dir: Path) -> None:
    sheet = comparison_sheet(read_run(run_dir))
    assert "none of them is on fashion_mnist: only sizes compare" in sheet.note
    assert "int8 accuracy on the test split" in sheet.note


@pytest.mark.parametrize(
    "counted", [{"slimmed_cost": Cost(7, 1_234, 567)}, {"cost": Cost(7, 1_234, 567)}]
)
def test_a_pruned_network_is_counted_as_slimmed(tmp_path: Path, counted: dict) -> None:
    """In early journals, too, which have no other count of it."""
    pruned = make_evaluation(slimmed={"blocks": []}, **counted)
    run = read_run(write_run(tmp_path, [pruned]))
    assert comparison_sheet(run).rows[-1][3:5] == ("1,234 B", "567 B")
    assert summary(tmp_path, run)["front"][0]["cost"]["model_size_bytes"] == 1_234
    assert "<td>7</td></tr>" in render_page(run, {}), "among all candidates"


def test_markup_in_a_cell_is_text() -> None:
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(terminal_table(Sheet("[b]t[/]", ("a",), (("[red]x[/]",),))))
    text = console.export_text()
    assert "[b]t[/]" in text and "[red]x[/]" in text


# --- the summary ------------------------------------------------------------------------------


def test_the_summary_is_json_with_null_for_what_is_not_recorded(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path, [make_evaluation(untrained=BROKEN_CLOCK)]))
    found = json.loads(json.dumps(summary(tmp_path, run), allow_nan=False))
    assert found["hypervolume"]["by_seconds"] is None
    assert found["wall_time"] is None and found["macs_as_proxy"] is None
    assert [tier["seconds"] for tier in found["tiers"]] == [None] * 3
    assert found["front"][0]["test_error"] is None and found["proxies"] == []


def test_the_summary_has_chains_of_parents_and_steps_of_hypervolume(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path, make_family(5), every_s=2))
    found = json.loads(json.dumps(summary(tmp_path, run), allow_nan=False))
    chain = found["ancestors"][run.outcomes[-1].archid]
    assert [step["index"] for step in chain] == [0, 1, 2, 3, 4]
    assert chain[0]["parent"] is None and chain[1]["parent"] == chain[0]["archid"]
    assert all(step["changes"] for step in chain[1:])
    assert [at for at, _ in found["hypervolume"]["by_seconds"]] == [2, 4, 6, 8, 10]
    assert found["hypervolume"]["by_candidate"][-1][0] == 5
    assert {p["proxy"] for p in found["proxies"]} == {"MACs", "model size", "peak memory"}


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
    macs = run.proxies[0]
    assert f"best constant: {macs.constant:.2f} cycles per MAC" in text
    assert f"MAPE {macs.mape_percent:.0f} %" in text


def test_every_trained_and_every_measured_network_is_drawn(run_dir: Path) -> None:
    run = read_run(run_dir)
    left, right, *_ = plot_run(run).axes
    trained = [o for o in run.outcomes if isinstance(o, Evaluation)]
    measured = [o for o in run.outcomes if isinstance(o, Evaluation) or o.untrained]
    assert len(left.collections[0].get_offsets()) == len(trained)
    assert sum(len(c.get_offsets()) for c in right.collections) == len(measured)


def test_finalists_are_in_the_picture(tmp_path: Path) -> None:
    """They err less than any candidate did."""
    config = replace(CONFIG, finalists=Finalists(epochs=5))
    run_dir = write_run(tmp_path, [make_evaluation(val_error=0.30)], config=config)
    write_finalist(run_dir, make_evaluation(val_error=0.05), epochs=5)
    left, *_ = plot_run(read_run(run_dir)).axes
    errors = [error for _, error in left.collections[0].get_offsets()]
    assert sorted(errors) == [0.05, 0.30]
    assert left.get_ylim()[0] < 0.05 and left.get_ylim()[1] > 0.30


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


def test_a_bound_far_outside_does_not_squeeze_the_picture(tmp_path: Path) -> None:
    config = replace(CONFIG, bounds=Bounds(latency_us=80_000.0))
    figure = plot_run(read_run(write_run(tmp_path, [make_evaluation()], config=config)))
    assert figure.axes[0].get_xlim()[1] < 80
    assert "latency bound at 80, outside" in texts_of(figure)


def test_hypervolume_is_drawn_over_candidates_and_over_time_where_there_is_one(
    tmp_path: Path,
) -> None:
    outcomes = make_family(3)
    timed = plot_growth(read_run(write_run(tmp_path / "timed", outcomes, every_s=5)))
    untimed = [
        replace(outcome, untrained=BROKEN_CLOCK, measured=BROKEN_CLOCK) for outcome in outcomes
    ]
    plain = plot_growth(read_run(write_run(tmp_path / "plain", untimed)))
    names = ["candidates asked for", "seconds of wall time"]
    assert [axes.get_xlabel() for axes in timed.axes] == names
    assert [axes.get_xlabel() for axes in plain.axes] == names[:1]
    assert "share of the box below val_error 0.12" in texts_of(plain)


def test_where_nothing_was_trained_the_hypervolume_says_so(tmp_path: Path) -> None:
    figure = plot_growth(read_run(write_run(tmp_path, [make_rejected()])))
    assert "no network was trained" in texts_of(figure)
    assert render_png(figure).startswith(b"\x89PNG")


def test_sizes_and_ancestors_are_drawn_where_there_are_any(tmp_path: Path, run_dir: Path) -> None:
    family = read_run(write_run(tmp_path / "family", make_family(5)))
    sizes, ancestors = plot_sizes(family), plot_ancestors(family)
    assert sizes is not None and ancestors is not None
    render_png(sizes)
    assert "model size for flash" in texts_of(sizes) and "best constant" in texts_of(sizes)
    arrows = [text for text in ancestors.axes[0].texts if text.arrow_patch is not None]
    assert len(arrows) == 4
    alone = read_run(write_run(tmp_path / "alone", [make_evaluation()]))
    assert plot_sizes(alone) is None and plot_ancestors(alone) is None


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
    assert run.proxies[0].describe() in page
    assert run.growth.describe() in page
    assert "by arithmetic, before anything was built" in page
    assert "peak memory exceeds 65,536 bytes of SRAM" in page
    assert "µNAS, arXiv 2010.14246" in page
    assert "accuracy on 10,000 test images, used once" in page
    assert '<td>search.rounds</td><td class="text">60</td>' in page
    assert '<td>version of torch</td><td class="text">2.13.0</td>' in page


def test_before_the_end_the_page_says_that_the_test_split_is_untouched(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path, [make_evaluation()])
    page = write_report(run_dir, read_run(run_dir)).read_text()
    assert "the test split was not touched yet" in page
    assert "Too few networks were measured to say." in page


def test_each_finalist_with_ancestors_has_its_table(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path, make_family(4))
    run = read_run(run_dir)
    page = write_report(run_dir, run).read_text()
    last = run.outcomes[-1].archid
    assert f"<summary>Ancestors of {last}: 3 steps from {run.outcomes[0].archid}" in page
    assert f"Without a parent in the journal: {run.outcomes[0].archid}." in page


@pytest.mark.parametrize(
    ("outcomes", "words"),
    [
        ([], "The front is empty."),
        ([make_rejected(tier="measured", untrained=make_measurement())], "The front is empty."),
        ([make_evaluation()], "Nothing was turned down."),
    ],
    ids=["empty", "all rejected", "one"],
)
def test_a_run_with_next_to_nothing_has_a_page_too(
    tmp_path: Path, outcomes: list, words: str
) -> None:
    run_dir = write_run(tmp_path, outcomes)
    page = write_report(run_dir, read_run(run_dir)).read_text()
    assert words in page and "Too few networks were measured to say." in page


def test_whatever_came_from_a_file_is_escaped(tmp_path: Path) -> None:
    evil = "<script>alert('1')<script>"
    config = replace(CONFIG, name=evil)
    rejected = replace(make_rejected(), archid=evil, reason=evil)
    assert isinstance(rejected, Rejected)
    write_run(tmp_path, [rejected, make_evaluation(archid=evil)], config=config)
    (tmp_path / "environment.json").write_text(f'{{"host": {{"{evil}": "{evil}"}}}}')
    write_tested(tmp_path, read_run(tmp_path).front, notice=evil)
    run = read_run(tmp_path)
    page = render_page(run, {"front": b"<svg/>"})
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(&#x27;1&#x27;)") >= 6
