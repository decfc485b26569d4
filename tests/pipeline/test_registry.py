"""Every way to name an enhancer or a detector, and what a wrong name says."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from duskbench.data_tools.errors import ConfigError, DetectorError, EnhancerError, UnknownNameError
from duskbench.data_tools.specs import parse_spec
from duskbench.pipeline import load_detector, load_enhancer
from duskbench.pipeline.enhancers.base import Enhancer
from duskbench.pipeline.registry import ENHANCERS

PLUGINS = Path(__file__).resolve().parents[1] / "benchmarks" / "plugins.py"
IMAGE = np.random.default_rng(0).integers(0, 100, (20, 30, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    ("spec", "parsed"),
    [
        ("lime", ("lime", {})),
        ("gamma(gamma=2.2)", ("gamma", {"gamma": 2.2})),
        ("a/b.py:F( x = 1, y=(2, 3), z='a(b)' )", ("a/b.py:F", {"x": 1, "y": (2, 3), "z": "a(b)"})),
        ("dir:out (1)/x", ("dir", {"path": "out (1)/x"})),
        ("cmd:a.py (1) {in}", ("cmd", {"command": "a.py (1) {in}"})),
        ('cmd:"a.py (1) {in}"', ("cmd", {"command": "a.py (1) {in}"})),
        (
            "cmd:'a.py \"b c\" {in}'(batch=8)",
            ("cmd", {"command": 'a.py "b c" {in}', "batch": 8}),
        ),
        ('cmd:"my a.py" {in} "{out}"', ("cmd", {"command": '"my a.py" {in} "{out}"'})),
        ("m.onnx(range=255)", ("m.onnx", {"range": 255})),
    ],
)
def test_specifications(spec: str, parsed: tuple[str, dict[str, object]]) -> None:
    assert parse_spec(spec) == parsed


@pytest.mark.parametrize(
    "spec", ["gamma(2.2)", "gamma(gamma=2.2", "gamma(gamma=open('x'))", "gamma(**a)", "f()()", "cmd:'a {in}'(8)"]
)
def test_broken_specifications(spec: str) -> None:
    with pytest.raises(ConfigError, match="Cannot read the specification"):
        parse_spec(spec)


def test_brackets_in_the_path_of_a_file_are_of_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "mine (1)"
    folder.mkdir()
    (folder / "a (2).py").write_text("def f(image, x=0): return image + x\n")
    (folder / "m.onnx").touch()
    plugin, model = f"{folder}/a (2).py:f", f"{folder}/m.onnx"
    for target in (plugin, model):
        assert parse_spec(target) == (target, {})
        assert parse_spec(f"{target}(x=3, y='(1)')") == (target, {"x": 3, "y": "(1)"})
    assert (load_enhancer(f"{plugin}(x=3)")(IMAGE) == IMAGE + 3).all()


def test_an_argument_given_twice_is_named() -> None:
    with pytest.raises(ConfigError, match=r"(?s)The argument 'gamma' is given more than once.*2 values"):
        parse_spec("gamma(gamma=1.5, gamma=4.0)")


def test_keys_that_no_record_can_sort_are_an_error() -> None:
    assert parse_spec("a.py:f(a={1: 2, 3: 4}, b={'x': 1})") == ("a.py:f", {"a": {1: 2, 3: 4}, "b": {"x": 1}})
    with pytest.raises(ConfigError, match=r"(?s)where: a.py:f.*table = .*keys all texts.*\{1: 2, 'a': 3\}"):
        parse_spec("a.py:f(table={1: 2, 'a': 3})")


def test_an_argument_may_be_a_long_text(tmp_path: Path) -> None:
    """Longer than the name of any file."""
    (tmp_path / "prompted.py").write_text("def f(image, prompt):\n    return image + len(prompt) // 400\n")
    assert np.array_equal(load_enhancer(f"{tmp_path}/prompted.py:f(prompt={'x' * 800!r})")(IMAGE), IMAGE + 2)


@pytest.mark.parametrize(
    "spec",
    [
        f"{PLUGINS}:brighten",
        f"{PLUGINS}:brighten(gain=2.0)",
        "tests.benchmarks.plugins:brighten",
        {"type": f"{PLUGINS}:brighten", "gain": 2.0},
        lambda image: np.minimum(image.astype(int) * 2, 255).astype(np.uint8),
    ],
)
def test_plug_ins(spec: object) -> None:
    enhancer = load_enhancer(spec)  # type: ignore[arg-type]
    assert np.array_equal(enhancer(IMAGE), IMAGE * 2)
    assert len(enhancer.fingerprint) == 64


def test_plug_in_class_is_built_with_its_arguments() -> None:
    enhancer = load_enhancer(f"{PLUGINS}:FailsOnDark(below=0.0)")
    assert np.array_equal(enhancer(IMAGE), IMAGE)


def test_fingerprint_knows_code_and_arguments(tmp_path: Path) -> None:
    prints = {load_enhancer(f"{PLUGINS}:brighten(gain={gain})").fingerprint for gain in (2.0, 2.5)}
    plugin = tmp_path / "mine.py"
    for body in ("return image", "return 255 - image"):
        plugin.write_text(f"def f(image):\n    {body}\n")
        prints.add(load_enhancer(f"{plugin}:f").fingerprint)
        prints.add(load_enhancer(f"{plugin}:f").fingerprint)
    assert len(prints) == 4


@pytest.mark.parametrize(
    ("spec", "error", "text"),
    [
        ("limee", UnknownNameError, "did you mean lime"),
        ("gamma(gama=2)", UnknownNameError, "did you mean gamma"),
        (f"{PLUGINS}:brigthen", UnknownNameError, "did you mean brighten"),
        (f"{PLUGINS}:COLOURS", UnknownNameError, "Unknown function or class"),
        ("nowhere.py:f", ConfigError, "does not exist"),
        ("no.such.module:f", ConfigError, "Cannot import"),
        ({"gamma": 2}, ConfigError, "no type"),
        (f"{PLUGINS}:brighten(gian=2)", UnknownNameError, "did you mean gain"),
        ("zero_dce(amp='no')", ConfigError, r"(?s)amp is out of range.*True or False.*'no'"),
        (None, ConfigError, "cannot be called"),
        ("dir:", ConfigError, r"(?s)no folder of enhanced images.*dir:\n"),
    ],
)
def test_wrong_enhancer_names(spec: object, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        load_enhancer(spec)  # type: ignore[arg-type]


def test_plug_in_that_fails_on_import(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("import no_such_thing\n")
    with pytest.raises(ConfigError, match="no_such_thing"):
        load_enhancer(f"{tmp_path}/bad.py:f")


def test_a_file_that_needs_its_package_and_a_file_alone_are_told_what_to_name(tmp_path: Path) -> None:
    (tmp_path / "part.py").write_text("from .net import f\n")
    with pytest.raises(ConfigError, match=r"relative import(.|\n)*package\.part:NAME"):
        load_enhancer(f"{tmp_path}/part.py:f")
    for load in (load_enhancer, ENHANCERS.is_foreign):
        with pytest.raises(ConfigError, match=r"without what to take from it(.|\n)*part\.py:NAME"):
            load(f"{tmp_path}/part.py")


@pytest.mark.parametrize(
    "result",
    [IMAGE[:5], IMAGE.astype(np.float32) / 255, np.full((20, 30, 3), np.nan), IMAGE[:, :, 0], None, [1, 2]],
)
def test_contract_violations_name_the_plug_in(result: object) -> None:
    def mine(image: np.ndarray) -> object:
        return result

    with pytest.raises(EnhancerError, match=r"mine[\s\S]*img7[\s\S]*expected[\s\S]*got"):
        load_enhancer(mine)(IMAGE, image_id="img7")


@pytest.mark.parametrize("image", [IMAGE[:, :, :1], IMAGE / 255.0, np.zeros((0, 4, 3), np.uint8), "a.png"])
def test_no_image_is_refused(image: object) -> None:
    with pytest.raises(EnhancerError, match="no image"):
        load_enhancer("input")(image)  # type: ignore[arg-type]


def test_detector_plug_in() -> None:
    detector = load_detector(f"{PLUGINS}:ColourDetector(score=0.5)")
    image = np.zeros((60, 80, 3), np.uint8)
    image[10:30, 20:50] = (255, 0, 0)
    [found] = detector.detect([image])
    assert found.boxes_xyxy.tolist() == [[20, 10, 50, 30]]
    assert [found.classes[label] for label in found.labels] == ["car"]
    assert [len(each) for each in detector.detect(np.stack([image, image]))] == [1, 1]


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("rfbnet300", "did you mean rfbnet300_voc"),
        ("nowhere.py", "does not exist"),
        ({"type": "yolo"}, "Unknown detector .yolo"),
        (f"{PLUGINS}:FailsOnDark", "does not have what a detector needs"),
        ("rfb_miniature(ends_on_last_pixel='False')", r"(?s)ends_on_last_pixel is out of range.*True or False"),
        ("rfb_miniature(batch_size=0)", "batch_size is out of range"),
        ("rfb_miniature(batch_size='4')", "batch_size is out of range"),
        ("rfb_miniature(classes='voc')", r"(?s)11 names.*20: aeroplane"),
    ],
)
def test_wrong_detector_names(spec: object, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        load_detector(spec)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("data_root = 'D:\\Users'", "unicodeescape"),
        ("_base_ = './nowhere.py'", r"FileNotFoundError.*nowhere\.py.*give `_base_` whole paths"),
        ("custom_imports = dict(imports=['no_such_module_here'], allow_failed_imports=False)", "no_such_module_here"),
        ("import sys\nsys.exit(0)", "SystemExit"),
        ("x = 1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_detector_config_that_cannot_be_read(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "theirs.py").write_text(content)
    with pytest.raises(ConfigError, match=rf"(?s)Cannot read the mmdet config.*theirs\.py.*{says}"):
        load_detector(tmp_path / "theirs.py")


def test_every_registered_enhancer_can_be_imported() -> None:
    for name in ENHANCERS:
        assert callable(ENHANCERS.load(name)), name


BAD_ENHANCERS = """
import sys
import numpy as np
from helper_of_bad import deep

def in_place(image):
    image[:] = 0
    return image

def raises(image):
    return deep(image)

def leaves(image):
    sys.exit("bye")

class Broken:
    def __init__(self, path="w.pth"):
        open(path)

class Wrong:
    def __init__(self):
        len(3)

class Late:
    def __call__(self, image):
        from helper_of_bad import deep
        return deep(image)
"""


@pytest.fixture
def bad(tmp_path: Path) -> str:
    (tmp_path / "helper_of_bad.py").write_text("def deep(image):\n    return image.reshape(7, 7)\n")
    (tmp_path / "bad.py").write_text(BAD_ENHANCERS)
    return str(tmp_path / "bad.py")


@pytest.fixture(autouse=True)
def fresh_modules() -> Iterator[None]:
    """Plug-ins leave modules and folders behind, as they must; the next test starts without them."""
    modules, path = set(sys.modules), list(sys.path)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith(("duskbench_plugin", "helper_of")):
            del sys.modules[name]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("in_place", r"(?s)in_place.*img3.*changed in place.*copy"),
        ("raises", r"(?s)raises.*img3.*ValueError: cannot reshape.*helper_of_bad\.py:2, in deep"),
        ("leaves", r"(?s)leaves.*img3.*SystemExit: bye.*bad\.py:14, in leaves"),
        ("Late", r"(?s)Late.*img3.*ValueError.*helper_of_bad\.py:2"),
    ],
)
def test_what_a_plug_in_does_wrong_is_told_with_file_and_line(bad: str, name: str, text: str) -> None:
    image = IMAGE.copy()
    with pytest.raises(EnhancerError, match=text):
        load_enhancer(f"{bad}:{name}")(image, image_id="img3")
    assert np.array_equal(image, IMAGE)


@pytest.mark.parametrize(
    ("spec", "error", "text"),
    [
        ("Broken", EnhancerError, r"(?s)fails while it is built.*FileNotFoundError.*w\.pth.*bad\.py:18"),
        ("Wrong", ConfigError, r"(?s)Cannot build.*len.*bad\.py:22"),
        ("Wrong(x=1)", UnknownNameError, "argument 'x'"),
    ],
)
def test_a_plug_in_that_cannot_be_built(bad: str, spec: str, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        load_enhancer(f"{bad}:{spec}")


def test_a_file_sees_the_modules_beside_it_and_no_others_of_their_name(tmp_path: Path) -> None:
    for folder, value in (("one", 1), ("two", 2)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "helper_of_many.py").write_text(f"def add(image):\n    return image + {value}\n")
        (tmp_path / folder / "mine.py").write_text("from helper_of_many import add\n")
    files = [f"{tmp_path}/{folder}/mine.py:add" for folder in ("one", "two")]
    for value, enhancer in enumerate([load_enhancer(file) for file in files], 1):
        assert np.array_equal(enhancer(IMAGE), IMAGE + value)
    # In one process there is one module of a name.
    assert np.array_equal(load_enhancer(files[0], isolate=False)(IMAGE), IMAGE + 1)
    with pytest.raises(ConfigError, match=r"(?s)'helper_of_many'.*two/mine\.py.*two/helper_of_many.*one/helper.*cmd:"):
        load_enhancer(files[1], isolate=False)


def test_a_callable_of_this_process_gets_and_gives_copies() -> None:
    kept: list[np.ndarray] = []

    def keeps(image: np.ndarray) -> np.ndarray:
        for each in kept:
            each[...] = 0
        kept.append(image)
        return image

    def resizes(image: np.ndarray) -> np.ndarray:
        image.resize((1, 1, 3), refcheck=False)
        return np.zeros((20, 30, 3), np.uint8)

    enhancer = load_enhancer(keeps)
    results = [enhancer(IMAGE), enhancer(IMAGE)]
    assert all(np.array_equal(each, IMAGE) for each in results)
    image = IMAGE.copy()
    with pytest.raises(EnhancerError, match="changed in place"):
        load_enhancer(resizes)(image)
    assert np.array_equal(image, IMAGE)


class _OneBuffer(Enhancer):
    foreign = True
    buffer = np.zeros((2, 2, 3), np.uint8)

    def enhance(self, image_rgb: np.ndarray, image_id: str | None) -> np.ndarray:
        self.buffer[:] = image_rgb + 1
        return self.buffer


class _OneBufferForAll(_OneBuffer):
    def enhance_many(self, images_rgb: Any, image_ids: Any) -> Any:
        return (self.enhance(image, None) for image in images_rgb)


@pytest.mark.parametrize("kind", [_OneBuffer, _OneBufferForAll])
def test_results_in_one_buffer_are_those_of_their_image(kind: type[Enhancer]) -> None:
    images = [np.full((2, 2, 3), value, np.uint8) for value in (10, 20, 30)]
    assert [np.asarray(each).max() for each in kind().many(images, ["a", "b", "c"])] == [11, 21, 31]


def test_fingerprint_knows_files_of_arguments_and_modules_beside(tmp_path: Path) -> None:
    (tmp_path / "helper_of_print.py").write_text("x = 1\n")
    (tmp_path / "w.bin").write_bytes(b"1")
    (tmp_path / "net.py").write_text(
        "from duskbench.pipeline.enhancers.base import Enhancer\nimport helper_of_print\n\n\nclass Net(Enhancer):\n"
        "    def __init__(self, weights):\n        super().__init__()\n\n"
        "    def enhance(self, image_rgb, image_id):\n        return image_rgb\n"
    )
    spec = f"{tmp_path}/net.py:Net(weights={str(tmp_path / 'w.bin')!r})"
    prints = [load_enhancer(spec).fingerprint, load_enhancer(spec).fingerprint]
    (tmp_path / "w.bin").write_bytes(b"2")
    prints.append(load_enhancer(spec).fingerprint)
    (tmp_path / "helper_of_print.py").write_text("x = 2\n")
    prints.append(load_enhancer(spec).fingerprint)
    assert prints[0] == prints[1] and len(set(prints)) == 3


def test_many_checks_each_image(bad: str) -> None:
    results = load_enhancer(f"{PLUGINS}:FailsOnDark(below=50.0)").many([IMAGE + 60, IMAGE * 0], ["a", "b"])
    assert np.array_equal(results[0], IMAGE + 60)
    assert (
        isinstance(results[1], EnhancerError) and "too dark for me" in str(results[1]) and "where: b" in str(results[1])
    )
    changed = load_enhancer(f"{bad}:in_place").many([IMAGE.copy(), IMAGE.copy()], [None, None])
    assert all("changed in place" in str(each) for each in changed)


def test_a_package_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "helper_of_cwd").mkdir()
    (tmp_path / "helper_of_cwd" / "mine.py").write_text("def f(image):\n    return image + 1\n")
    monkeypatch.chdir(tmp_path)
    assert np.array_equal(load_enhancer("helper_of_cwd.mine:f")(IMAGE), IMAGE + 1)


BAD_DETECTORS = """
import numpy as np
from duskbench.pipeline.detectors.base import Detections

class Mine:
    classes = ("car", "dog")

    def __init__(self, how="good"):
        self.how = how

    def detect(self, images):
        boxes = np.array([[1, 2, 3, 4], [0, 0, 5, 5]], np.float32)
        scores, labels, classes = np.array([0.9, 0.5], np.float32), np.array([0, 1]), self.classes
        match self.how:
            case "raises": raise RuntimeError("no luck")
            case "none": return None
            case "few": return []
            case "tuples": return [(boxes, scores, labels)] * len(images)
            case "in_place": images[0][:] = 0
            case "lists": boxes = boxes.tolist()
            case "double": boxes = boxes.astype(float)
            case "shape": boxes = boxes[:, :3]
            case "nan": boxes[0, 0] = np.nan
            case "label": labels = labels + 1
            case "int32": labels = labels.astype(np.int32)
            case "score": scores = scores * 100
            case "order": scores = scores[::-1]
            case "xywh": boxes[0] = 20, 20, 10, 10
            case "classes": classes = ("cat", "dog")
        return [Detections(boxes, scores, labels, classes) for _ in images]
"""


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("raises", r"RuntimeError: no luck \(.*mine\.py:15, in detect\)"),
        ("none", "(?s)list of 2 Detections.*NoneType"),
        ("few", "0 results"),
        ("tuples", "(?s)duskbench.Detections.*tuple"),
        ("in_place", "changed in place"),
        ("lists", r"(?s)boxes_xyxy: ndarray \(2, 4\) float32.*list"),
        ("double", "float64"),
        ("shape", r"\(2, 3\) float32"),
        ("nan", "NaN"),
        ("label", "(?s)labels from 0 to 1.*1 to 2"),
        ("int32", "(?s)labels: ndarray.*int32"),
        ("score", r"(?s)scores in \[0, 1\].*50 to 90"),
        ("order", "not sorted"),
        ("xywh", r"(?s)x1 y1 x2 y2.*\[20.0, 20.0, 10.0, 10.0\]"),
        ("classes", "(?s)'car', 'dog'.*'cat', 'dog'"),
    ],
)
def test_a_detector_that_breaks_its_contract_is_named(tmp_path: Path, how: str, text: str) -> None:
    (tmp_path / "mine.py").write_text(BAD_DETECTORS)
    images = [IMAGE.copy(), IMAGE.copy()]
    assert len(load_detector(f"{tmp_path}/mine.py:Mine").detect(images)[1]) == 2
    with pytest.raises(DetectorError, match=text) as caught:
        load_detector(f"{tmp_path}/mine.py:Mine(how={how!r})").detect(images)
    assert "mine.py:Mine" in str(caught.value)
    assert np.array_equal(images[0], IMAGE)


@pytest.mark.parametrize("name", [repr("my\ndet"), "5"])
def test_a_detector_s_name_is_a_text_of_one_line(tmp_path: Path, name: str) -> None:
    """It stands in headings and notes, where a second line would be outside of the table."""
    (tmp_path / "mine.py").write_text(f"class Mine:\n    classes, name = ('car',), {name}\n    detect = None\n")
    with pytest.raises(ConfigError, match=r"name is no text of one line[\s\S]*Mine[\s\S]*expected[\s\S]*got"):
        load_detector(f"{tmp_path}/mine.py:Mine")


def test_a_detector_without_a_fingerprint_gets_one(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(BAD_DETECTORS)
    specs = ["mine.py:Mine", "mine.py:Mine", "mine.py:Mine(how='good')"]
    prints = [load_detector(f"{tmp_path}/{spec}").fingerprint for spec in specs]
    assert prints[0] == prints[1] != prints[2]


def test_mmdet_configs_without_weights_say_so(tmp_path: Path) -> None:
    (tmp_path / "theirs.py").write_text("model = dict(type='SingleStageDetector')\n")
    for config in (str(tmp_path / "theirs.py"), "mmdet::ssd/ssd300_coco.py"):
        with pytest.raises(ConfigError, match=r"(?s)names no weights.*--checkpoint"):
            load_detector(config)
