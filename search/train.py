"""How is a network trained? One explicit loop that can be read in one sitting.

Everything on one thread per process: workers share the machine, and one thread makes a run
reproducible to the bit. Knows nothing of tensorflow, boards or the search.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from search.augmentation import augment
from search.config import Training
from search.data.dataset import Split
from search.distill import Teacher
from search.memory import keep_freed_memory
from search.network import Network
from search.prune import Pruner

# What [training] does not set, because one value is right for all of the space:
NESTEROV = True  # a few hundred steps only; looking ahead converges in fewer
WARM_UP = 0.3  # share of the steps in which the one-cycle rate rises (arXiv 1708.07120)
START_DIVISOR = 10.0  # first rate = peak / 10: not zero, the first epoch must already learn
END_DIVISOR = 1000.0  # last rate = first / 1000: weights at rest before they are quantised
GRADIENT_NORM = 1.0  # without it networks lacking batch normalisation collapse to one class
EVALUATION_BATCH = 100  # feature maps of more do not stay in the cache


@dataclass(frozen=True)
class Epoch:
    """Mean training loss, seconds since the start."""

    index: int
    train_loss: float
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
    epochs: int | None = None,
    pruner: Pruner | None = None,
    teacher: Teacher | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Trained:
    """Train `network` in place: cross entropy, SGD with momentum, one-cycle learning rate.

    The same network, splits, recipe, teacher and seed give the same weights, bit for bit, on one
    machine. A loss that is not finite ends training at the end of its epoch and is reported, not
    raised.

    Args:
        epochs: instead of the recipe's.
        pruner: of this network, made for steps_of(...) steps; told before each of them.
        teacher: of the training split; has its share in the loss.
    """
    torch.set_num_threads(1)
    keep_freed_memory()
    started = time.monotonic()
    labels = torch.from_numpy(train_split.labels)  # (n,) int64
    batch_size = min(recipe.batch_size, len(labels))
    step, steps = 0, steps_of(recipe, len(labels), epochs)
    batches = len(labels) // batch_size  # the ragged last one is left out: noisy statistics
    generator = torch.Generator().manual_seed(seed)
    show = _shown(train_split, recipe, seed)

    decayed, others = as_vectors(network)
    optimizer = torch.optim.SGD(
        [
            {"params": [decayed], "weight_decay": recipe.weight_decay},
            {"params": [others], "weight_decay": 0.0},
        ],
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=NESTEROV and recipe.momentum > 0,
    )
    done: list[Epoch] = []
    diverged = ""
    while step < steps and not diverged:
        network.train()
        order = torch.randperm(len(labels), generator=generator)
        loss_sum = torch.zeros(())
        for batch in order[: batches * batch_size].view(batches, batch_size):
            if pruner is not None:
                pruner.before_step(step)
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * one_cycle(step, steps)
            x = show(batch.numpy())  # (b, c, h, w)
            logits = network(x)  # (b, classes)
            loss = functional.cross_entropy(logits, labels[batch])
            if teacher is not None:
                loss = teacher.blend(loss, logits, batch)
            optimizer.zero_grad(set_to_none=False)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_([decayed, others], GRADIENT_NORM)
            optimizer.step()
            loss_sum += loss.detach()
            step += 1
        train_loss = float(loss_sum) / batches
        done.append(Epoch(len(done), train_loss, time.monotonic() - started))
        if on_epoch is not None:
            on_epoch(done[-1])
        if not math.isfinite(train_loss):
            diverged = f"training diverged: loss {train_loss} in epoch {len(done)}"
    val_error = float_error(network, validation)
    return Trained(tuple(done), val_error, time.monotonic() - started, diverged)


def steps_of(recipe: Training, samples: int, epochs: int | None = None) -> int:
    """Steps that train takes on so many samples."""
    batches = samples // min(recipe.batch_size, samples)
    return (recipe.epochs if epochs is None else epochs) * batches


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


def as_vectors(network: Network) -> tuple[Tensor, Tensor]:
    """The parameters that weight decay is for, and the others, each as one vector; parameters and
    their gradients become views of the two and of theirs. Small networks have dozens of tensors of
    some hundred bytes, and clipping and updating them one by one cost more than the arithmetic.

    Matrices and filters decay only: pulling biases and normalisation gains to zero shrinks
    channels that the quantiser then cannot resolve."""
    parameters = list(network.parameters())
    return (
        _as_vector([parameter for parameter in parameters if parameter.ndim > 1]),
        _as_vector([parameter for parameter in parameters if parameter.ndim == 1]),
    )


def _as_vector(parameters: Sequence[Tensor]) -> Tensor:
    count = sum(parameter.numel() for parameter in parameters)
    vector, gradient = torch.empty(count), torch.zeros(count)
    start = 0
    for parameter in parameters:
        here = slice(start, start + parameter.numel())
        layout = parameter.shape, parameter.stride()  # dense, but channels_last
        values = vector[here].as_strided(*layout)
        values.copy_(parameter.detach())
        parameter.data, parameter.grad = values, gradient[here].as_strided(*layout)
        start += parameter.numel()
    vector.grad = gradient
    return vector


def _shown(split: Split, recipe: Training, seed: int) -> Callable[[NDArray[np.int64]], Tensor]:
    """Positions of samples -> a batch as training sees it, augmented where the recipe says so."""
    if not (recipe.shift or recipe.flip):
        return partial(to_inputs, split)
    rng = np.random.default_rng(seed)
    background = split.encoding.zero_point + 128

    def show(chosen: NDArray[np.int64]) -> Tensor:
        images = augment(
            split.images[chosen], rng, shift=recipe.shift, flip=recipe.flip, background=background
        )
        return to_inputs(replace(split, images=images), slice(None))

    return show


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
