"""How are a network's weights looked at, kept in a file and read again? Must not know whose
weights they are, nor what they are read for.

A file is a NumPy archive without pickles: "genotype", its canonical JSON; and for each weighted
operator "<name>/0.weight", "<name>/1.running_mean" and so on, float32, as torch's state_dict of
its layer has them.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from harness.errors import JournalError
from search.channels import ChannelGroup, Weighted, filter_shape
from search.genotype import Genotype
from search.keeping import write_whole
from search.lowering import Shape
from search.network import Network
from search.space import Space

_GENOTYPE = "genotype"


def filters_of(network: Network, name: str) -> Tensor:
    """The weights of the weighted operator `name`, a view of the shape that filter_shape says."""
    weight = network.layer_of(name)[0].weight
    assert isinstance(weight, Tensor)
    if weight.ndim == 4:
        return weight.detach()
    outputs, channels, height, width = filter_shape(network.ops, name)
    return weight.detach().view(outputs, height, width, channels).permute(0, 3, 1, 2)


def channel_norms(network: Network, group: ChannelGroup) -> Tensor:
    """(width,): how much each channel of the group weighs, the L2 norm of its filters; in the root
    mean square over the operators that have filters for it. What is no number weighs nothing."""
    squares = [filters_of(network, name).square().sum((1, 2, 3)) for name in group.weighted]
    return torch.stack(squares).mean(0).sqrt().nan_to_num(0.0, 0.0)


def save_weights(path: Path, genotype: Genotype, network: Network) -> None:
    """Write the weights of `network`, to which `genotype` lowers; the file is there whole or not
    at all, and its folder is made.

    Raises:
        JournalError: it cannot be written.
    """
    arrays = {name: tensor.numpy() for name, tensor in _state(network).items()}
    archive = io.BytesIO()
    np.savez(archive, allow_pickle=False, **{_GENOTYPE: np.array(genotype.canonical())}, **arrays)
    write_whole(path, archive.getvalue())


def load_weights(
    path: Path, space: Space, input_shape: Shape, classes: int
) -> tuple[Genotype, Network]:
    """What was saved.

    Args:
        input_shape, classes: as of Space.lower, those that the network was made for.

    Raises:
        JournalError: no such file, or not what save_weights writes for this space and data set;
            says what is wrong with it.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        genotype = space.read(json.loads(str(arrays.pop(_GENOTYPE))))
    except FileNotFoundError:
        raise JournalError("no such file", where=path, hint=_HINT) from None
    except KeyError:
        raise _refused(path, "names no genotype") from None
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise _refused(path, f"is no file of weights: {error}") from None
    network = Network(space.lower(genotype, input_shape, classes), seed=0)
    state = _state(network)
    if state.keys() != arrays.keys():
        odd = min(state.keys() ^ arrays.keys())
        what = "is missing" if odd in state else "belongs to no operator"
        raise _refused(path, f"array {odd!r} {what}")
    for name, tensor in state.items():
        array = arrays[name]
        if array.dtype != np.float32 or array.shape != tuple(tensor.shape):
            raise JournalError(
                f"array {name!r} is another one than the genotype asks for",
                where=path,
                expected=f"float32 {tuple(tensor.shape)}",
                got=f"{array.dtype} {array.shape}",
                hint=_HINT,
            )
        tensor.copy_(torch.from_numpy(array))
    return genotype, network


def _state(network: Network) -> dict[str, Tensor]:
    """What a file holds, by name: views of parameters and statistics."""
    return {
        f"{op.name}/{key}": tensor
        for op in network.ops
        if isinstance(op, Weighted)
        for key, tensor in network.layer_of(op.name).state_dict().items()
        if tensor.is_floating_point()
    }


_HINT = "restore it from a copy, or start a new run"


def _refused(path: Path, what: str) -> JournalError:
    return JournalError(what, where=path, hint=_HINT)
