"""Any enhancer saved by torch with its graph: TorchScript or torch.export."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from duskbench.data_tools.errors import ConfigError, WeightsError
from duskbench.data_tools.files import file_sha256
from duskbench.pipeline.device import torch_device
from duskbench.pipeline.enhancers.model_file import Declared, ModelFileEnhancer

_WRAP = "load it in a class of your own, and name that: \"mine.py:Class(weights='{}')\""


class ScriptedEnhancer(ModelFileEnhancer):
    """Runs a file of `torch.export.save` (`.pt2`) or `torch.jit.save` (`.pt`, `.ts`, `.torchscript`).

    The file says which of the two it is, not its extension. TorchScript still loads in torch 2.15, which calls it
    deprecated; what is new is better exported. A `.pt2` is loaded by torch with pickle for what else it may hold, so
    take it only from those whose code you would run. For the arguments, see `ModelFileEnhancer`; the outputs of a
    tuple are named by their number, those of a dict by their key.

    Raises:
        WeightsError: The file is missing, or holds weights or a pickled object without a graph.
    """

    def _open(self, device: str) -> Declared:
        self._device = torch_device(device)
        members = self._members()
        if "archive_format" in members:
            declared = self._open_exported()
        elif "constants.pkl" in members:
            declared = self._open_torchscript()
        else:
            raise WeightsError(
                "The file holds weights, or a pickled object, and no graph to run.",
                where=self.path,
                expected="a file of torch.export.save or torch.jit.save",
                got="a file of torch.save",
                todo=_WRAP.format(self.path),
            )
        self.weights = {"model": file_sha256(self.path)}
        return declared

    def _run(self, array: np.ndarray) -> dict[str, np.ndarray]:
        with torch.inference_mode():
            result: Any = self._module(torch.from_numpy(array).to(self._device))
        if isinstance(result, Tensor):
            result = {"0": result}
        elif not isinstance(result, Mapping):
            result = {str(number): each for number, each in enumerate(result)}
        return {str(name): each.cpu().numpy() for name, each in result.items() if isinstance(each, Tensor)}

    def _members(self) -> set[str]:
        """Names in the archive, without its own folder; empty for a file that is no archive."""
        if not self.path.is_file():
            raise WeightsError("The model file does not exist.", where=self.path)
        try:
            with zipfile.ZipFile(self.path) as archive:
                return {"/".join(PurePosixPath(name).parts[1:]) for name in archive.namelist()}
        except zipfile.BadZipFile:
            return set()

    def _open_exported(self) -> Declared:
        try:
            program = torch.export.load(self.path)
        # torch raises all kinds on a file of another version or of another kind.
        except Exception as error:
            raise self._unreadable("torch.export", error) from error
        module: Any = program.module()
        self._module = module.to(self._device)
        names = program.graph_signature.user_inputs
        inputs = [node.meta.get("val") for node in program.graph.nodes if node.name in names]
        if len(inputs) != 1 or not isinstance(inputs[0], Tensor):
            raise self._not_one_picture(f"{len(names)} inputs")
        shape = tuple(side if isinstance(side, int) else None for side in inputs[0].shape)
        return Declared(shape, str(inputs[0].dtype).removeprefix("torch."))

    def _open_torchscript(self) -> Declared:
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=r".*torch\.jit\.load.*deprecated", category=FutureWarning)
                module: Any = torch.jit.load(str(self.path), map_location=self._device)
        except (RuntimeError, ValueError) as error:
            raise self._unreadable("TorchScript", error) from error
        self._module = module.eval()
        arguments = module.forward.schema.arguments[1:]
        needed = [each for each in arguments if not each.has_default_value()]
        if len(needed) > 1 or not arguments:
            raise self._not_one_picture(", ".join(f"{each.name}: {each.type}" for each in arguments) or "no input")
        kinds = {parameter.dtype for parameter in module.parameters() if parameter.is_floating_point()}
        dtype = str(kinds.pop()).removeprefix("torch.") if len(kinds) == 1 else None
        return Declared(None, dtype)

    def _unreadable(self, kind: str, error: Exception) -> WeightsError:
        return WeightsError(
            f"The {kind} file cannot be loaded.",
            where=self.path,
            got=str(error).strip().splitlines()[0],
            todo=f"save it again with this torch, {torch.__version__}",
        )

    def _not_one_picture(self, got: str) -> ConfigError:
        return ConfigError(
            "The model's inputs are not one picture.",
            where=self.path,
            expected="one input",
            got=got,
            todo="save it with one input, or wrap it in a function, file.py:enhance",
        )
