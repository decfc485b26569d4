"""Batches of training samples, and how an error of a sample reaches the user."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import FUNCTIONS, HOOKS
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from duskbench.data_tools.errors import DataError
from duskbench.data_tools.settings import is_pair


class Samples(Dataset[dict[str, Tensor]]):
    """A data set that hands the error of a sample over as a value.

    Of an exception, the processes of PyTorch's DataLoader hand over the text of the traceback.
    """

    def __getitems__(self, numbers: Sequence[int]) -> list[dict[str, Tensor]] | DataError:
        """Make the samples of a batch; the DataLoader calls it."""
        try:
            return [self[number] for number in numbers]
        except DataError as error:
            return error


def folders_of(root: str | Path | Sequence[str | Path]) -> list[Path]:
    """One folder or several; `~` is the user's."""
    return [Path(each).expanduser() for each in ([root] if isinstance(root, str | Path) else root)]


def is_range(value: object, least: float) -> bool:
    """Whether a setting is two numbers, in order, from `least` up."""
    return is_pair(value, least) and value[0] <= value[1]


@FUNCTIONS.register_module()
def collate_samples(samples: list[dict[str, Tensor]] | DataError) -> dict[str, Tensor] | DataError:
    """Stack the samples of a batch; an error stays as it is."""
    batch: dict[str, Tensor] | DataError = samples if isinstance(samples, DataError) else default_collate(samples)
    return batch


@HOOKS.register_module()
class RaiseDataErrors(Hook):
    """Stop the run at a batch that is an error."""

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Look at a batch."""
        if isinstance(data_batch, DataError):
            raise data_batch
