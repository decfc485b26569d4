from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duskbench.data_tools.darken import (
    _LEVEL_OF_CODE,
    Camera,
    Lamp,
    capture,
    darken,
    expose,
    lamp_illumination,
    srgb_to_linear,
)
from duskbench.data_tools.errors import ConfigError, DataError

# Level -> linear light, computed by hand from IEC 61966-2-1.
KNOWN_LEVELS = {0: 0.0, 10: 0.00303527, 55: 0.0382044, 118: 0.1811642, 188: 0.5028865, 255: 1.0}


def flat(level: int, side: int = 200) -> np.ndarray:
    return np.full((side, side, 3), level, np.uint8)


def linear(image: np.ndarray) -> np.ndarray:
    """An sRGB decoder that shares nothing with the module's tables."""
    encoded = image.astype(np.float64) / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_camera_that_does_nothing_gives_the_image_back() -> None:
    levels = np.arange(256, dtype=np.uint8)
    image = np.stack([np.tile(levels, (3, 1)), np.tile(levels[::-1], (3, 1)), np.tile(levels // 2, (3, 1))], axis=-1)
    assert np.array_equal(darken(image, Camera(), rng()), image)
    assert np.array_equal(darken(image, Camera(), rng(), np.ones((3, 256))), image)
    assert np.array_equal(darken(image, Camera(bits=16), rng()), image)


def test_every_code_of_the_sensor_has_the_nearest_level() -> None:
    light = np.arange(2**16) / (2**16 - 1)
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert np.array_equal(_LEVEL_OF_CODE, np.rint(255 * encoded))


@pytest.mark.parametrize(("level", "light"), KNOWN_LEVELS.items())
def test_signal_is_linear_light(level: int, light: float) -> None:
    assert expose(flat(level, 2), Camera()) == pytest.approx(light, abs=1e-6)
    assert srgb_to_linear(np.array([level / 255]))[0] == pytest.approx(light, abs=1e-6)


@given(st.integers(0, 255), st.floats(-6, 2))
def test_each_stop_doubles_the_signal(level: int, stops: float) -> None:
    one, two = (expose(flat(level, 1), Camera(exposure_ev=stops + more)) for more in (0, 1))
    assert np.allclose(two, 2 * one, rtol=1e-6)


@pytest.mark.parametrize("stops", [-1, -2, -4])
def test_exposure_and_illumination_are_the_same_thing(stops: int) -> None:
    image = rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    by_exposure = darken(image, Camera(exposure_ev=stops), rng())
    by_light = darken(image, Camera(), rng(), np.full((20, 30), 2.0**stops))
    assert np.array_equal(by_exposure, by_light)
    assert linear(by_exposure).mean() == pytest.approx(linear(image).mean() * 2.0**stops, rel=0.02)


def test_colour_cast_and_coloured_light_act_on_their_channel() -> None:
    cast = linear(darken(flat(188, 4), Camera(colour_cast=(1.0, 0.5, 0.25)), rng()))[0, 0]
    light = np.ones((4, 4, 3)) * (1.0, 0.5, 0.25)
    assert cast == pytest.approx(np.array([0.503, 0.2515, 0.1257]), abs=0.004)
    assert np.array_equal(
        darken(flat(188, 4), Camera(), rng(), light)[0, 0],
        darken(flat(188, 4), Camera(colour_cast=(1.0, 0.5, 0.25)), rng())[0, 0],
    )


@pytest.mark.parametrize(
    ("level", "gain", "read"),
    [(118, 1 / 300, 0.0), (118, 1 / 1000, 0.02), (118, 0.0, 0.03), (160, 1 / 200, 0.01), (188, 1 / 150, 0.0)],
)
def test_noise_has_the_mean_and_the_variance_of_photon_transfer(level: int, gain: float, read: float) -> None:
    got = linear(darken(flat(level), Camera(shot_gain=gain, read_noise=read), rng(5)))
    signal = float(linear(flat(level, 1)).mean())
    # 120,000 samples: the variance's own standard error is 0.4 %; the rest is for the 8-bit steps.
    assert got.mean() == pytest.approx(signal, rel=0.003)
    assert got.var() == pytest.approx(gain * signal + read**2, rel=0.03)


def test_the_photon_transfer_curve_gives_gain_and_read_noise_back() -> None:
    gain, read = 1 / 400, 0.015
    camera = Camera(shot_gain=gain, read_noise=read)
    samples = [linear(darken(flat(level), camera, rng(level))) for level in (100, 120, 140, 160, 180)]
    slope, offset = np.polyfit([s.mean() for s in samples], [s.var() for s in samples], 1)
    assert slope == pytest.approx(gain, rel=0.05)
    assert offset == pytest.approx(read**2, rel=0.15)


def test_few_photons_come_in_whole_numbers_and_often_not_at_all() -> None:
    gain = float(linear(flat(118, 1)).mean()) / 3  # three electrons a pixel
    counts = linear(darken(flat(118), Camera(shot_gain=gain), rng(2))) / gain
    assert (counts < 0.5).mean() == pytest.approx(np.exp(-3), rel=0.05)
    assert np.abs(counts - np.rint(counts)).max() < 0.1


def test_channels_and_pixels_have_noise_of_their_own() -> None:
    got = linear(darken(flat(140), Camera(shot_gain=1 / 300), rng(3)))
    assert abs(np.corrcoef(got[:, :, 0].ravel(), got[:, :, 1].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(got[:, :-1, 0].ravel(), got[:, 1:, 0].ravel())[0, 1]) < 0.02


@pytest.mark.parametrize("level", [10, 55, 118])
@pytest.mark.parametrize("stops", [-3, -5])
@pytest.mark.parametrize(("gain", "read"), [(1 / 8000, 0.0006), (1 / 2000, 0.0), (1 / 1500, 0.0018), (0.0, 0.01)])
def test_sensor_noise_follows_the_photon_transfer_law_down_to_a_few_electrons(
    level: int, stops: int, gain: float, read: float
) -> None:
    """The signal is lifted by a pedestal of light, so that read noise does not clip at black and the law is exact."""
    pedestal = 8 * read
    light = np.full((200, 200), 1 + pedestal / (KNOWN_LEVELS[level] * 2.0**stops))
    got = capture(flat(level), Camera(exposure_ev=stops, shot_gain=gain, read_noise=read), rng(5), light).astype(float)
    signal = KNOWN_LEVELS[level] * 2.0**stops + pedestal
    variance = gain * signal + read**2
    n = got.size
    assert abs(got.mean() - signal) < 4 * np.sqrt(variance / n) + 1e-6
    # Poisson counts of mean m have the excess kurtosis 1/m: it widens the spread of a sample's variance.
    kurtosis = gain**3 * signal / variance**2
    assert abs(got.var() - variance) < 4 * variance * np.sqrt((2 + kurtosis) / n)


@pytest.mark.parametrize("bits", [4, 6, 8, 10, 12])
def test_quantisation_adds_a_twelfth_of_the_squared_step(bits: int) -> None:
    noise, step = 0.05, 1 / (2**bits - 1)
    plain, stepped = (capture(flat(188), Camera(read_noise=noise, bits=b), rng(6)).astype(float) for b in (None, bits))
    error = stepped - plain
    assert np.abs(error).max() <= step / 2 + 1e-6
    assert abs(error.mean()) < 4 * step / np.sqrt(12 * error.size) + 1e-7
    # The error of a uniform variable: kurtosis 1.8, so its variance spreads by sqrt(0.8 / n).
    assert error.var() == pytest.approx(step**2 / 12, rel=4 * np.sqrt(0.8 / error.size) + 1e-3)
    assert stepped.var() == pytest.approx(noise**2 + step**2 / 12, rel=0.02)


@pytest.mark.parametrize("read", [0.001, 0.02])
def test_clipping_at_black_and_at_white_leaves_half_of_the_noise(read: float) -> None:
    black, white = (capture(flat(level), Camera(read_noise=read), rng(7)).astype(float) for level in (0, 255))
    for distance in (black, 1 - white):
        # A rectified normal: half of it is zero, its mean is s / sqrt(2 pi), its second moment s^2 / 2.
        assert distance.min() == 0
        assert (distance == 0).mean() == pytest.approx(0.5, abs=0.006)
        assert distance.mean() == pytest.approx(read / np.sqrt(2 * np.pi), rel=0.02)
        assert (distance**2).mean() == pytest.approx(read**2 / 2, rel=0.03)


def test_no_light_gives_no_photons() -> None:
    assert not capture(flat(0), Camera(exposure_ev=-4, shot_gain=1 / 500), rng()).any()
    assert not capture(flat(200), Camera(shot_gain=1 / 500), rng(), np.zeros((200, 200))).any()


def test_white_balance_takes_the_cast_out_and_enlarges_the_noise() -> None:
    cast, gain = (1.0, 0.5, 0.25), 1 / 2000
    balance = tuple(1 / factor for factor in cast)
    camera = Camera(colour_cast=cast, shot_gain=gain, white_balance=balance)  # type: ignore[arg-type]
    got = linear(darken(flat(118), camera, rng(8))).reshape(-1, 3)
    assert got.mean(axis=0) == pytest.approx(KNOWN_LEVELS[118], rel=0.01)
    # The sensor's variance gain * signal * cast, seen through the gain 1 / cast, is gain * signal / cast.
    assert got.var(axis=0) == pytest.approx(gain * KNOWN_LEVELS[118] / np.array(cast), rel=0.03)
    assert darken(flat(250), Camera(white_balance=(2.0, 1.0, 0.5)), rng())[0, 0].tolist() == [255, 250, 184]


@pytest.mark.parametrize("bits", [1, 3, 6])
def test_the_converter_has_only_so_many_steps(bits: int) -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    assert len(np.unique(darken(ramp, Camera(bits=bits), rng()))) == 2**bits


def test_the_seed_decides() -> None:
    image = rng(1).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    camera = Camera(exposure_ev=-3, shot_gain=1 / 500, read_noise=0.002, bits=12)
    before = image.copy()
    assert np.array_equal(darken(image, camera, rng(4)), darken(image, camera, rng(4)))
    assert not np.array_equal(darken(image, camera, rng(4)), darken(image, camera, rng(5)))
    assert np.array_equal(image, before)


def test_what_shines_ends_at_white() -> None:
    assert darken(flat(200, 3), Camera(shot_gain=1 / 500), rng(), np.full((3, 3), 50.0)).min() == 255


def test_a_lamp_falls_off_to_half_at_its_reach() -> None:
    light = lamp_illumination((101, 201), [Lamp(100, 50, 40, 8.0, (1.0, 0.5, 0.0), stretch=0.5)], ambient=0.25)
    assert light.shape == (101, 201, 3)
    assert light.dtype == np.float32
    assert light[50, 100] == pytest.approx([8.25, 4.25, 0.25])
    assert light[50, 140] == pytest.approx([4.25, 2.25, 0.25])
    assert light[70, 100] == pytest.approx([4.25, 2.25, 0.25])  # half as high as wide
    assert light[50, 180] == pytest.approx([8 / 5 + 0.25, 4 / 5 + 0.25, 0.25])
    twice = lamp_illumination((5, 5), [Lamp(2, 2, 3, 1.0)] * 2, (0.1, 0.2, 0.3))
    assert twice[2, 2] == pytest.approx([2.1, 2.2, 2.3])


@pytest.mark.parametrize(
    "arguments",
    [{"shot_gain": -1.0}, {"read_noise": float("nan")}, {"bits": 0}, {"bits": 17}, {"exposure_ev": float("inf")},
     {"colour_cast": (1.0, -0.1, 1.0)}, {"colour_cast": (1.0, 1.0)}, {"white_balance": (1.0, 1.0)},
     {"white_balance": (float("inf"), 1.0, 1.0)}],
)  # fmt: skip
def test_impossible_cameras_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="Camera"):
        Camera(**arguments)  # type: ignore[arg-type]


def test_impossible_lamps_are_refused() -> None:
    with pytest.raises(ConfigError, match="positive reach"):
        lamp_illumination((4, 4), [Lamp(1, 1, 0, 1)])


@pytest.mark.parametrize("image", [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8)])
def test_other_arrays_are_refused(image: np.ndarray) -> None:
    with pytest.raises(DataError, match="Cannot darken"):
        darken(image, Camera(), rng())


@pytest.mark.parametrize(
    ("light", "message"),
    [(np.ones((4, 5)), "does not fit"), (np.ones((4, 4, 1)), "does not fit"), (np.full((4, 4), -0.1), "negative"),
     (np.full((4, 4), np.nan), "non-finite")],
)  # fmt: skip
def test_other_illumination_is_refused(light: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        darken(flat(9, 4), Camera(), rng(), light)
