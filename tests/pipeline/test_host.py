"""Plug-ins that break every rule, each in a process of its own."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from duskbench.data_tools.errors import ConfigError, DetectorError, DuskbenchError, EnhancerError, WeightsError
from duskbench.data_tools.host.host import GIVE_UP_AFTER
from duskbench.pipeline import load_detector, load_enhancer
from duskbench.pipeline.detectors.base import Detections
from duskbench.pipeline.enhancers.base import Enhancer
from tests.pipeline.hostile import ACTIONS

HOSTILE = Path(__file__).with_name("hostile.py")
SHAPE = (40, 50, 3)


def picture(action: str = "copy", seed: int = 0) -> np.ndarray:
    """Noise whose first value says what the plug-in does with it."""
    image = np.random.default_rng(seed).integers(0, 256, SHAPE).astype(np.uint8)
    image[0, 0, 0] = list(ACTIONS).index(action)
    return image


@pytest.fixture(scope="module")
def act() -> Iterator[Enhancer]:
    """One plug-in for all of them: what the tests before did to it must not matter."""
    enhancer = load_enhancer(f"{HOSTILE}:act", time_limit=2.0)
    yield enhancer
    enhancer.close()


@pytest.mark.parametrize(
    ("action", "says"),
    [
        ("os_exit", r"ended its process[\s\S]*exit code 0"),
        ("exit_7", "exit code 7; it said: last words"),
        ("segmentation_fault", r"signal 11 \(Segmentation fault\), at \S*hostile\.py:\d+, in segmentation_fault"),
        ("abort", r"signal 6 \(Aborted\), at \S*hostile\.py:\d+, in abort"),
        ("kill_9", r"signal 9 \(Killed, as the system does when memory runs out\)"),
        ("close_everything", "ended its process"),
        ("write_to_everything", "closed the channel between them, or wrote to it"),
        ("loop", r"took too long[\s\S]*within 2 s[\s\S]*at \S*hostile\.py:\d+, in loop[\s\S]*DUSKBENCH_TIME_LIMIT"),
        ("native_loop", r"took too long[\s\S]*in native_loop"),
        ("sys_exit", r"SystemExit: bye \(\S*hostile\.py:\d+, in sys_exit\)"),
        ("keyboard_interrupt", r"KeyboardInterrupt \(\S*hostile\.py:\d+, in keyboard_interrupt\)"),
        ("generator_exit", "GeneratorExit"),
        ("base_exception", "BaseException: base"),
        ("own_error", r"OwnError: no luck"),
        ("unreadable_error", r"Unreadable: its message cannot be read \(\S*hostile\.py"),
        ("long_error", r"ValueError: xxx.*x \.\.\. \(10000000 characters\)"),
        ("half_a_character", r"ValueError: \\ud800"),
        ("memory", "MemoryError"),
        ("recursion", "RecursionError"),
        ("nothing", "got: NoneType"),
        ("float", r"got: ndarray \(40, 50, 3\) float64, values 0 to 255"),
        ("empty", r"got: ndarray \(0, 0, 3\) uint8"),
        ("in_place", "changed in place"),
        ("reshape_in_place", "changed in place"),
        ("resize_in_place", "changed in place"),
    ],
)
def test_it_is_an_error_of_that_image_and_the_next_one_is_right(act: Enhancer, action: str, says: str) -> None:
    image = picture(action)
    before = image.copy()
    with pytest.raises(EnhancerError, match=says) as caught:
        act(image, image_id="img7")
    assert caught.value.where == "img7" and "hostile.py:act" in caught.value.what
    assert len(str(caught.value)) < 3000
    assert np.array_equal(image, before)
    assert np.array_equal(act(picture(seed=1)), picture(seed=1))


@pytest.mark.parametrize(
    "action",
    [
        "same_object",
        "view",
        "masked",
        "strided",
        "read_only",
        "keep",
        "change_later",
        "reuse_a_buffer",
        "change_folder",
        "print_much",
        "close_stdout",
        "handle_signals",
        "go_on_twice",
        "start_threads",
        "strict_numpy",
        "strict_warnings",
        "environment",
        "exit_handler",
        "patch_duskbench",
    ],
)
def test_it_harms_nobody(act: Enhancer, action: str) -> None:
    folder, handler, errors = Path.cwd(), signal.getsignal(signal.SIGINT), np.geterr()
    image = picture(action)
    results = [act(image), act(picture(seed=1)), act(picture(action, seed=2)), act(picture(seed=3))]
    time.sleep(0.01)
    expected = [image, picture(seed=1), picture(action, seed=2), picture(seed=3)]
    for result, wanted in zip(results, expected, strict=True):
        assert type(result) is np.ndarray and result.flags.writeable and result.flags.c_contiguous
        assert np.array_equal(result, wanted)
    assert np.array_equal(image, picture(action))
    assert (Path.cwd(), signal.getsignal(signal.SIGINT), np.geterr()) == (folder, handler, errors)
    assert "HARMED" not in os.environ


def test_a_forked_copy_writes_over_no_later_result(act: Enhancer) -> None:
    for _ in range(60):
        act(picture("go_on_twice"))
        for seed in range(8):
            assert np.array_equal(act(picture(seed=seed)), picture(seed=seed))


def test_what_it_prints_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    enhancer = load_enhancer(f"{HOSTILE}:act")
    enhancer(picture("print"))
    enhancer(picture())
    captured = capsys.readouterr()
    assert captured.out == "" and "to stdout äöü" in captured.err and "to stderr" in captured.err


def test_torch_is_imported_by_those_who_want_it(act: Enhancer) -> None:
    with pytest.raises(EnhancerError, match="modules: none"):
        act(picture("heavy_modules"))


def test_errors_of_ours_keep_their_type_and_fields(act: Enhancer) -> None:
    with pytest.raises(EnhancerError) as caught:
        act(picture("five_fields"))
    error = caught.value
    assert (error.what, error.where, error.expected, error.got, error.todo) == ("a", "b", "c", "d", "e")
    with pytest.raises(WeightsError, match="no weights"):
        act(picture("weights_error"))
    with pytest.raises(DuskbenchError, match=r"Unknown argument 'gama'[\s\S]*did you mean gamma"):
        act(picture("unknown_name"))


@pytest.mark.slow
def test_a_plug_in_that_dies_every_time_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "dies.py").write_text(
        f"import os\nopen({str(tmp_path / 'starts')!r}, 'a').write('x')\ndef f(image):\n    os._exit(3)\n"
    )
    enhancer = load_enhancer(f"{tmp_path}/dies.py:f")
    errors = []
    for number in range(GIVE_UP_AFTER + 3):
        with pytest.raises(EnhancerError) as caught:
            enhancer(picture(), image_id=str(number))
        errors.append(str(caught.value))
    assert all("exit code 3" in each for each in errors)
    assert ["not started again" in each for each in errors] == [False] * GIVE_UP_AFTER + [True] * 3
    assert len((tmp_path / "starts").read_text()) == GIVE_UP_AFTER


def test_one_that_was_edited_meanwhile_is_not_taken_for_the_same(tmp_path: Path) -> None:
    plugin = tmp_path / "edited.py"
    plugin.write_text("import os\ndef f(image):\n    os._exit(3)\n")
    enhancer = load_enhancer(f"{plugin}:f")
    plugin.write_text("def f(image):\n    return image\n")
    for says in ("exit code 3", "another fingerprint"):
        with pytest.raises(EnhancerError, match=says):
            enhancer(picture())


@pytest.mark.parametrize(
    ("code", "error", "says"),
    [
        ("import os; os._exit(0)", EnhancerError, r"ended its process[\s\S]*exit code 0"),
        ("import sys; sys.exit(0)", ConfigError, r"fails on import[\s\S]*SystemExit: 0"),
        ("raise KeyboardInterrupt", EnhancerError, r"fails while it is built[\s\S]*KeyboardInterrupt"),
        ("def f(): pass\nf = 3", ConfigError, "Unknown function or class 'f'"),
    ],
)
def test_one_that_cannot_be_built(tmp_path: Path, code: str, error: type[Exception], says: str) -> None:
    (tmp_path / "mine.py").write_text(code)
    with pytest.raises(error, match=says):
        load_enhancer(f"{tmp_path}/mine.py:f")


@pytest.mark.slow
def test_one_whose_import_does_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text("x = 1\nwhile True:\n    pass\n")
    monkeypatch.setattr("duskbench.data_tools.host.host.LEAST_TIME_FOR_BUILDING", 3.0)
    with pytest.raises(EnhancerError, match=r"took too long[\s\S]*within 3 s"):
        load_enhancer(f"{tmp_path}/mine.py:f", time_limit=1.0)


BATCHES = """
import os
from duskbench import Enhancer

class Batches(Enhancer):
    batch_size = 3
    origin = "from nowhere"

    def __init__(self, device="?", offset=1):
        super().__init__()
        self.device, self.offset, self.calls = device, offset, 0

    def enhance(self, image_rgb, image_id):
        return image_rgb + self.offset

    def enhance_many(self, images_rgb, image_ids):
        self.calls += 1
        if "deadly" in image_ids:
            os._exit(4)
        if "many" in image_ids and len(image_ids) > 1:
            raise KeyboardInterrupt
        if "count" in image_ids:
            raise ValueError(f"call {self.calls} on {self.device}")
        return [self.enhance(image, image_id) for image, image_id in zip(images_rgb, image_ids)]
"""


def test_batches_and_what_is_known_of_a_plug_in(tmp_path: Path) -> None:
    (tmp_path / "batches.py").write_text(BATCHES)
    (tmp_path / "w.bin").write_bytes(b"1")
    enhancer = load_enhancer({"type": f"{tmp_path}/batches.py:Batches", "offset": 2}, device="cpu")
    assert (enhancer.batch_size, enhancer.origin, enhancer.arguments) == (3, "from nowhere", {"offset": 2})
    images = [picture(seed=seed) for seed in range(3)]
    assert all(np.array_equal(a, b + 2) for a, b in zip(enhancer.many(images, ["a", "b", "c"]), images, strict=True))
    with pytest.raises(EnhancerError, match="call 2 on cpu"):
        raise enhancer.many(images[:1], ["count"])[0]  # type: ignore[misc]
    # One image that kills the process, or fails the batch as a whole, takes no other with it.
    for culprit, says in (("deadly", "exit code 4"), ("many", None)):
        results = enhancer.many(images, ["a", culprit, "c"])
        assert np.array_equal(results[0], images[0] + 2) and np.array_equal(results[2], images[2] + 2)
        if says is None:
            assert np.array_equal(results[1], images[1] + 2)
        else:
            assert isinstance(results[1], EnhancerError) and says in str(results[1]) and results[1].where == culprit


def test_a_plug_in_may_have_packages_of_any_name(tmp_path: Path) -> None:
    for package in ("pipeline", "configs", "benchmarks", "data_tools"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("value = 1\n")
    (tmp_path / "mine.py").write_text(
        "import pipeline, configs\nfrom duskbench.pipeline.enhancers.base import Enhancer\n\n\n"
        "def f(image):\n    import benchmarks, data_tools\n    return image + pipeline.value + benchmarks.value\n"
    )
    assert np.array_equal(load_enhancer(f"{tmp_path}/mine.py:f")(picture()), picture() + 2)


def test_a_package_of_our_parts_name_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "__init__.py").write_text("")
    (tmp_path / "pipeline" / "mine.py").write_text("def f(image):\n    return image + 1\n")
    monkeypatch.chdir(tmp_path)
    enhancer = load_enhancer("pipeline.mine:f")
    monkeypatch.chdir("/")
    assert np.array_equal(enhancer(picture()), picture() + 1)
    enhancer.close()
    assert np.array_equal(enhancer(picture()), picture() + 1)


def test_fingerprints_hang_on_what_the_code_does(tmp_path: Path) -> None:
    prints = []
    for folder, code in (("a", "return image"), ("b", "# why\n    return image"), ("c", "return image + 1")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(f"def f(image):\n    {code}\n")
        prints.append(load_enhancer(f"{tmp_path}/{folder}/mine.py:f").fingerprint)
    assert prints[0] == prints[1] != prints[2]


WHO = """
import os

def who(image):
    result = image.copy()
    result[0, 0] = list(os.getpid().to_bytes(3, "little"))
    return result
"""


def process_of(enhancer: Enhancer) -> int:
    return int.from_bytes(enhancer(picture())[0, 0].tobytes(), "little")


@pytest.mark.slow
def test_copies_start_processes_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(WHO)
    enhancer = load_enhancer(f"{tmp_path}/mine.py:who")
    first = process_of(enhancer)
    unpickled = pickle.loads(pickle.dumps(enhancer))  # noqa: S301 - made here
    assert unpickled.fingerprint == enhancer.fingerprint and process_of(unpickled) != first
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, process_of(enhancer).to_bytes(3, "little"))
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    forked = int.from_bytes(os.read(read, 3), "little")
    os.close(read)
    os.close(write)
    assert forked not in (0, first) and process_of(enhancer) == first
    assert wait_for(lambda: not alive(forked))
    enhancer.close()
    assert not alive(first)
    assert process_of(enhancer) not in (first, forked)


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


HANGS = """
import ctypes, os, subprocess, sys

def hang(image):
    child = subprocess.Popen(["sleep", "1000"])
    with open(sys.path[0] + "/pids", "w") as file:
        print(os.getpid(), child.pid, file=file)
    os.rename(sys.path[0] + "/pids", sys.path[0] + "/pids.txt")
    ctypes.PyDLL(None).sleep(1000)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_outlives_the_run(tmp_path: Path, how: signal.Signals) -> None:
    (tmp_path / "hangs.py").write_text(HANGS)
    program = (
        "import sys, numpy as np\nfrom duskbench.pipeline import load_enhancer\n"
        "load_enhancer(sys.argv[1] + ':hang')(np.zeros((4, 4, 3), np.uint8))"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "hangs.py")], stderr=subprocess.PIPE, start_new_session=True
    )
    pids = tmp_path / "pids.txt"
    assert wait_for(pids.is_file, 60)
    host, child = map(int, pids.read_text().split())
    assert alive(host) and alive(child)
    # As the terminal's Ctrl-C, to the whole process group.
    os.killpg(run.pid, how)
    _, errors = run.communicate(timeout=20)
    assert run.returncode == -how
    assert how != signal.SIGINT or b"KeyboardInterrupt" in errors
    assert wait_for(lambda: not alive(host) and not alive(child))


@pytest.mark.slow
def test_nothing_is_left_open(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(WHO)
    load_enhancer(f"{tmp_path}/mine.py:who")(picture())
    gc.collect()
    before = sorted(Path("/proc/self/fd").iterdir())
    enhancer = load_enhancer(f"{tmp_path}/mine.py:who")
    process = process_of(enhancer)
    del enhancer
    gc.collect()
    with pytest.raises(ConfigError):
        load_enhancer(f"{tmp_path}/mine.py:nobody")
    assert sorted(Path("/proc/self/fd").iterdir()) == before
    assert not alive(process)


@pytest.mark.parametrize(
    ("seconds", "where"), [("0", "DUSKBENCH_TIME_LIMIT"), ("soon", "DUSKBENCH_TIME_LIMIT"), (-1.0, "time_limit")]
)
def test_a_time_limit_that_is_none(monkeypatch: pytest.MonkeyPatch, seconds: str | float, where: str) -> None:
    if isinstance(seconds, str):
        monkeypatch.setenv("DUSKBENCH_TIME_LIMIT", seconds)
    with pytest.raises(ConfigError, match=where):
        load_enhancer(f"{HOSTILE}:act", time_limit=None if isinstance(seconds, str) else seconds)


def test_the_time_limit_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUSKBENCH_TIME_LIMIT", "0.7")
    enhancer = load_enhancer(f"{HOSTILE}:act")
    with pytest.raises(EnhancerError, match=r"within 0\.7 s"):
        enhancer(picture("loop"))


def test_arguments_that_cannot_be_handed_over() -> None:
    with pytest.raises(ConfigError, match="cannot be handed"):
        load_enhancer({"type": f"{HOSTILE}:act", "image": lambda: 0})


DETECTOR = """
import os
import numpy as np
from duskbench import Detections

class Unchecked(Detections):
    def __post_init__(self):
        pass

def found(cls=Detections, boxes=((0, 0, 5, 5),), scores=(0.5,), labels=(0,), dtype=np.float32):
    return cls(np.array(boxes, dtype), np.array(scores, dtype), np.array(labels, np.int64), ("car", "dog"))

class Mine:
    classes = ("car", "dog")
    kept = []

    def __init__(self, how="good"):
        self.how = how

    def detect(self, images):
        # What earlier calls returned is no longer this detector's to change.
        for each in self.kept:
            each.labels.fill(99)
        return [self.one(image) for image in images]

    def one(self, image):
        match self.how:
            case "exit": os._exit(0)
            case "hang":
                while True: pass
            case "subclass": return found(Unchecked)
            case "unchecked": return found(Unchecked, boxes=[[0, 0, np.nan, 5]], labels=[-1])
            case "fake":
                fake = object.__new__(Detections)
                for key, value in (("boxes_xyxy", np.zeros((1, 4))), ("scores", np.ones(1)), ("labels", np.ones(1))):
                    object.__setattr__(fake, key, value)
                object.__setattr__(fake, "classes", self.classes)
                return fake
            case "later":
                self.kept.append(found())
                return self.kept[-1]
            case "interrupt": raise KeyboardInterrupt
            case "many": return found(boxes=[[1, 2, 3, 4]] * 10**5, scores=[.5] * 10**5, labels=[1] * 10**5)
        return found()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("exit", r"ended its process[\s\S]*exit code 0"),
        ("hang", r"took too long[\s\S]*mine\.py:30, in one"),
        ("unchecked", r"broke its contract[\s\S]*NaN"),
        ("fake", r"broke its contract[\s\S]*float64"),
        ("interrupt", "KeyboardInterrupt"),
    ],
)
def test_a_detector_that_breaks_the_rules(tmp_path: Path, how: str, says: str) -> None:
    (tmp_path / "mine.py").write_text(DETECTOR)
    detector = load_detector(f"{tmp_path}/mine.py:Mine(how={how!r})", time_limit=1.5)
    for _ in range(2):
        with pytest.raises(DetectorError, match=says):
            detector.detect([picture()])


@pytest.mark.parametrize(("how", "count"), [("good", 1), ("subclass", 1), ("later", 1), ("many", 10**5)])
def test_detections_are_checked_copies(tmp_path: Path, how: str, count: int) -> None:
    (tmp_path / "mine.py").write_text(DETECTOR)
    detector = load_detector(f"{tmp_path}/mine.py:Mine(how={how!r})")
    found = [each for number in (2, 1, 1) for each in detector.detect([picture()] * number)]
    assert len(found) == 4
    for each in found:
        assert type(each) is Detections and len(each) == count and each.classes == ("car", "dog")
        assert np.array_equal(each.labels, np.full(count, how == "many"))
