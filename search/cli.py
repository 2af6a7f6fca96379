"""What can be asked of the search on the command line? Adds its commands to the harness's and
holds the entry point of `hilnas`."""

from __future__ import annotations

import sys

from harness.cli import app, run


def main() -> None:
    """The `hilnas` command."""
    sys.exit(run(app))


if __name__ == "__main__":
    main()
