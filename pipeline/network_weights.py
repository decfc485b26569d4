"""Which tensors of a weight file are those of a network, and loading them: strictly, whatever the file calls them."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duskbench.data_tools.errors import WeightsError
from duskbench.data_tools.ids import shown
from duskbench.pipeline.checkpoint import read_weights

if TYPE_CHECKING:
    from torch import Tensor, nn

logger = logging.getLogger(__name__)

# Where training scripts keep the state dict, those with a moving average first: BasicSR, timm and torchvision.
_WRAPPERS = (
    "params_ema", "state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model", "params", "net",
)  # fmt: skip
_AVERAGED = re.compile(r"(^|[._])(ema|swa|averaged?)([._]|$)", re.IGNORECASE)
# Deeper than any training script puts a state dict; a pickled dict may hold itself.
_DEEPEST = 4


@dataclass(frozen=True)
class StoredWeights:
    """What a weight file holds.

    Attributes:
        path: The file.
        content: Tensors by name, or a training script's dicts round them.
        described: What the file says about itself; see `read_weights`.
    """

    path: Path
    content: Any
    described: Mapping[str, str]

    @classmethod
    def read(cls, path: str | Path) -> StoredWeights:
        """Read a file; see `read_weights` for its kinds and errors."""
        return cls(Path(path), *read_weights(path))

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Key -> tensor, in the file's order, as far as that can be said without knowing the network.

        Takes a dictionary out of `state_dict`, `params` and the like, where training scripts wrap it, the moving
        average where one is beside it; joins the dictionaries of several networks as `network.key`; and drops the
        prefix `module.` of DataParallel if all keys have it.

        Raises:
            WeightsError: The file holds something other than named tensors.
        """
        content = self.content
        for wrapper in _WRAPPERS:
            if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
                content = content[wrapper]
                break
        tensors = _named_tensors(_joined(content), self.path)
        strip = len("module.") if all(key.startswith("module.") for key in tensors) else 0
        return {key[strip:]: value for key, value in tensors.items()}

    def tensors_of(
        self,
        module: nn.Module,
        *,
        adapt: Callable[[dict[str, Tensor]], dict[str, Tensor]] = dict,
        ignore: Sequence[str] = (),
    ) -> dict[str, Tensor]:
        """The tensors that are those of a network, by its own names.

        They may lie in any dictionary of the file, and their names may all begin with the same words (`module.`,
        `_orig_mod.`, `model.`). Where several fit, a moving average is taken before what it is the average of, and
        what usually holds the weights before the rest; the log says it.

        Args:
            module: The network; it stays as it is.
            adapt: Brings the names of a dictionary into the network's form.
            ignore: See `load_into`.

        Returns:
            Key -> tensor; where none fits, as `tensors` has them, for `load_into` to say what is wrong.

        Raises:
            WeightsError: The file holds no named tensors, or several networks that fit alike.
        """
        fitting: dict[str, dict[str, Tensor]] = {}
        for address, tensors in _named_dicts(self.content):
            adapted = map(adapt, _without_prefixes(tensors))
            found = next((state for state in adapted if not misfits(module, state, ignore=ignore)), None)
            if found is not None:
                fitting[address] = found
        if not fitting:
            return adapt(self.tensors)
        ranks = {address: _rank(address) for address in fitting}
        chosen, *others = sorted(fitting, key=lambda address: ranks[address])
        different = [other for other in others if not _are_equal(fitting[chosen], fitting[other])]
        alike = [chosen, *(other for other in different if ranks[other] == ranks[chosen])]
        if len(alike) > 1:
            raise WeightsError(
                "The file holds several networks that fit.",
                where=self.path,
                expected="one, or one of them a moving average (ema)",
                got=shown(alike),
                todo="save the one that is meant alone, as its state dict",
            )
        if different:
            _say_choice(self.path, chosen, tuple(different))
        return fitting[chosen]


def load_state_dict(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a weight file; see `load_described`."""
    return load_described(path)[0]


def load_described(path: str | Path) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    """The tensors of a weight file, and what it says about itself.

    Returns:
        See `StoredWeights.tensors` and `read_weights`.

    Raises:
        WeightsError: The file is missing, damaged, holds something other than named tensors, or would need pickled
            code to run.
    """
    stored = StoredWeights.read(path)
    return stored.tensors, stored.described


def load_file(
    module: nn.Module,
    path: str | Path,
    *,
    adapt: Callable[[dict[str, Tensor]], dict[str, Tensor]] = dict,
    ignore: Sequence[str] = (),
) -> dict[str, Tensor]:
    """Load a weight file into a network; see `StoredWeights.tensors_of` and `load_into`.

    Returns:
        The tensors, by the network's names.
    """
    state = StoredWeights.read(path).tensors_of(module, adapt=adapt, ignore=ignore)
    load_into(module, state, where=path, ignore=ignore)
    return state


def _named_dicts(content: Any, address: tuple[str, ...] = ()) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Dotted address -> each dictionary of named tensors in a file, and those of several networks joined."""
    if not isinstance(content, Mapping) or len(address) > _DEEPEST:
        return
    if _are_named_tensors(content):
        yield ".".join(address), dict(content)
        return
    for key, value in content.items():
        # mmengine's runner swaps the two before it saves: the average is in `state_dict`.
        swapped = key == "ema_state_dict" and "message_hub" in content
        if isinstance(key, str) and not swapped:
            yield from _named_dicts(value, (*address, key))
    joined = _joined(content)
    if joined is not content and _are_named_tensors(joined):
        yield ".".join(address), joined


def _are_named_tensors(content: Any) -> bool:
    return isinstance(content, Mapping) and bool(content) and not _unnamed(content)


def _unnamed(content: Mapping[Any, Any]) -> list[Any]:
    """The keys of a dictionary that are no text, or no tensor's."""
    import torch

    return [key for key, value in content.items() if not (isinstance(key, str) and isinstance(value, torch.Tensor))]


def _joined(content: Any) -> Any:
    """State dicts of several networks in one file as one of them all: `network.key`."""
    if not isinstance(content, Mapping) or not content or not all(isinstance(v, Mapping) for v in content.values()):
        return content
    return {f"{name}.{key}": value for name, state in content.items() for key, value in state.items()}


def _without_prefixes(tensors: Mapping[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """Named tensors as they are, and without the first word of their names as long as all have the same."""
    yield dict(tensors)
    # Torch's AveragedModel counts beside the network.
    tensors = {key: value for key, value in tensors.items() if key != "n_averaged"}
    while len({key.partition(".")[:2] for key in tensors}) == 1 and all("." in key for key in tensors):
        tensors = {key.partition(".")[2]: value for key, value in tensors.items()}
        yield tensors


def _rank(address: str) -> tuple[bool, int]:
    """Moving averages first, then what usually holds the weights."""
    usual = [_WRAPPERS.index(word) for word in address.split(".") if word in _WRAPPERS]
    return _AVERAGED.search(address) is None, min(usual, default=len(_WRAPPERS))


def _are_equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        value.dtype == other[key].dtype and value.equal(other[key]) for key, value in one.items()
    )


@cache
def _say_choice(path: Path, chosen: str, others: tuple[str, ...]) -> None:
    logger.warning("%s: the weights under %r are taken; %s would fit too", path, chosen, ", ".join(map(repr, others)))


def _named_tensors(content: Any, path: Path) -> dict[str, Tensor]:
    if not isinstance(content, Mapping) or not content:
        raise WeightsError(
            "The file does not hold named tensors.",
            where=path,
            expected=f"a dictionary of tensors, as itself or under {', '.join(_WRAPPERS)}",
            got="an empty one" if isinstance(content, Mapping) else type(content).__name__,
        )
    others = _unnamed(content)
    if others:
        raise WeightsError(
            "The file holds something besides named tensors.",
            where=path,
            expected="a tensor under each key",
            got=f"{shown(map(repr, others))} of {len(content)} keys",
            todo="if one of them is the state_dict, save that one alone",
        )
    return dict(content)


def load_into(
    module: nn.Module, state_dict: Mapping[str, Tensor], *, where: str | Path, ignore: Sequence[str] = ()
) -> None:
    """Load weights into a module, strictly: every key on both sides, every shape, real numbers where they belong.

    Args:
        module: Changed in place, and only if everything fits.
        state_dict: Key -> tensor.
        where: The file they come from, for the error.
        ignore: Prefixes of keys that may be missing from the file or be in it without a place in the module.

    Raises:
        WeightsError: See `check_fit`.
    """
    check_fit(module, state_dict, where=where, ignore=ignore)
    own = module.state_dict()
    module.load_state_dict({key: state_dict[key] for key in own if key in state_dict}, strict=False)


def check_fit(
    module: nn.Module, state_dict: Mapping[str, Tensor], *, where: str | Path, ignore: Sequence[str] = ()
) -> None:
    """Refuse weights that `load_into` could not load; the arguments are the same.

    Raises:
        WeightsError: Something is misfitting; see `misfits`.
    """
    found = misfits(module, state_dict, ignore=ignore)
    if found:
        raise WeightsError(
            f"The weights do not fit {type(module).__name__}.",
            where=where,
            expected=f"its {len(module.state_dict())} keys",
            got="; ".join(f"{len(items)} {kind}: {shown(items)}" for kind, items in found.items()),
            todo="check that this is the file for this network and this version of it",
        )


def misfits(module: nn.Module, state_dict: Mapping[str, Tensor], *, ignore: Sequence[str] = ()) -> dict[str, list[str]]:
    """What keeps weights from being loaded into a module; the arguments are those of `load_into`.

    Returns:
        Keys that are missing, or too many; shapes that differ; and values whose kind does not fit: whole or complex
            numbers where real ones belong, quantised, sparse, or without any values. Empty where all fit.
    """
    own = module.state_dict()
    prefixes = tuple(ignore)
    both = [(key, state_dict[key], value) for key, value in own.items() if key in state_dict]
    found = {
        "missing": [key for key in own if key not in state_dict and not key.startswith(prefixes)],
        "unexpected": [key for key in state_dict if key not in own and not key.startswith(prefixes)],
        "of another shape": [
            f"{key} {tuple(given.shape)} instead of {tuple(value.shape)}"
            for key, given, value in both
            if given.shape != value.shape
        ],
        "of another kind": [
            f"{key} {_kind(given)} instead of {value.dtype}" for key, given, value in both if not _copies(given, value)
        ],
    }
    return {kind: items for kind, items in found.items() if items}


def _copies(given: Tensor, value: Tensor) -> bool:
    """Whether values can be copied with their meaning.

    Torch would cast whole numbers and complex ones: the whole ones are quantised weights without their scales, and
    nothing says so later.
    """
    import torch

    plain = given.layout is torch.strided and not (given.is_meta or given.is_quantized or given.is_complex())
    return plain and (given.is_floating_point() or not value.is_floating_point())


def _kind(tensor: Tensor) -> str:
    import torch

    layout = "" if tensor.layout is torch.strided else f" in the layout {tensor.layout}"
    return f"{tensor.dtype}{layout}{' without values (meta)' if tensor.is_meta else ''}"
