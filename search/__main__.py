"""How does the process `hilnas` begin? With as little as Ctrl-C may meet before there is a command
to interrupt. Knows no command."""

from __future__ import annotations

import sys


def main() -> None:
    """Load the command line, which takes a moment, and call it."""
    try:
        from search.cli import main as command
    except KeyboardInterrupt:
        sys.stderr.write("hilnas: interrupted\n")
        sys.exit(130)
    command()


if __name__ == "__main__":
    main()
