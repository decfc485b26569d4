"""Any enhancer exported to ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np

from duskbench.data_tools.errors import ConfigError
from duskbench.pipeline.enhancers.model_file import Declared, ModelFileEnhancer
from duskbench.pipeline.onnx_session import model_hashes, open_session

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
}


class OnnxEnhancer(ModelFileEnhancer):
    """Runs a picture-to-picture model in onnxruntime (extra `onnx`), with as many threads as torch has.

    Layout, size and dtype are read from the file, and layout, range, colour order and stride from metadata that
    `duskbench export` writes; the range of any other float model is found by running a test picture. For the
    arguments, see `ModelFileEnhancer`.
    """

    def _open(self, device: str) -> Declared:
        self._session: Any = open_session(self.path, device)
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].type not in _DTYPES:
            raise ConfigError(
                "The model's inputs are not one picture.",
                where=self.path,
                expected=f"one input of {', '.join(_DTYPES)}",
                got=", ".join(f"{each.name}: {each.type} {each.shape}" for each in inputs),
                todo="export it with one input, or wrap it in a function, file.py:enhance",
            )
        self._outputs = [each.name for each in self._session.get_outputs()]
        self.weights = model_hashes(self.path)
        shape = inputs[0].shape
        return Declared(
            shape=tuple(side if isinstance(side, int) and side > 0 else None for side in shape) if shape else None,
            dtype=_DTYPES[inputs[0].type],
            metadata=dict(self._session.get_modelmeta().custom_metadata_map),
        )

    def _run(self, array: np.ndarray) -> dict[str, np.ndarray]:
        name = self._session.get_inputs()[0].name
        return dict(zip(self._outputs, self._session.run(None, {name: array}), strict=True))
