"""How far an attention map tells places from each other."""

from __future__ import annotations

import numpy as np
from torch import Tensor


def spread(maps: Tensor) -> float:
    """Grey levels between the 2nd and the 98th percentile."""
    low, high = np.quantile(maps.numpy(), (0.02, 0.98))
    return 255 * float(high - low)
