"""How does a planned graph become C? Tables are computed here, once, with TensorFlow Lite's own
arithmetic; at run time nothing is left but the kernels.

    arithmetic.py   real scales -> integer multipliers, shifts and clamps
    tables.py       arrays -> C text
    operators/      one operator -> its tables and its call, one module a family
    model.py        a graph -> model.h, model.c
"""

from harness.codegen.model import generate

__all__ = ["generate"]
