"""An enhancer that a data pipeline carries into its worker processes and that is built where it is first used."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from duskbench.data_tools.errors import ConfigError
from duskbench.pipeline.enhancers.base import Enhancer


class LazyEnhancer:
    """What `load_enhancer` takes, built at the first image in each process.

    It pickles as its specification alone, so that workers that are spawned load their own networks; forked ones do
    too, because a network on a GPU does not survive a fork.

    Args:
        spec: See `duskbench.load_enhancer`.
        device: Torch device for the enhancers that compute on one.

    Raises:
        ConfigError: `spec` is nothing that `load_enhancer` takes.
    """

    def __init__(self, spec: str | Mapping[str, Any] | Callable[..., Any], device: str = "cpu") -> None:
        if not (isinstance(spec, str | Mapping) or callable(spec)):
            raise ConfigError(
                "This is no enhancer.",
                where="enhancer",
                expected="a name, a specification, a dict(type=..., ...) or a callable, as for load_enhancer",
                got=repr(spec),
            )
        self.spec, self.device = spec, device
        self._built: tuple[int, Enhancer] | None = None

    def __call__(self, image_rgb: np.ndarray, image_id: str | None = None) -> np.ndarray:
        """Enhance one image, (H, W, 3) uint8 RGB to the same; see `Enhancer`."""
        return self.get()(image_rgb, image_id=image_id)

    def get(self) -> Enhancer:
        """The enhancer of this process, built now if it is not there yet.

        Raises:
            DuskbenchError: What `load_enhancer` raises.
        """
        from duskbench.pipeline.registry import load_enhancer

        if self._built is None or self._built[0] != os.getpid():
            self._built = os.getpid(), load_enhancer(self.spec, device=self.device)
        return self._built[1]

    def __getstate__(self) -> dict[str, Any]:
        """Leave the built enhancer behind."""
        return {**self.__dict__, "_built": None}

    def __repr__(self) -> str:
        return repr(self.spec)
