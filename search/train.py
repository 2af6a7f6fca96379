"""How is a network trained? One explicit loop that can be read in one sitting.

Everything on one thread per process: workers share the machine, and one thread makes a run
reproducible to the bit. Knows nothing of tensorflow, boards or the search.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from search.config import Training
from search.data.dataset import Split
from search.network import Network

# What [training] does not set, because one value is right for all of the space:
NESTEROV = True  # a few hundred steps only; looking ahead converges in fewer
WARM_UP = 0.3  # share of the steps in which the one-cycle rate rises (arXiv 1708.07120)
START_DIVISOR = 10.0  # first rate = peak / 10: not zero, the first epoch must already learn
END_DIVISOR = 1000.0  # last rate = first / 1000: weights at rest before they are quantised
GRADIENT_NORM = 1.0  # without it networks lacking batch normalisation collapse to one class
EVALUATION_BATCH = 500  # without gradients larger batches only cost memory


@dataclass(frozen=True)
class Epoch:
    """Mean training loss, error on the validation split (0..1), seconds since the start."""

    index: int
    train_loss: float
    val_error: float
    seconds: float


@dataclass(frozen=True)
class Trained:
    """val_error is that of the last epoch's weights, the ones the network holds. diverged: why
    training stopped early, or ""; then the weights are worthless."""

    epochs: tuple[Epoch, ...]
    val_error: float
    seconds: float
    diverged: str = ""


def train(
    network: Network,
    train_split: Split,
    validation: Split,
    recipe: Training,
    *,
    seed: int,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Trained:
    """Train `network` in place: cross entropy, SGD with momentum, one-cycle learning rate.

    The same network, splits, recipe and seed give the same weights, bit for bit, on one machine.
    A loss that is not finite ends training at the end of its epoch and is reported, not raised.
    """
    torch.set_num_threads(1)
    started = time.monotonic()
    labels = torch.from_numpy(train_split.labels)  # (n,) int64
    count = len(labels)
    batch_size = min(recipe.batch_size, count)
    batches = count // batch_size  # the ragged last batch is left out: its statistics are noisy
    generator = torch.Generator().manual_seed(seed)

    optimizer = torch.optim.SGD(
        parameter_groups(network, recipe.weight_decay),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=NESTEROV and recipe.momentum > 0,
    )
    epochs: list[Epoch] = []
    step, steps = 0, recipe.epochs * batches
    for index in range(recipe.epochs):
        network.train()
        order = torch.randperm(count, generator=generator)
        loss_sum = torch.zeros(())
        for batch in order[: batches * batch_size].view(batches, batch_size):
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * one_cycle(step, steps)
            x = to_inputs(train_split, batch.numpy())  # (b, c, h, w)
            logits = network(x)  # (b, classes)
            loss = functional.cross_entropy(logits, labels[batch])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_NORM)
            optimizer.step()
            loss_sum += loss.detach()
            step += 1
        train_loss = float(loss_sum) / batches
        val_error = float_error(network, validation)
        epochs.append(Epoch(index, train_loss, val_error, time.monotonic() - started))
        if on_epoch is not None:
            on_epoch(epochs[-1])
        if not math.isfinite(train_loss):
            reason = f"training diverged: loss {train_loss} in epoch {index + 1}"
            return Trained(tuple(epochs), val_error, time.monotonic() - started, reason)
    return Trained(tuple(epochs), epochs[-1].val_error, time.monotonic() - started)


def one_cycle(step: int, steps: int) -> float:
    """The learning rate at `step` of `steps`, as a share of its peak: up along a half cosine, then
    down along another (arXiv 1708.07120, with the annealing of its fast.ai form)."""
    peak = WARM_UP * steps
    if step < peak:
        low, high, share = 1 / START_DIVISOR, 1.0, step / peak
    else:
        low, high = 1.0, 1 / (START_DIVISOR * END_DIVISOR)
        share = (step - peak) / (steps - 1 - peak)  # two steps or more come here
    return low + (high - low) * (1 - math.cos(math.pi * share)) / 2


def parameter_groups(network: Network, weight_decay: float) -> list[dict[str, object]]:
    """Weight decay for matrices and filters only: pulling biases and normalisation gains to zero
    shrinks channels that the quantiser then cannot resolve."""
    weights = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim == 1]
    return [
        {"params": weights, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]


def to_inputs(split: Split, chosen: NDArray[np.int64] | slice) -> Tensor:
    """The samples at these positions as a network takes them: (b, h, w, c) bytes -> (b, c, h, w)
    float32. A batch at a time, because all of a set would take four times its memory; in
    channels_last, where convolutions are twice as fast."""
    return torch.from_numpy(split.encoding.to_reals(split.images[chosen])).permute(0, 3, 1, 2)


@torch.no_grad()
def float_error(network: Network, split: Split) -> float:
    """Share of `split` that the float network gets wrong, 0..1."""
    network.eval()
    wrong = 0
    for start in range(0, len(split), EVALUATION_BATCH):
        batch = slice(start, start + EVALUATION_BATCH)
        logits = network(to_inputs(split, batch))  # (b, classes)
        wrong += int((logits.argmax(1).numpy() != split.labels[batch]).sum())
    return wrong / len(split)
