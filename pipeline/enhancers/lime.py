"""LIME: divide the picture by its refined illumination map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from duskbench.data_tools.errors import EnhancerError
from duskbench.data_tools.settings import check_setting, is_number, is_whole
from duskbench.pipeline.device import torch_device
from duskbench.pipeline.enhancers.base import Enhancer

if TYPE_CHECKING:
    import torch

# Only an all-black pixel has an illumination of zero, and it stays black.
_SMALLEST_ILLUMINATION = 1e-6


class Lime(Enhancer):
    """Low-light image enhancement via illumination map estimation, with the sped-up solver solved to a known residual.

    Needs about 190 bytes of memory a pixel: 0.4 GB at 2 megapixels, 4.5 GB at 24.

    Args:
        alpha: Weight of smoothness against fidelity of the illumination map.
        gamma: Exponent of the illumination map before the division; 1 brightens most, 0 leaves the image as it is.
        strategy: Weights of the smoothness: 1 none, 2 by gradient, 3 by the Gaussian mean of gradients.
        sigma: Standard deviation of strategy 3's Gaussian, in pixels.
        eps: What keeps the weights' denominators from zero.
        tolerance: Bound on the relative residual of the linear system; 0.01 is under a grey level of the picture.
        device: Where torch computes, `cpu` or `cuda`. No part of the fingerprint: the tolerance holds on every device.

    Raises:
        ConfigError: An argument is out of its range.

    Source: Guo, Li, Ling, "LIME: Low-light image enhancement via illumination map estimation", TIP 2017. Defaults as in
    its experiments and the authors' demo for the sped-up solver. Their denoising (BM3D, "optional") is not applied.
    """

    name = "lime"
    paper = "Guo, Li, Ling: LIME: Low-Light Image Enhancement via Illumination Map Estimation, TIP 2017"

    def __init__(
        self,
        alpha: float = 0.15,
        gamma: float = 0.8,
        strategy: int = 3,
        sigma: float = 2.0,
        eps: float = 1e-3,
        tolerance: float = 0.01,
        device: str = "cpu",
    ) -> None:
        super().__init__(alpha=alpha, gamma=gamma, strategy=strategy, sigma=sigma, eps=eps, tolerance=tolerance)
        for key, value in (("alpha", alpha), ("gamma", gamma)):
            check_setting("LIME", key, value, is_number(value) and value >= 0, "a finite number of at least 0")
        check_setting("LIME", "strategy", strategy, is_whole(strategy) and strategy in (1, 2, 3), "1, 2 or 3")
        for key, value in (("sigma", sigma), ("eps", eps), ("tolerance", tolerance)):
            check_setting("LIME", key, value, is_number(value) and value > 0, "a finite number greater than 0")
        self.alpha, self.gamma, self.strategy = alpha, gamma, strategy
        self.sigma, self.eps, self.tolerance, self.device = sigma, eps, tolerance, device

    def enhance(self, image_rgb: np.ndarray, image_id: str | None) -> np.ndarray:
        """Divide by the illumination map to the power gamma."""
        illumination = self.illumination(image_rgb, image_id)
        gain = illumination.float().pow_(self.gamma).clamp_(min=_SMALLEST_ILLUMINATION).reciprocal_()
        return _multiply(image_rgb, gain.cpu().numpy())

    def illumination(self, image_rgb: np.ndarray, image_id: str | None = None) -> torch.Tensor:
        """The refined illumination map.

        Args:
            image_rgb: (H, W, 3) uint8 RGB.
            image_id: For the error.

        Returns:
            (H, W) float64 within the range of the brightest channel, on the enhancer's device.

        Raises:
            EnhancerError: The solver did not reach the tolerance.
        """
        from duskbench.pipeline.enhancers.illumination import initial_illumination, refine_illumination

        initial = initial_illumination(image_rgb, torch_device(self.device, double=True))
        solution = refine_illumination(
            initial,
            alpha=self.alpha,
            strategy=self.strategy,
            sigma=self.sigma,
            eps=self.eps,
            tolerance=self.tolerance,
        )
        # Not `<=` negated: a residual of NaN must not pass.
        if not solution.residual <= self.tolerance:
            raise EnhancerError(
                "LIME's illumination map did not converge.",
                where=image_id,
                expected=f"a relative residual of at most {self.tolerance:g}",
                got=f"{solution.residual:.3g} after {solution.iterations} iterations",
                todo="raise tolerance or eps, or lower alpha",
            )
        # The exact solution is within the range of its right side; what lies beyond is the solver's remaining error.
        return solution.x.clamp_(float(initial.min()), float(initial.max()))


def _multiply(image_rgb: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """The image times a gain (H, W) float32, rounded and clipped to uint8, in bands that keep memory low."""
    result = np.empty_like(image_rgb)
    band = max(1, (1 << 20) // image_rgb.shape[1])
    for top in range(0, image_rgb.shape[0], band):
        rows = slice(top, top + band)
        scaled = image_rgb[rows] * gain[rows, :, None]
        result[rows] = np.minimum(np.rint(scaled, out=scaled), 255, out=scaled)
    return result
