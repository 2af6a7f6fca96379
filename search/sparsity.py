"""What share of a network's channels is to be pruned, and when? The gene beside a genotype, and
the schedule within a training. Pure arithmetic; must not know what a channel is.
"""

from __future__ import annotations

import numpy as np

# A network of a tenth of the channels is a hundredth of the weights: below, another genotype is
# the better way.
GREATEST = 0.9
# Of the gene, from parent to child (arXiv 2010.14246).
DEVIATION = 0.05


def mutate(sparsity: float, rng: np.random.Generator) -> float:
    """The sparsity of a child: N(parent's, 0.05), clipped to [0, 0.9]."""
    return float(np.clip(sparsity + rng.normal(0.0, DEVIATION), 0.0, GREATEST))


def sparsity_at(step: int, ramp_steps: int, final: float) -> float:
    """The sparsity at `step`: from 0 to `final` within `ramp_steps`, fast at first, when there is
    much to choose from (Zhu and Gupta, arXiv 1710.01878, equation 1)."""
    left = 1.0 - step / ramp_steps if step < ramp_steps else 0.0
    return final * (1.0 - left**3)
