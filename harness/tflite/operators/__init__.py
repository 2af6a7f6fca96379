"""What must each supported operator look like? Operand counts, types, shapes, quantisation and
options: one module a family of operators, one function an operator kind. Whatever passes here the
kernels compute exactly as TFLite Micro's reference kernels do; whatever those would refuse, or
abort on, is refused here first."""

from __future__ import annotations

from harness.tflite.operators import (
    activation,
    arithmetic,
    conversion,
    convolution,
    joining,
    matmul,
    movement,
    padding,
    pooling,
    recurrent,
    reduction,
    resizing,
    slicing,
)
from harness.tflite.operators.node import Check, Node
from harness.tflite.operators.recurrent import STATES
from harness.tflite.operators.shape import fold, must_be_known

CHECKS: dict[str, Check] = {
    **activation.CHECKS,
    **arithmetic.CHECKS,
    **conversion.CHECKS,
    **convolution.CHECKS,
    **joining.CHECKS,
    **matmul.CHECKS,
    **movement.CHECKS,
    **padding.CHECKS,
    **pooling.CHECKS,
    **recurrent.CHECKS,
    **reduction.CHECKS,
    **resizing.CHECKS,
    **slicing.CHECKS,
}

__all__ = ["CHECKS", "STATES", "Check", "Node", "fold", "must_be_known"]
