"""Batches of training samples, and how an error of a sample reaches the user."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from mmengine.hooks import Hook
from mmengine.registry import FUNCTIONS, HOOKS
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from duskbench.data_tools.errors import DataError
from duskbench.data_tools.image_files import find_images
from duskbench.data_tools.settings import is_pair


def samples_or_error(dataset: Any, numbers: Sequence[int]) -> list[Any] | DataError:
    """Make the samples of a batch, or hand the error of one over as a value.

    Of an exception, the processes of PyTorch's DataLoader hand over the text of the traceback.
    """
    try:
        return [dataset[number] for number in numbers]
    except DataError as error:
        return error


class Samples(Dataset[dict[str, Tensor]]):
    """A data set that hands the error of a sample over as a value, and says what of its folders it leaves out.

    Attributes:
        notes: Sentences for the log.
    """

    # Classes and the like, which mmengine asks for; there are none.
    metainfo: ClassVar[dict[str, str]] = {}
    notes: tuple[str, ...] = ()

    def __getitems__(self, numbers: Sequence[int]) -> list[dict[str, Tensor]] | DataError:
        """Make the samples of a batch; the DataLoader calls it."""
        return samples_or_error(self, numbers)


def left_out_of(folders: Iterable[Path]) -> tuple[str, ...]:
    """What is no image that a training reads, though it looks like one: a sentence for each folder and reason."""
    return tuple(f"{folder}: {note}" for folder in folders for note in find_images(folder).notes)


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
    """Stop the run at a batch that is an error, which every data set hands over as a value."""

    def before_train(self, runner: Any) -> None:
        """Before the workers of the loader are forked."""
        _hand_over(runner.train_dataloader.dataset)

    def before_val(self, runner: Any) -> None:
        """Before the workers of the loader are forked."""
        _hand_over(runner.val_dataloader.dataset)

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Look at a batch."""
        if isinstance(data_batch, DataError):
            raise data_batch

    def before_val_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Look at a batch."""
        self.before_train_iter(runner, batch_idx, data_batch)


def _hand_over(dataset: Any) -> None:
    """Have a data set of mmdet's hand errors over too."""
    if not hasattr(dataset, "__getitems__"):
        dataset.__getitems__ = partial(samples_or_error, dataset)
