"""A stand-in for Renode in tests, and nothing else: it takes Renode's options and a script as
harness/renode_platform.py writes them, and plays the firmware's host port where Renode would play
the ELF. What HILNAS_RENODE_DOUBLE says it does instead:

    mute    never comes to a console
    refuse  finds a fault in the script and waits for commands, as the Monitor does
    end     says something and ends

It imports little, since every reset starts one."""

import os
import pty
import re
import subprocess
import sys
import termios
import time
import tty
from pathlib import Path

OPTIONS = ["--disable-xwt", "--console", "--plain", "--config"]


def main() -> None:
    if sys.argv[1:] == ["--version"]:
        print("Renode v1.16.1.26112\n  build: 0000000\n  build type: Release\n  runtime: .NET 8")
        return
    *options, _, script = sys.argv[1:]
    if options != OPTIONS:
        sys.exit(f"usage: renode [options], not {options}")
    print("16:20:48.0337 [INFO] Including script", flush=True)
    does = os.environ.get("HILNAS_RENODE_DOUBLE", "play")
    if does == "end":
        print("16:20:48.0338 [ERROR] Fatal: no tlib for this machine")
        print("16:20:48.0339 [INFO] Disposed")
        sys.exit(3)
    if does == "refuse":
        print("There was an error executing command 'machine LoadPlatformDescription @board.repl'")
        print("Error E04: Could not resolve type: 'Moon.Phase'.", flush=True)
    elif does == "play":
        play(Path(script).read_text().splitlines())
    monitor()


def play(script: list[str]) -> None:
    assert script[-1] == "start"
    (elf,) = (line[16:] for line in script if line.startswith("sysbus LoadELF @"))
    (link,) = (m[1] for line in script if (m := re.search(r'UartPtyTerminal "\w+" "(.*)" ', line)))
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    # Renode copies the settings of its standard input: of what is no terminal, any.
    settings = termios.tcgetattr(theirs)
    settings[6][termios.VMIN] = 200
    termios.tcsetattr(theirs, termios.TCSANOW, settings)
    os.symlink(os.ttyname(theirs), link)
    subprocess.Popen([elf.replace("\\ ", " "), "-"], stdin=ours)


def monitor() -> None:
    """Reads commands until somebody ends it; an end of file would be read for ever."""
    while sys.stdin.readline():
        pass
    print("16:20:48.0340 [ERROR] standard input has ended", flush=True)
    time.sleep(600)


if __name__ == "__main__":
    main()
