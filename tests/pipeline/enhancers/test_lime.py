"""LIME's map against a sparse direct solve of the paper's matrix, and the parts of the solver each on its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse
from scipy.signal import convolve2d
from scipy.sparse.linalg import spsolve

from duskbench.data_tools.errors import ConfigError, EnhancerError
from duskbench.data_tools.images import read_image
from duskbench.pipeline.enhancers import grid_operator as grid_operator_module
from duskbench.pipeline.enhancers.grid_operator import GridOperator, Interpolation, coarsen
from duskbench.pipeline.enhancers.illumination import illumination_operator, initial_illumination, refine_illumination
from duskbench.pipeline.enhancers.lime import Lime
from duskbench.pipeline.enhancers.line_solver import ColumnSolver
from duskbench.pipeline.enhancers.multigrid import Multigrid, solve

DEFAULTS = {"alpha": 0.15, "strategy": 3, "sigma": 2.0, "eps": 1e-3}


def plain_matrix(
    t0: np.ndarray, alpha: float = 0.15, strategy: int = 3, sigma: float = 2.0, eps: float = 1e-3
) -> sparse.csc_matrix:
    """I + alpha sum_d D_d^T diag(W_d / (|D_d t0| + eps)) D_d, from difference matrices and a two-dimensional window."""
    height, width = t0.shape
    reach = round(5 * sigma) // 2
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    window = np.exp(-(rows**2 + columns**2) / (2 * sigma**2))
    window /= window.sum()

    def forward(size: int) -> sparse.csr_matrix:
        # The last row is zero: no flux across the border.
        ones = np.ones(size)
        ones[-1] = 0
        return sparse.diags_array([-ones, ones[:-1]], offsets=[0, 1], shape=(size, size)).tocsr()

    total = sparse.identity(t0.size, format="csr")
    for operator in (
        sparse.kron(sparse.identity(height), forward(width)),
        sparse.kron(forward(height), sparse.identity(width)),
    ):
        difference = operator @ t0.ravel()
        grid = difference.reshape(t0.shape)
        weight = {
            1: np.ones_like(grid),
            2: 1 / (np.abs(grid) + eps),
            3: convolve2d(np.ones_like(grid), window, "same") / (np.abs(convolve2d(grid, window, "same")) + eps),
        }[strategy]
        total = total + alpha * operator.T @ sparse.diags(weight.ravel() / (np.abs(difference) + eps)) @ operator
    return total.tocsc()


def direct_map(t0: np.ndarray, **arguments: float) -> np.ndarray:
    return spsolve(plain_matrix(t0, **arguments), t0.ravel(), permc_spec="MMD_AT_PLUS_A").reshape(t0.shape)  # type: ignore[arg-type]


def night(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Lit blocks on a dark ground with noise, in 8 bits."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), 12.0)
    for _ in range(6):
        top, left = rng.integers(0, height), rng.integers(0, width)
        image[top : top + height // 3 + 1, left : left + width // 4 + 1] = rng.uniform(5, 230, 3)
    return np.clip(image + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8)


def assert_close(got: torch.Tensor, expected: torch.Tensor, rtol: float = 1e-9, atol: float = 1e-9) -> None:
    np.testing.assert_allclose(got.numpy(), expected.numpy(), rtol=rtol, atol=atol)


def brightest(image: np.ndarray) -> np.ndarray:
    return image.max(axis=2) / 255.0


def patterns(height: int = 60, width: int = 70) -> dict[str, np.ndarray]:
    rows, columns = np.indices((height, width))
    rng = np.random.default_rng(1)
    return {
        "noise": rng.random((height, width)),
        "dark noise": rng.integers(0, 3, (height, width)) / 255,
        "stripes": columns % 2 * 0.5,
        "checkerboard": (rows + columns) % 2 * 0.7,
        "thin lines": np.where((rows % 7 == 0) | (columns % 5 == 0), 0.9, 0.1),
        "diagonals": ((rows + columns) % 6 < 3) * 0.5,
        "rings": np.sin(np.hypot(rows, columns) * 0.8) * 0.5 + 0.5,
        "one bright pixel": ((rows == 20) & (columns == 31)) * 1.0,
    }


# The map against the paper's equation


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 2), (2, 1), (1, 600), (600, 1), (2, 301), (19, 21), (20, 21), (64, 64), (93, 71)]
)
@pytest.mark.parametrize("strategy", [1, 2, 3])
def test_the_map_is_the_direct_solution(size: tuple[int, int], strategy: int) -> None:
    t0 = brightest(night(*size))
    solution = refine_illumination(torch.from_numpy(t0), strategy=strategy, tolerance=1e-8)
    expected = direct_map(t0, strategy=strategy)
    assert solution.residual <= 1e-8
    np.testing.assert_allclose(solution.x.numpy(), expected, rtol=0, atol=2e-7)


@pytest.mark.parametrize(
    "arguments", [{"alpha": 0.0}, {"alpha": 3.0}, {"sigma": 0.7}, {"sigma": 5.0}, {"eps": 1e-4}], ids=str
)
def test_the_map_follows_its_arguments(arguments: dict[str, float]) -> None:
    t0 = brightest(night(40, 53))
    solution = refine_illumination(torch.from_numpy(t0), tolerance=1e-6, **arguments)  # type: ignore[arg-type]
    np.testing.assert_allclose(solution.x.numpy(), direct_map(t0, **arguments), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", patterns())
def test_patterns_that_break_simple_solvers(name: str) -> None:
    t0 = patterns()[name]
    solution = refine_illumination(torch.from_numpy(t0), tolerance=1e-5, max_iterations=60)
    assert solution.residual <= 1e-5
    np.testing.assert_allclose(solution.x.numpy(), direct_map(t0), rtol=0, atol=2e-5)


@pytest.mark.parametrize(
    "name", ["lowlight/LIME/1.bmp", "lowlight/DICM64/01.jpg", "lowlight/DICM64/18.jpg", "lowlight/DICM64/37.jpg"]
)
def test_real_pictures_at_the_default_tolerance(shared: Path, name: str) -> None:
    import cv2

    image = cv2.resize(read_image(shared / "data" / name), (180, 120), interpolation=cv2.INTER_AREA)
    t0 = brightest(image)
    lime = Lime()
    illumination = lime.illumination(image).numpy()
    matrix, exact = plain_matrix(t0), direct_map(t0)
    assert np.linalg.norm(matrix @ illumination.ravel() - t0.ravel()) <= 0.0101 * np.linalg.norm(t0)
    assert np.sqrt(np.mean((illumination - exact) ** 2)) <= 1e-4
    # And in the picture: under one grey level before rounding, so at most one after it.
    expected = (image * (exact[..., None] ** -0.8)).clip(0, 255)
    assert np.abs(lime(image) - expected).max() < 1


def test_iterations_do_not_grow_with_the_picture(shared: Path) -> None:
    import cv2

    image = read_image(shared / "data/lowlight/LIME/1.bmp")
    counts = []
    for width, height in ((150, 100), (600, 400)):
        t0 = brightest(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
        counts.append(refine_illumination(torch.from_numpy(t0)).iterations)
    assert max(counts) <= 14, counts


@settings(deadline=None, max_examples=40)
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)).flatmap(
        lambda size: arrays(np.uint8, size, elements=st.sampled_from([0, 1, 2, 40, 250, 255]))
    )
)
def test_any_map_is_solved_and_stays_in_range(levels: np.ndarray) -> None:
    t0 = levels / 255.0
    solution = refine_illumination(torch.from_numpy(t0), tolerance=1e-5)
    x = solution.x.numpy()
    left_over = plain_matrix(t0) @ x.ravel() - t0.ravel()
    assert np.linalg.norm(left_over) <= 1.01e-5 * np.linalg.norm(t0)
    assert x.min() >= t0.min() - 1e-4
    assert x.max() <= t0.max() + 1e-4
    # Smoothing moves light about and makes none: every column of the matrix sums to one.
    assert abs(x.sum() - t0.sum()) <= 1e-5 * np.linalg.norm(t0) * np.sqrt(t0.size) + 1e-9


def test_turning_the_picture_turns_the_map() -> None:
    t0 = torch.from_numpy(brightest(night(45, 60)))
    upright = refine_illumination(t0, strategy=2, tolerance=1e-7).x
    for turned, back in ((t0.flip(0), lambda x: x.flip(0)), (t0.flip(1), lambda x: x.flip(1)), (t0.t(), torch.t)):
        x = refine_illumination(turned.contiguous(), strategy=2, tolerance=1e-7).x
        assert_close(back(x), upright, rtol=0, atol=1e-6)


def test_giving_up_says_how_far_it_came() -> None:
    t0 = torch.from_numpy(brightest(night(60, 60)))
    solution = refine_illumination(t0, tolerance=1e-6, max_iterations=2)
    assert solution.iterations == 2
    assert 1e-6 < solution.residual < 100


# The enhancer


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (2, 2), (3, 200), (41, 37)])
@pytest.mark.parametrize("level", [0, 1, 128, 255])
def test_a_constant_picture_is_divided_by_its_level(size: tuple[int, int], level: int) -> None:
    result = Lime()(np.full((*size, 3), level, np.uint8))
    expected = round(255 * (level / 255) ** 0.2)
    assert np.unique(result).tolist() == [expected]


def test_the_picture_is_the_input_over_the_map_to_the_power_gamma() -> None:
    image = night(50, 64)
    exact = direct_map(brightest(image))
    for gamma in (0.0, 0.5, 0.8, 1.0):
        expected = (image / exact[..., None] ** gamma).clip(0, 255)
        assert np.abs(Lime(gamma=gamma, tolerance=1e-6)(image) - expected).max() <= 0.51
    np.testing.assert_array_equal(Lime(gamma=0.0)(image), image)


def test_it_brightens_is_repeatable_and_leaves_its_input() -> None:
    image = night(70, 51)
    before = image.copy()
    first, second = Lime()(image), Lime()(image)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(image, before)
    assert (first >= image).all()
    assert first.mean() > 1.5 * image.mean()
    np.testing.assert_array_equal(Lime()(image[::-1, ::-1]), Lime()(image[::-1, ::-1].copy()))


def test_black_pixels_stay_black() -> None:
    image = night(40, 40)
    image[:20] = 0
    assert not Lime()(image)[:20].any()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("alpha", -0.1),
        ("gamma", -1),
        ("strategy", 4),
        ("sigma", 0),
        ("eps", 0),
        ("tolerance", 0),
        ("alpha", float("nan")),
    ],
)
def test_arguments_out_of_range(key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"LIME's {key} is out of range") as caught:
        Lime(**{key: value})  # type: ignore[arg-type]
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("device", ["no such device", "meta:x"])
def test_an_unknown_device(device: str) -> None:
    with pytest.raises(ConfigError, match="device cannot be used"):
        Lime(device=device)(night(4, 4))


def test_a_tolerance_out_of_reach_is_an_error_that_names_the_image() -> None:
    with pytest.raises(EnhancerError, match="did not converge") as caught:
        Lime(tolerance=1e-30)(night(30, 30), image_id="2015_00001")
    assert caught.value.where == "2015_00001"


def test_the_fingerprint_knows_the_arguments_but_not_the_device() -> None:
    before = Lime().fingerprint
    assert Lime(alpha=0.15, device="cuda").fingerprint == before
    assert (
        len({before, Lime(alpha=0.2).fingerprint, Lime(strategy=2).fingerprint, Lime(tolerance=0.1).fingerprint}) == 4
    )


@pytest.mark.gpu
def test_the_gpu_gives_the_same_picture() -> None:
    image = night(300, 401)
    on_cpu, on_gpu = Lime()(image).astype(int), Lime(device="cuda")(image).astype(int)
    assert np.abs(on_cpu - on_gpu).max() <= 1


# The parts of the solver


@pytest.mark.parametrize("shape", [(1, 3), (2, 1), (3, 4), (7, 5), (8, 5), (33, 2), (100, 7)])
def test_columns_are_solved(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    coupling = 10 ** rng.uniform(-2, 5, (shape[0] - 1, shape[1]))
    excess = 10 ** rng.uniform(-1, 2, shape)
    right_side = rng.normal(size=shape)
    expected = np.empty(shape)
    for column in range(shape[1]):
        c = coupling[:, column]
        matrix = np.diag(excess[:, column]) - np.diag(c, 1) - np.diag(c, -1)
        matrix += np.diag(np.append(c, 0) + np.insert(c, 0, 0))
        expected[:, column] = np.linalg.solve(matrix, right_side[:, column])
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 1e-5)):
        parts = [torch.from_numpy(part).to(dtype) for part in (coupling, excess, right_side)]
        kept = [part.clone() for part in parts]
        result = ColumnSolver(parts[0], parts[1]).solve(parts[2])
        scale = np.abs(expected).max()
        np.testing.assert_allclose(result.numpy(), expected, rtol=0, atol=tolerance * scale)
        assert all(torch.equal(part, copy) for part, copy in zip(parts, kept, strict=True))


SHAPES = [(1, 9), (9, 1), (2, 2), (2, 7), (6, 6), (7, 7), (6, 9), (9, 8)]


def grid_operator(shape: tuple[int, int], *, nine_points: bool) -> GridOperator:
    generator = torch.Generator().manual_seed(0)
    height, width = shape

    def random(*size: int) -> torch.Tensor:
        return 10 ** (6 * torch.rand(*size, generator=generator, dtype=torch.float64) - 2)

    diagonals = [random(height - 1, width - 1) for _ in range(2)] if nine_points else []
    return GridOperator(random(*shape), random(height, width - 1), random(height - 1, width), *diagonals)


def interpolation_matrix(interpolation: Interpolation) -> torch.Tensor:
    coarse = torch.zeros(interpolation.coarse_shape, dtype=torch.float64)
    fine = torch.zeros(interpolation.fine_shape, dtype=torch.float64)
    prolong, columns = interpolation.bind_prolong(coarse, fine), []
    for index in range(coarse.numel()):
        coarse.zero_().view(-1)[index] = 1
        fine.zero_()
        prolong()
        columns.append(fine.flatten().clone())
    return torch.stack(columns, dim=1)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("nine_points", [False, True])
def test_an_operator_is_its_matrix(shape: tuple[int, int], nine_points: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    operator = grid_operator(shape, nine_points=nine_points)
    matrix = operator.dense()
    index = torch.arange(matrix.shape[0]).view(shape)
    assert_close(matrix, matrix.t())
    assert_close(matrix.sum(1).view(shape), operator.mass, rtol=1e-7, atol=1e-7)
    pairs = {"right": (index[:, :-1], index[:, 1:]), "down": (index[:-1], index[1:])}
    if nine_points:
        pairs |= {"falling": (index[:-1, :-1], index[1:, 1:]), "rising": (index[1:, :-1], index[:-1, 1:])}
    for name, (first, second) in pairs.items():
        assert_close(-matrix[first, second], getattr(operator, name))
    entries = sum(2 * first.numel() for first, _ in pairs.values()) + index.numel()
    assert int((matrix != 0).sum()) == entries
    x = torch.rand(shape, dtype=torch.float64)
    out, minuend = torch.empty_like(x), torch.rand(shape, dtype=torch.float64)
    operator.bind(x, out, minuend)()
    assert_close(out.flatten(), minuend.flatten() - matrix @ x.flatten())
    for numbers in (1, 3 * shape[1]):
        # A band of one row, and of three.
        monkeypatch.setattr(grid_operator_module, "_IN_CACHE", numbers)
        in_bands = torch.empty_like(x)
        operator.bind(x, in_bands, minuend)()
        assert torch.equal(in_bands, out)
    vertical = operator.row_excess(operator.down)
    within = torch.zeros(shape, dtype=torch.float64)
    within[:-1] += operator.down
    within[1:] += operator.down
    assert_close(vertical + within, matrix.diagonal().view(shape))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("nine_points", [False, True])
def test_the_coarse_operator_is_the_galerkin_product(shape: tuple[int, int], nine_points: bool) -> None:
    operator = grid_operator(shape, nine_points=nine_points)
    interpolation = Interpolation(operator)
    matrix = interpolation_matrix(interpolation)
    assert_close(matrix.sum(1), torch.ones(matrix.shape[0], dtype=torch.float64))
    assert float(matrix.min()) >= 0
    expected = matrix.t() @ operator.dense() @ matrix
    assert_close(coarsen(operator, interpolation).dense(), expected, rtol=1e-8, atol=1e-6)

    fine = torch.rand(shape, dtype=torch.float64)
    coarse = torch.empty(interpolation.coarse_shape, dtype=torch.float64)
    interpolation.bind_restrict(fine, coarse)()
    assert_close(coarse.flatten(), matrix.t() @ fine.flatten())


def test_interpolation_does_not_cross_an_edge() -> None:
    right = torch.full((3, 4), 1e5, dtype=torch.float64)
    right[:, 0] = 1e-3
    operator = GridOperator(torch.ones(3, 5, dtype=torch.float64), right, torch.full((2, 5), 1e5, dtype=torch.float64))
    matrix = interpolation_matrix(Interpolation(operator)).view(3, 5, 2, 3)
    # Column 1 is cut off from column 0 and takes its value from column 2.
    assert float(matrix[:, 1, :, 0].max()) < 1e-6
    assert_close(matrix[:, 1, :, 1].sum(1), torch.ones(3, dtype=torch.float64), rtol=1e-6)


def test_the_cycle_is_symmetric_positive_definite_and_close_to_the_inverse() -> None:
    t0 = torch.from_numpy(brightest(night(24, 23)))
    operator = illumination_operator(t0, **DEFAULTS)  # type: ignore[arg-type]
    cycle = Multigrid(operator)
    columns = []
    for index in range(t0.numel()):
        cycle.right_side.zero_().view(-1)[index] = 1
        cycle.cycle()
        columns.append(cycle.x.flatten().double())
    inverse = torch.stack(columns)
    assert float((inverse - inverse.t()).abs().max()) <= 1e-5 * float(inverse.abs().max())
    factor = torch.linalg.cholesky((inverse + inverse.t()) / 2)
    spectrum = torch.linalg.eigvalsh(factor.t() @ operator.dense() @ factor)
    assert float(spectrum.min()) > 0.05
    assert float(spectrum.max()) < 1.5


def test_solving_restarts_from_the_true_residual_and_keeps_its_arguments() -> None:
    t0 = torch.from_numpy(brightest(night(50, 41)))
    operator = illumination_operator(t0, **DEFAULTS)  # type: ignore[arg-type]
    start, right_side = torch.zeros_like(t0), t0.clone()
    solution = solve(operator, right_side, start=start, tolerance=1e-11)
    assert solution.residual <= 1e-11
    assert not start.any()
    assert torch.equal(right_side, t0)
    assert solve(operator, right_side, start=solution.x, tolerance=1e-10).iterations == 0


def test_initial_illumination_is_the_brightest_channel() -> None:
    image = np.array([[[1, 2, 3], [255, 0, 0]], [[0, 0, 0], [4, 51, 4]]], np.uint8)
    assert initial_illumination(image).tolist() == [[3 / 255, 1.0], [0.0, 0.2]]
