"""Any enhancer in a torchvision v2 pipeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import PIL.Image
import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from duskbench.data_tools.errors import EnhancerError
from duskbench.pipeline.transforms.lazy import LazyEnhancer


def _is_plain_tensor(value: Any) -> bool:
    return isinstance(value, Tensor) and not isinstance(value, tv_tensors.TVTensor)


class Enhance(v2.Transform):
    """Enhance the images of a sample; boxes, masks, labels and everything else pass through untouched.

    Which inputs are images is torchvision's rule: PIL images, `tv_tensors.Image` and `Video`, and where there is none
    of these the first plain tensor. The result has the input's type, shape, dtype and device, and no gradient. The
    enhancer is built at the first image in each worker of a DataLoader. Enhancers work on 8 bits, so floats are rounded
    to 8 bits first. Each picture of a batch or video is enhanced by itself.

    Args:
        enhancer: What `duskbench.load_enhancer` takes: "guided", "gamma(gamma=2.2)", "file.py:function", ...
        device: Torch device for the enhancers that compute on one.

    Shape:
        Tensors (..., 3, H, W) RGB, uint8 or floating point in [0, 1]; PIL images of mode RGB.

    Raises:
        ConfigError: The enhancer is none.
        EnhancerError: An image of another mode, shape, dtype or range; or the enhancer broke its contract.
    """

    _transformed_types = (PIL.Image.Image, tv_tensors.Image, tv_tensors.Video, _is_plain_tensor)

    def __init__(self, enhancer: str | Mapping[str, Any] | Callable[..., Any], device: str = "cpu") -> None:
        super().__init__()
        self.enhancer, self.device = LazyEnhancer(enhancer, device), device

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Enhance one image or batch of images."""
        if isinstance(inpt, PIL.Image.Image):
            if inpt.mode != "RGB":
                raise _refused(f"a PIL image of mode {inpt.mode}", todo="put torchvision's v2.RGB() before Enhance")
            return PIL.Image.fromarray(self.enhancer(np.array(inpt)))
        pictures = _eight_bits(inpt).reshape(-1, *inpt.shape[-3:]).permute(0, 2, 3, 1).contiguous()
        enhanced = torch.empty_like(pictures)
        for k, picture in enumerate(pictures.numpy()):
            enhanced[k] = torch.from_numpy(np.ascontiguousarray(self.enhancer(picture)))
        result = enhanced.permute(0, 3, 1, 2).reshape(inpt.shape).to(inpt.device)
        if inpt.is_floating_point():
            result = (result / 255).to(inpt.dtype)
        return tv_tensors.wrap(result, like=inpt) if isinstance(inpt, tv_tensors.TVTensor) else result

    def extra_repr(self) -> str:
        """The arguments, for `repr`."""
        return f"enhancer={self.enhancer!r}, device={self.device!r}"


def _eight_bits(tensor: Tensor) -> Tensor:
    """A plain tensor of the same shape, uint8, on the CPU."""
    plain = tensor.detach().as_subclass(Tensor).cpu()
    got = f"a tensor {tuple(plain.shape)} {plain.dtype}"
    if plain.ndim < 3 or plain.shape[-3] != 3 or not (plain.dtype == torch.uint8 or plain.is_floating_point()):
        raise _refused(got, todo="put torchvision's v2.ToImage() before Enhance; it is for colour images")
    if plain.dtype == torch.uint8 or not plain.numel():
        return plain.to(torch.uint8)
    low, high = plain.aminmax()
    # Written so that NaN fails too.
    if not (low >= 0 and high <= 1):
        raise _refused(f"{got}, {low:.4g} to {high:.4g}", todo="put Enhance before v2.Normalize")
    return plain.float().mul(255).round().to(torch.uint8)


def _refused(got: str, todo: str) -> EnhancerError:
    expected = "a tensor (..., 3, H, W), uint8 or floats in [0, 1], or a PIL image of mode RGB"
    return EnhancerError("Enhance was given something it cannot enhance.", expected=expected, got=got, todo=todo)
