"""Does a measurement ever come out wrong when the line or the board fails? Seeded faults between
harness and virtual board, each outcome judged. docs/reliability.md has the results."""
