"""Metrics of users that break every rule: each runs in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from duskbench.benchmarks.metrics.base import DetectionMetric, ImageMetric
from duskbench.benchmarks.metrics.boxes import Boxes
from duskbench.benchmarks.metrics.registry import load_metric
from duskbench.benchmarks.metrics.voc_ap import VocAPMetric
from duskbench.benchmarks.protocol import Protocol
from duskbench.data_tools.errors import ConfigError, DuskbenchError, MetricError
from duskbench.data_tools.host import host

METRICS = """
import ctypes, os, sys
import numpy as np
from duskbench import DetectionMetric, ImageMetric, Value
from duskbench.benchmarks.metrics.base import Ranked, Ranking
from duskbench.benchmarks.metrics.voc_ap import VocAPMetric

kept = []

class Acts(ImageMetric):
    key, heading, better = "acts", "Acts", "lower"
    needs = frozenset({"original"})

    def measure(self, image_rgb, **given):
        return getattr(self, f"do_{image_rgb[0, 0, 0]}")(image_rgb, given["original_rgb"])

    def do_0(self, image, original): return float(image.mean() - original.mean())
    def do_1(self, image, original): os._exit(0)
    def do_2(self, image, original): ctypes.string_at(0)
    def do_3(self, image, original):
        while True: pass
    def do_4(self, image, original):
        kept.append(image); image[:] = 7; original[:] = 9; os.chdir("/"); np.random.seed(0); return 1.0
    def do_5(self, image, original): return kept[0].mean()
    def do_6(self, image, original): return np.float32(0.5)
    def do_7(self, image, original): return np.array(0.5)
    def do_8(self, image, original): return Value(None, "x" * 10**6)
    def do_9(self, image, original): return "0.5"
    def do_10(self, image, original): return 1j
    def do_11(self, image, original): return 10**400
    def do_12(self, image, original): sys.exit(0)
    def do_13(self, image, original): raise KeyboardInterrupt
    def do_14(self, image, original): return image
    def do_15(self, image, original): return Value(True)
    def do_16(self, image, original): return float("inf")

    def aggregate(self, numbers):
        return {1: os._exit, 2: float}.get(int(numbers[0]), lambda x: numbers.max() - numbers.min())(int(numbers[0]))

class Own(ImageMetric):
    key, heading, better = "own", "Own", "lower"
    def __init__(self, how="", protocol=None):
        self.protocol = protocol
        exec(how)

class Ranks(VocAPMetric):
    def rank(self, truth, found, classes):
        truth.boxes_xyxy[:] += 0
        return super().rank(truth, found, classes)

class Wrong(DetectionMetric):
    key, heading = "wrong", "Wrong"
    def __init__(self, made="None"): self.arguments = {"made": made}
    def rank(self, truth, found, classes): return eval(self.arguments["made"])
"""


FACTORY = """
from duskbench import ImageMetric

def over(most):
    class Over(ImageMetric):
        key, heading, better = f"over{most}", "Over", "lower"
        def measure(self, image_rgb, **given): return float((image_rgb > most).mean())
    return Over

Over50, Over200 = over(50), over(200)

class Base(ImageMetric):
    heading, better = "T", "lower"
    def measure(self, image_rgb, **given): return float((image_rgb > self.most).mean())

T50, T200 = (type("T", (Base,), {"key": f"t{most}", "most": most}) for most in (50, 200))
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("metrics") / "theirs.py"
    path.write_text(METRICS)
    return path


@pytest.fixture(scope="module")
def acts(file: Path) -> Iterator[ImageMetric]:
    """One for all of them: what the tests before did to it must not matter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DUSKBENCH_TIME_LIMIT", "3")
        metric = load_metric(f"{file}:Acts")
    assert isinstance(metric, ImageMetric)
    yield metric


def picture(action: int) -> np.ndarray:
    image = np.random.default_rng(1).integers(0, 256, (8, 9, 3)).astype(np.uint8)
    image[0, 0, 0] = action
    return image


@pytest.mark.parametrize(
    ("action", "says"),
    [
        (1, r"(?s)'.*theirs\.py:Acts' ended its process.*exit code 0"),
        (2, r"(?s)ended its process.*signal 11"),
        (3, r"(?s)took too long.*within 3 s.*in do_3"),
        (9, r"(?s)'acts' broke its contract.*a finite number.*'0\.5'"),
        (10, "broke its contract"),
        (11, "broke its contract"),
        (12, r"(?s)'acts' failed.*SystemExit: 0 \(\S*theirs\.py"),
        (13, "KeyboardInterrupt"),
        (14, "broke its contract"),
        (16, r"(?s)broke its contract.*inf"),
    ],
)
def test_it_is_an_error_and_the_next_image_is_right(acts: ImageMetric, action: int, says: str) -> None:
    original = picture(0)
    with pytest.raises(MetricError, match=says):
        acts.measure(picture(action), original_rgb=original)
    image = picture(0)
    image[1:] //= 2
    assert acts.measure(image, original_rgb=original).number == pytest.approx(image.mean() - original.mean())  # type: ignore[union-attr]


def test_what_it_does_to_its_process_or_arrays_harms_nobody(acts: ImageMetric) -> None:
    folder, image, original = Path.cwd(), picture(4), picture(0)
    np.random.seed(5)
    expected = np.random.RandomState(5).rand()
    assert acts.measure(image, original_rgb=original).number == 1  # type: ignore[union-attr]
    assert Path.cwd() == folder and np.random.rand() == expected
    assert np.array_equal(image, picture(4)) and np.array_equal(original, picture(0))
    # Its own copy, and no later image's, is what it kept.
    assert acts.measure(picture(5), original_rgb=original).number == 7  # type: ignore[union-attr]


@pytest.mark.parametrize(("action", "number"), [(6, 0.5), (7, 0.5), (15, 1.0)])
def test_numbers_of_any_kind_become_plain_ones(acts: ImageMetric, action: int, number: float) -> None:
    value = acts.measure(picture(action), original_rgb=picture(0))
    assert value.number == number and type(value.number) is float  # type: ignore[union-attr]


def test_a_reason_is_bounded(acts: ImageMetric) -> None:
    value = acts.measure(picture(8), original_rgb=picture(0))
    assert value.number is None and value.reason == "x" * 1000  # type: ignore[union-attr]


def test_its_aggregate_runs_there_as_well(acts: ImageMetric) -> None:
    assert not acts.is_mean and acts.aggregate(np.array([5.0, 3.0, 9.0])) == 6
    with pytest.raises(MetricError, match="ended its process"):
        acts.aggregate(np.array([1.0]))
    assert acts.aggregate(np.array([2.0])) == 2


@pytest.mark.parametrize(
    ("how", "error", "says"),
    [
        ("os._exit(0)", MetricError, "exit code 0"),
        ("1 / 0", MetricError, "ZeroDivisionError"),
        ("self.digits = 'many'", ConfigError, "digits: 0 to 15"),
        ("self.key = ''", ConfigError, "key: letters, digits"),
        ("self.better = 'more'", ConfigError, "better"),
        ("self.tolerance = float('nan')", ConfigError, "tolerance"),
        ("self.factor = 'x'", ConfigError, "factor"),
        ("self.factor = 0", ConfigError, "factor: a finite number above 0"),
        ("self.needs = {'twin'}", ConfigError, "needs"),
        ("self.describe = lambda: 5", ConfigError, "describe"),
        ("self.arguments = [1]", ConfigError, "arguments"),
    ],
)
def test_one_that_cannot_be_built(file: Path, how: str, error: type[DuskbenchError], says: str) -> None:
    with pytest.raises(error, match=says):
        load_metric({"type": f"{file}:Own", "how": how})


@pytest.mark.parametrize("names", [("Over50", "Over200"), ("T50", "T200")])
def test_metrics_that_only_their_name_tells_apart(tmp_path: Path, names: tuple[str, str]) -> None:
    (tmp_path / "factory.py").write_text(FACTORY)
    first, second, again = (load_metric(f"{tmp_path}/factory.py:{name}") for name in (*names, names[0]))
    assert first.fingerprint == again.fingerprint != second.fingerprint


def test_arguments_count_beside_those_that_a_class_names_itself(tmp_path: Path) -> None:
    (tmp_path / "over.py").write_text(
        "from duskbench import ImageMetric\n\n"
        "class Base(ImageMetric):\n    key, heading, better = 'over', 'Over', 'lower'\n"
        "    def __init__(self, region): self.arguments = {'region': region, 'most': 0}\n\n"
        "class Over(Base):\n    def __init__(self, most=128, region='all'): super().__init__(region)\n"
    )
    specs = [f"{tmp_path}/over.py:Over{given}" for given in ("(most=128)", "(most=128)", "(most=20)", "")]
    one, again, other, bare = map(load_metric, specs)
    assert one.arguments == {"region": "all", "most": 128} and bare.arguments == {"region": "all", "most": 0}
    assert one.fingerprint == again.fingerprint and len({each.fingerprint for each in (one, other, bare)}) == 3
    assert one.identity == again.identity and len({each.identity for each in (one, other, bare)}) == 3


def test_every_file_that_an_argument_names_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ckpt").mkdir()
    (tmp_path / "reads.py").write_text(
        "from duskbench import ImageMetric\n\nclass Reads(ImageMetric):\n    key, heading, better = 'r', 'R', 'lower'\n"
        "    def __init__(self, parts=('w.txt',)): pass\n"
    )
    for spec, file in [("Reads", "w.txt"), ("Reads(parts={'a': 'ckpt'})", "ckpt/v.txt")]:
        metrics = []
        for content in "112":
            (tmp_path / file).write_text(content)
            metrics.append(load_metric(f"reads.py:{spec}"))
        before, again, after = metrics
        assert before.fingerprint == again.fingerprint != after.fingerprint
        assert before.identity == again.identity != after.identity


def test_one_whose_constructor_loops(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "LEAST_TIME_FOR_BUILDING", 2.0)
    monkeypatch.setenv("DUSKBENCH_TIME_LIMIT", "1")
    with pytest.raises(MetricError, match=r"(?s)took too long.*within 2 s"):
        load_metric({"type": f"{file}:Own", "how": "while True: pass"})


def boxes(**changed: object) -> Boxes:
    columns = {
        "boxes_xyxy": np.array([[0, 0, 5, 5], [1, 1, 4, 4], [2, 2, 9, 9]], float),
        "labels": np.array([0, 1, 0]),
        "images": np.array([0, 1, 1]),
        "scores": np.array([0.9, 0.8, 0.7]),
        "difficult": np.zeros(3, bool),
        "ordinals": np.array([0, 0, 1]),
    }
    return Boxes(**{**columns, **changed})  # type: ignore[arg-type]


def test_a_metric_of_detections_ranks_there_and_alike(file: Path) -> None:
    protocol = Protocol(classes=("car", "person"))
    own, here = load_metric(f"{file}:Ranks", protocol), VocAPMetric(protocol)
    assert isinstance(own, DetectionMetric) and own.identity == here.identity and own.describe() == here.describe()
    truth, found = boxes(), boxes(images=np.array([0, 1, 0]))
    got, expected = own.rank(truth, found, protocol.classes), here.rank(truth, found, protocol.classes)
    assert got.mode == expected.mode and list(got.by_class) == list(expected.by_class)
    for name in expected.by_class:
        for one, other in zip(got.by_class[name], expected.by_class[name], strict=True):
            for column in ("images", "tp", "positions"):
                assert np.array_equal(getattr(one, column), getattr(other, column)), (name, column)


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ("os._exit(0)", "exit code 0"),
        ("None", "a Ranked"),
        ("Ranked({'dog': ()})", "classes among car, person"),
        ("Ranked({'car': (1,)})", "a tuple of Ranking"),
        ("Ranked({'car': (Ranking(np.array([9]), np.array([True])),)})", "integers from 0 to 1"),
        ("Ranked({'car': (Ranking(np.array([0.5]), np.array([True])),)})", "integers"),
        ("Ranked({'car': (Ranking(np.array([0]), np.array([1])),)})", r"tp: \(1,\) bool"),
        ("Ranked({'car': (Ranking(np.array([0]), np.array([True]), np.array([3])),)})", "integers from 0 to 2"),
        ("Ranked({'car': (Ranking(np.array([object()]), np.array([True])),)})", "integers"),
        ("Ranked({}, 'mine')", "mode"),
    ],
)
def test_wrong_ranks(file: Path, made: str, says: str) -> None:
    metric = load_metric({"type": f"{file}:Wrong", "made": made})
    assert isinstance(metric, DetectionMetric)
    with pytest.raises(MetricError, match=says):
        metric.rank(boxes(), boxes(), ("car", "person"))
