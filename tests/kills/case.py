"""What happens in one run that is killed again and again? Killed at drawn moments, resumed, and in
the end held against the undisturbed run."""

from __future__ import annotations

import os
import random
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.kills.folder import (
    FINALISTS,
    JOURNAL,
    Lines,
    archids_of,
    differences,
    drafts_of,
    files_of,
    lines_of,
    same_values,
    written_at,
)
from tests.kills.search import HOWS, Place, Session

SESSION_DEADLINE_S = 1800.0  # of one start of the command
# What a killed search started must have ended by then, or by the time that a whole run takes: a
# worker looks after its parent as soon as it is up, and importing is slow on a busy machine.
GONE_LIMIT_S = 60.0
_POLL_S = 0.005
# What is watched for by a kill that waits for a file, by the first part of its name.
WATCHED = ("config.toml", JOURNAL, "models", "weights", FINALISTS, "finalists", "front")


@dataclass(frozen=True)
class Undisturbed:
    """The run that the others must equal. seconds: it took, from start to end of the command."""

    run_dir: Path
    report: Path
    seconds: float

    @property
    def lines(self) -> int:
        return lines_of(self.run_dir / JOURNAL).count

    @property
    def finalists(self) -> int:
        return lines_of(self.run_dir / FINALISTS).count


@dataclass(frozen=True)
class Moment:
    """When and how a session is killed. seconds: after its start, where no file is waited for;
    after the file named `file`, or one in that folder, was seen to change, where one is.
    at_once: the next session starts right after it, whatever still lives of this one."""

    how: str
    file: str
    seconds: float
    at_once: bool


@dataclass(frozen=True)
class Kill:
    """One that hit. lines, finalists: whole lines of the journal, its header among them, and of
    finalists.jsonl at that moment; torn_bytes behind either; drafts: half-written files. gone_s:
    until all processes of the session were gone, where that was waited for."""

    moment: Moment
    phase: str
    lines: int
    finalists: int
    torn_bytes: int
    drafts: int
    gone_s: float | None = None


@dataclass
class Outcome:
    """Of run `number`. sessions: starts of the command, the last of which ended by itself."""

    number: int
    kills: list[Kill] = field(default_factory=list)
    sessions: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


def draw_moment(draw: random.Random, seconds: float) -> Moment:
    """Half of them uniform over the time that the undisturbed run took, half when a file of the
    run folder is being written."""
    file = draw.choice(WATCHED) if draw.random() < 0.5 else ""
    after = draw.uniform(0.0, 0.02) if file else draw.uniform(0.0, seconds)
    return Moment(draw.choice(HOWS), file, after, draw.random() < 0.5)


def run_undisturbed(place: Place) -> Undisturbed:
    name = f"undisturbed-{place.job}"
    run_dir = place.folder / name
    session = Session(place, run_dir, name=name)
    since = time.monotonic()
    code = session.process.wait(SESSION_DEADLINE_S)
    seconds = time.monotonic() - since
    if code != 0:
        raise RuntimeError(f"the undisturbed run ended with exit code {code}: see {session.log}")
    return Undisturbed(run_dir, session.report, seconds)


def run_killed(place: Place, whole: Undisturbed, *, seed: int, number: int, kills: int) -> Outcome:
    """Run `number` of `seed`: killed at most `kills` times. Its folder is left for who reads of
    problems, and removed by who does not."""
    draw = random.Random(f"{seed}:{number}")
    run_dir = place.folder / f"run-{number}"
    outcome = Outcome(number)
    since = time.monotonic()
    sessions: list[Session] = []
    kept: dict[str, bytes] = {}
    written: dict[str, int] = {}
    while True:
        session = Session(place, run_dir, name=f"run-{number}-session-{len(sessions)}")
        sessions.append(session)
        moment = draw_moment(draw, whole.seconds) if len(outcome.kills) < kills else None
        has_ended = _wait(session, run_dir, moment)
        if has_ended or moment is None:
            break
        session.kill(moment.how)
        phase = _phase(session, run_dir, whole)
        journal, finalists = lines_of(run_dir / JOURNAL), lines_of(run_dir / FINALISTS)
        outcome.problems += _changed(kept, {JOURNAL: journal, FINALISTS: finalists})
        kept = {JOURNAL: journal.whole, FINALISTS: finalists.whole}
        written = {**written_at(run_dir, set(archids_of(journal))), **written}
        drafts = len(drafts_of(run_dir))
        gone_s = None if moment.at_once else _require_gone(session, whole, outcome)
        torn = journal.torn + finalists.torn
        outcome.kills.append(
            Kill(moment, phase, journal.count, finalists.count, torn, drafts, gone_s)
        )
    outcome.problems += _verdict(session, place, run_dir, whole, kept, written)
    for each in sessions:
        _require_gone(each, whole, outcome)
    outcome.sessions = len(sessions)
    outcome.seconds = round(time.monotonic() - since, 1)
    return outcome


def _wait(session: Session, run_dir: Path, moment: Moment | None) -> bool:
    """Until `moment`, or the end of the session: whether that came first."""
    end = time.monotonic() + SESSION_DEADLINE_S
    if moment is not None and not moment.file:
        end = time.monotonic() + moment.seconds
    before = _stamps(run_dir, moment.file) if moment is not None and moment.file else None
    while session.process.poll() is None:
        if before is not None and moment is not None and _stamps(run_dir, moment.file) != before:
            time.sleep(moment.seconds)
            return session.process.poll() is not None
        if time.monotonic() >= end:
            if moment is not None and not moment.file:
                return False
            session.kill("all")
            return True
        time.sleep(_POLL_S)
    return True


def _stamps(run_dir: Path, file: str) -> set[tuple[str, int, int]]:
    """Which files of that name or folder there are, drafts included, when written and how long."""
    found = set()
    for folder in (run_dir, run_dir / file):
        try:
            entries = list(os.scandir(folder))
        except OSError:
            continue
        for entry in entries:
            if folder != run_dir or entry.name.removeprefix(".").startswith(file):
                try:
                    state = entry.stat()
                except OSError:
                    continue
                found.add((entry.name, state.st_mtime_ns, state.st_size))
    return found


def _phase(session: Session, run_dir: Path, whole: Undisturbed) -> str:
    """What the session was about, by what the run folder holds."""
    config = run_dir / "config.toml"
    if not (run_dir / JOURNAL).exists():
        return "before the journal"
    if config.stat().st_mtime < session.began:
        return "starting again"
    if lines_of(run_dir / JOURNAL).count < whole.lines:
        return "searching"
    if lines_of(run_dir / FINALISTS).count < whole.finalists:
        return "finalists"
    front = run_dir / "front.json"
    if not front.exists() or front.stat().st_mtime < session.began:
        return "shipping the front"
    return "reporting"


def _changed(kept: dict[str, bytes], now: dict[str, Lines]) -> list[str]:
    """What stood in a file when the last session was killed must stand there for good."""
    return [
        f"{name} lost or changed what stood in it"
        for name, lines in now.items()
        if not lines.whole.startswith(kept.get(name, b""))
    ]


def _verdict(
    session: Session,
    place: Place,
    run_dir: Path,
    whole: Undisturbed,
    kept: dict[str, bytes],
    written: dict[str, int],
) -> list[str]:
    """Of the session that was not killed."""
    code = session.process.returncode
    if code != 0:
        words = session.log.read_text(errors="replace").strip().splitlines()[-3:]
        return [f"{session.name} ended with exit code {code}: {' / '.join(words)}"]
    now = {name: lines_of(run_dir / name) for name in (JOURNAL, FINALISTS)}
    problems = _changed(kept, now)
    for name, lines in now.items():
        archids = archids_of(lines)
        if len(set(archids)) != len(archids):
            problems.append(f"{name} holds a candidate twice")
    stamps = {name: (run_dir / name).stat().st_mtime_ns for name in written}
    again = sorted(name for name in written if stamps[name] != written[name])
    problems += [f"{name} was written again: its candidate was in the journal" for name in again]
    problems += differences(run_dir, whole.run_dir)
    if not same_values(session.report, whole.report):
        problems.append("the report differs")
    return problems


def _require_gone(session: Session, whole: Undisturbed, outcome: Outcome) -> float:
    seconds, commands = session.outlived_by(max(GONE_LIMIT_S, whole.seconds))
    outcome.problems += [f"{session.name} left a process behind: {each}" for each in commands]
    return round(seconds, 2)


def leftovers(place: Place) -> list[str]:
    """What killed sessions left outside of run folders: files half delivered to the cache, and
    what compilers left in TMPDIR."""
    hidden = [name for name in files_of(place.cache) if Path(name).name.startswith(".firmware")]
    return sorted(f"cache/{name}" for name in hidden) + sorted(
        f"tmp/{name}" for name in files_of(place.scratch)
    )
