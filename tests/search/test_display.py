"""The live display: a line for what reached the board, and the counts."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console
from rich.text import Text

from search.display import Display, describe
from search.progress import Arrived, Asked, Finished, Noticed, Progress, Started, Told
from search.wall_time import WallTime
from tests.search.evaluations import make_evaluation, make_rejected


def show(*events, terminal: bool = False, width: int = 80) -> str:
    file = io.StringIO()
    with Display(Console(file=file, force_terminal=terminal, width=width)) as display:
        for event in events:
            display.on_event(event)
    return file.getvalue()


PROGRESS = Progress(rounds=48)


def test_a_trained_candidate_shows_error_latency_sram_and_flash():
    text = show(Arrived(7, make_evaluation(val_error=0.125, cycles=431_000), PROGRESS))
    for part in ("7", "trained", "12.5%", "4.31 ms", "SRAM", "flash"):
        assert part in text


def test_rejected_and_failed_candidates_show_their_reason():
    rejected = make_rejected(tier="measured", reason="too slow [really]")
    assert "rejected" in (text := show(Arrived(1, rejected, PROGRESS)))
    assert "too slow [really]" in text  # not taken for markup
    assert "rejected" in show(Arrived(1, make_rejected(tier="short"), PROGRESS))
    assert "failed" in show(Arrived(1, make_rejected(tier="failed"), PROGRESS))


def test_the_end_says_where_the_wall_time_went():
    wall = WallTime(20.0, {"training": 15.0, "compiling": 2.0}, {"full": 17.0}, 2)
    text = show(Finished("rounds", PROGRESS, wall), width=200)
    assert "75.0% of the workers' wall time went into training and measuring" in text
    assert "a candidate cost 1.00 s beside its training" in text


def test_a_notice_is_shown_as_it_is():
    assert "none of 10 [bounds]" in show(Noticed("none of 10 [bounds]", PROGRESS))


def test_rejections_by_arithmetic_do_not_scroll_by():
    assert show(Arrived(1, make_rejected(tier="analytic"), PROGRESS)) == ""


def test_replayed_candidates_are_counted_but_not_told_again():
    evaluation = make_evaluation()
    text = show(
        Started(Path("run"), 1, ("a line was torn",), PROGRESS),
        Asked(0, evaluation.archid, evaluation.cost, True, PROGRESS),
        Arrived(0, evaluation, PROGRESS),
        Told(0, evaluation, True, PROGRESS),
    )
    assert "trained" not in text
    assert "a line was torn" in text and "going on after 1 recorded candidates" in text


def test_in_a_terminal_a_bar_counts_candidates_rejections_best_and_time_left():
    progress = Progress(
        rounds=48, candidates=30, analytic=10, measured=5, short=2, failed=1, trained=9,
        best_val_error=0.117, left_s=125,
    )  # fmt: skip
    text = show(Finished("interrupted", progress), terminal=True)
    for part in ("30 candidates", "16 measured", "18 rejected", "9 trained", "11.7%", "17/48"):
        assert part in text
    assert "left 2:05" in text and "stopped: interrupted" in text


def test_without_an_estimate_no_time_is_invented():
    assert "left -:--" in show(Finished("rounds", PROGRESS), terminal=True)


def test_a_line_starts_with_number_and_archid():
    evaluation = make_evaluation()
    assert describe(3, evaluation).startswith(f"   3  {evaluation.archid[:8]}")


def test_the_line_of_a_trained_candidate_fits_into_80_columns():
    slow = make_evaluation(val_error=1.0, cycles=999_999_000)  # 9999.99 ms at 100 MHz
    assert len(Text.from_markup(describe(9999, slow))) <= 80


def test_in_80_columns_there_is_room_for_counts_and_a_bar():
    progress = Progress(
        rounds=2000, candidates=98765, analytic=96000, measured=1000, failed=10, trained=989,
        best_val_error=0.1, left_s=60_000,
    )  # fmt: skip
    text = show(Finished("rounds", progress), terminal=True)
    assert "…" not in text and "best error 10.0%" in text and "1999/2000" in text
    assert max(line.count("━") for line in text.splitlines()) >= 20
