"""The virtual board: a Cortex-M4F in a process of its own, behind a pty."""

from harness.virtual.board import TIMING_MODEL, Counters, VirtualBoard

__all__ = ["TIMING_MODEL", "Counters", "VirtualBoard"]
