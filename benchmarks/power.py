"""The smallest difference that a run's images can settle, and how many images a difference needs.

A difference is settled where its interval leaves 0: where it is further from 0 than `critical` standard errors. What a
run finds is above the true difference as often as below, so of true differences as large as that only half are settled;
for 80 of 100 it takes 0.84 standard errors more. A standard error falls with the square root of the number of images.
`python -m duskbench.benchmarks.studies.family_wise_error` compares the prediction with simulated runs.

Source: Cohen, Statistical Power Analysis for the Behavioral Sciences (1988), section 2.1.
"""

from __future__ import annotations

import math
from statistics import NormalDist

DEFAULT_POWER = 0.8


def smallest_difference(standard_error: float, critical: float, power: float = DEFAULT_POWER) -> float:
    """The true difference that so large a share of runs settles.

    Args:
        standard_error: Of the difference, on these images.
        critical: Standard errors from 0 at which a difference is settled; see `simultaneous.Family`.
        power: Share of the runs.
    """
    return (critical + NormalDist().inv_cdf(power)) * standard_error


def images_needed(
    n_images: int, difference: float, standard_error: float, critical: float, power: float = DEFAULT_POWER
) -> int | None:
    """How many images like these it takes to settle a true difference in so large a share of runs.

    Args:
        n_images: That the standard error stands on.
        difference: The true one.
        standard_error: See `smallest_difference`, like the rest.
        critical: See there.
        power: See there.

    Returns:
        None for a difference of 0: no number of images settles it. At least 2: a single image has no interval.
    """
    if difference == 0:
        return None
    return max(2, math.ceil(n_images * (smallest_difference(standard_error, critical, power) / difference) ** 2))
