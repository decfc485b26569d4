"""TorchScript and torch.export files, against the module they were made from."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from duskbench.data_tools.errors import ConfigError, DuskbenchError, WeightsError
from duskbench.pipeline import registry

# Of what the file is read as a host shows nothing; `tests/pipeline/test_host.py` has the process of its own.
load_enhancer = partial(registry.load_enhancer, isolate=False)

IMAGE = np.random.default_rng(0).integers(0, 120, (37, 53, 3)).astype(np.uint8)
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:FutureWarning")


class Curve(nn.Module):
    """A root in a range, after a convolution that does nothing but fix layout and dtype."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.same = nn.Conv2d(3, 3, 1, bias=False)
        self.same.weight.data = torch.eye(3)[:, :, None, None]
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return torch.sqrt(torch.relu(self.same(x)) / self.scale) * self.scale


class Several(Curve):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        y = torch.sqrt(torch.relu(self.same(x)))
        return x[:, :1], y


class Halves(Curve):
    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.avg_pool2d(self.same(x), 4)
        return nn.functional.interpolate(y, scale_factor=4.0)


class Two(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


def script(path: Path, module: nn.Module) -> Path:
    torch.jit.save(torch.jit.script(module.eval()), str(path))
    return path


def assert_root(spec: str, tolerance: int = 1) -> None:
    expected = np.rint(255 * np.sqrt(IMAGE / 255))
    assert np.abs(load_enhancer(spec)(IMAGE) - expected).max() <= tolerance


@pytest.mark.parametrize("name", ["m.pt", "m.ts", "m.torchscript", "m.pth"])
def test_torchscript(tmp_path: Path, name: str) -> None:
    assert_root(str(script(tmp_path / name, Curve())))


def test_range_dtype_output_and_stride(tmp_path: Path) -> None:
    assert_root(str(script(tmp_path / "bytes.pt", Curve(255.0))))
    assert_root(f"{script(tmp_path / 'tuple.pt', Several())}(output=1)")
    assert_root(str(script(tmp_path / "half.pt", Curve().half())), tolerance=2)
    assert load_enhancer(str(script(tmp_path / "halves.pt", Halves()))).stride == 4  # type: ignore[attr-defined]


def test_loading_says_nothing_of_deprecation(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    file = script(tmp_path / "m.pt", Curve())
    recwarn.clear()
    load_enhancer(str(file))
    assert not [each for each in recwarn if "deprecated" in str(each.message)]


@pytest.mark.slow
def test_exported_programs(tmp_path: Path) -> None:
    free = torch.export.Dim.AUTO
    program = torch.export.export(Curve().eval(), (torch.rand(1, 3, 16, 24),), dynamic_shapes=({2: free, 3: free},))
    torch.export.save(program, tmp_path / "free.pt2")
    assert_root(str(tmp_path / "free.pt2"))
    torch.export.save(torch.export.export(Curve().eval(), (torch.rand(1, 3, 16, 24),)), tmp_path / "fixed.pt2")
    enhancer = load_enhancer(str(tmp_path / "fixed.pt2"))
    assert enhancer.size == (16, 24)  # type: ignore[attr-defined]
    with pytest.raises(DuskbenchError, match=r"(?s)fixed\.pt2.*one size only.*24 x 16.*53 x 37"):
        enhancer(IMAGE)


def test_fingerprint_is_of_the_content(tmp_path: Path) -> None:
    prints = {load_enhancer(str(script(tmp_path / f"{n}.pt", Curve(s)))).fingerprint for n, s in enumerate((1, 255.0))}
    moved = tmp_path / "moved.pt"
    moved.write_bytes((tmp_path / "0.pt").read_bytes())
    assert len(prints) == 2 and load_enhancer(str(moved)).fingerprint in prints


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("whole", [False, True])
def test_weights_without_a_graph_say_what_to_do(tmp_path: Path, old: bool, whole: bool) -> None:
    module = nn.Conv2d(3, 3, 3)
    file = tmp_path / "w.pth"
    torch.save(module if whole else module.state_dict(), file, _use_new_zipfile_serialization=not old)
    with pytest.raises(WeightsError, match=r"(?s)no graph.*w\.pth.*mine\.py:Class\(weights="):
        load_enhancer(str(file))


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="does not exist"):
        load_enhancer(str(tmp_path / "none.pt"))
    with pytest.raises(ConfigError, match=r"(?s)not one picture.*x: Tensor, y: Tensor"):
        load_enhancer(str(script(tmp_path / "two.pt", Two())))
    with pytest.raises(ConfigError, match="device"):
        load_enhancer(str(script(tmp_path / "m.pt", Curve())), device="nonsense")
    whole = (tmp_path / "m.pt").read_bytes()
    broken = tmp_path / "broken.pt"
    broken.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError):
        load_enhancer(str(broken))
