"""`hilnas` with Ctrl-C pressed right behind its first candidate: `python -m
tests.search.interrupted_cli search CONFIG ...`. The signal is sent by the process itself, between
the first line of the journal and whatever would follow, so that no pace of the machine decides
what is interrupted."""

import signal

import search.display
from search.__main__ import main
from search.display import Display
from search.progress import Event, Told


class InterruptingDisplay(Display):
    def on_event(self, event: Event) -> None:
        super().on_event(event)
        if isinstance(event, Told):
            signal.raise_signal(signal.SIGINT)  # is handled before this returns


if __name__ == "__main__":
    search.display.Display = InterruptingDisplay
    main()
