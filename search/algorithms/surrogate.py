"""What would candidates come to, and which is the most promising? Gaussian processes over numbers
that describe candidates, and the expected improvement they give; both are BoTorch's. The only
module that imports it. Must not know what a genotype is.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

with warnings.catch_warnings():
    # linear_operator compiles a function with torch.jit, which torch 2.13 deprecates.
    warnings.filterwarnings("ignore", "`torch.jit.script", DeprecationWarning)
    from botorch import settings
    from botorch.exceptions.warnings import OptimizationWarning
    from botorch.models import SingleTaskGP
    from botorch.optim.fit import fit_gpytorch_mll_scipy
    from botorch.sampling.normal import SobolQMCNormalSampler
    from botorch.utils.objective import compute_smoothed_feasibility_indicator
    from botorch.utils.safe_math import log_fatplus, logmeanexp
    from gpytorch.mlls import ExactMarginalLogLikelihood
    from linear_operator.settings import cholesky_max_tries
    from linear_operator.utils.warnings import NumericalWarning

Array = NDArray[np.float64]

# Hyperparameters are fitted to so many observations, in so many steps, because a question has to
# take less than a second.
FIT_POINTS = 128
FIT_STEPS = 20
SAMPLES = 64  # of the posterior, quasi-random
TAU, ETA = 1e-6, 1e-3  # BoTorch's smoothing of improvement and of limits
AUGMENTATION = 0.05  # Knowles' rho: of what weighs the same, less in sum is better


@dataclass(frozen=True)
class Observations:
    """Of one output. x: (n, d), each column about 0..1. y: (n,), above 0; its logarithm is what is
    modelled, because errors and costs differ by factors."""

    x: Array
    y: Array


@dataclass(frozen=True)
class Scalarisation:
    """Several outputs as one number, less is better: the augmented Chebyshev function of ParEGO
    (Knowles 2006) over weights * (values - ideal) / span, each of them (k,): the first k outputs
    are the objectives."""

    weights: Array
    ideal: Array
    span: Array

    def of(self, values: Tensor) -> Tensor:
        """(..., outputs) -> (...)."""
        weights, ideal = torch.from_numpy(self.weights), torch.from_numpy(self.ideal)
        objectives = values[..., : len(weights)]
        scaled = weights * (objectives - ideal) / torch.from_numpy(self.span)
        return scaled.amax(-1) + AUGMENTATION * scaled.sum(-1)

    def order(self, values: Array) -> list[int]:
        """Of (n, outputs): the rows, best first."""
        numbers = self.of(torch.from_numpy(values)).numpy()
        return [int(index) for index in np.argsort(numbers, kind="stable")]


@dataclass(frozen=True)
class Question:
    """What is wanted next. limits: output -> the value that it must not exceed. baseline: (b, d),
    the best candidates so far, which are to be improved upon. pending: (p, d), candidates whose
    outcome is still to come. pool: (n, d), the candidates to choose from."""

    scalarisation: Scalarisation
    limits: Mapping[int, float]
    baseline: Array
    pending: Array
    pool: Array


@dataclass(frozen=True)
class Hyperparameters:
    """Of the Gaussian process of one output."""

    state: Mapping[str, Any]


def fit(observations: Observations) -> Hyperparameters:
    """Maximum a posteriori under BoTorch's priors for many dimensions (Hvarfner et al., arXiv
    2402.02229), from observations spread evenly over all."""
    with _one_thread(), _lenient():
        some = np.unique(np.linspace(0, len(observations.x) - 1, FIT_POINTS).astype(int))
        process, _, _ = _process(Observations(observations.x[some], observations.y[some]))
        likelihood = ExactMarginalLogLikelihood(process.likelihood, process)
        fit_gpytorch_mll_scipy(likelihood, options={"maxiter": FIT_STEPS})
    return Hyperparameters(process.state_dict())


def most_promising(
    outputs: Sequence[tuple[Observations, Hyperparameters]], question: Question, *, seed: int
) -> int:
    """The index in the pool of the candidate with the largest expected noisy improvement, counted
    where it keeps the limits; in logarithms and smoothed (Ament et al., arXiv 2310.20708), so that
    small chances compare, too. Here and in `fit` one thread computes: workers keep their cores,
    and sums their order."""
    x = torch.from_numpy(np.concatenate([question.baseline, question.pending, question.pool]))
    with _one_thread(), _lenient(), torch.no_grad():
        values = torch.stack(
            [_sample(*output, x, seed + index) for index, output in enumerate(outputs)], dim=-1
        )  # samples, candidates, outputs
        scores = -question.scalarisation.of(values)
        keeps = compute_smoothed_feasibility_indicator(
            [_limit(*limit) for limit in question.limits.items()], values, eta=ETA, log=True
        )  # logarithms, samples, candidates
        sizes = [len(question.baseline), len(question.pending), len(question.pool)]
        trained, pending, pool = torch.split(scores, sizes, dim=1)
        # What was trained keeps the limits.
        _, pending_keeps, pool_keeps = torch.split(keeps, sizes, dim=1)
        pending = torch.where(pending_keeps > math.log(0.5), pending, -torch.inf)
        best = torch.cat([trained, pending], dim=1).amax(dim=1, keepdim=True)
        gains = log_fatplus(pool - best, tau=TAU) + pool_keeps
    return int(logmeanexp(gains, dim=0).argmax())


def _sample(
    observations: Observations, hyperparameters: Hyperparameters, x: Tensor, seed: int
) -> Tensor:
    """(SAMPLES, n): joint draws of an output at x, (n, d), without the noise of observing it."""
    process, mean, deviation = _process(observations)
    process.load_state_dict(hyperparameters.state)
    sampler = SobolQMCNormalSampler(torch.Size([SAMPLES]), seed=seed)
    return torch.exp(sampler(process.eval().posterior(x))[..., 0] * deviation + mean)


def _limit(index: int, most: float) -> Callable[[Tensor], Tensor]:
    """At most 0 where the output keeps its limit: its excess, relative."""
    return lambda values: values[..., index] / most - 1


def _process(observations: Observations) -> tuple[SingleTaskGP, float, float]:
    """A process with the priors' hyperparameters, mean and standard deviation of the logarithms,
    which it knows standardised."""
    x, logs = torch.from_numpy(observations.x), torch.from_numpy(np.log(observations.y))
    mean, deviation = float(logs.mean()), float(logs.std(correction=0)) or 1.0
    y = ((logs - mean) / deviation)[:, None]
    return SingleTaskGP(x, y, outcome_transform=None), mean, deviation


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _lenient() -> Iterator[None]:
    """No warning of a fit that used up its steps, of columns that are not exactly 0..1, and of
    candidates so alike that their covariance needs a larger diagonal, which it gets."""
    with (
        warnings.catch_warnings(),
        settings.validate_input_scaling(False),
        cholesky_max_tries(6),
    ):
        warnings.simplefilter("ignore", OptimizationWarning)
        warnings.simplefilter("ignore", NumericalWarning)
        yield
