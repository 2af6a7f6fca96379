"""Where does each tensor lie in the arena, and when does each operator run? What a kernel does to
memory is in harness/kernels.py; nothing else is known about C."""

from harness.planner.plan import ArenaPlan, plan

__all__ = ["ArenaPlan", "plan"]
