from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from defusedxml import ElementTree

from duskbench.data_tools.classes import EXDARK_CLASSES, EXDARK_TO_VOC, LIGHTING_TYPES, SHARED_CLASSES, VOC_CLASSES
from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.data_tools.images import read_image
from duskbench.data_tools.miniature import Miniature, make_miniature
from duskbench.data_tools.miniature import build as build_module
from duskbench.data_tools.miniature.backdrops import Backdrop
from duskbench.data_tools.miniature.drawing import Drawing
from duskbench.data_tools.miniature.layout import night_jobs, render, voc_jobs
from duskbench.data_tools.miniature.lighting import needs_of, night_of
from duskbench.data_tools.miniature.placement import Placed
from duskbench.data_tools.miniature.raster import Sprite, rasterise
from duskbench.data_tools.miniature.scene import ARTISTS, Scene, _assemble, compose
from tests.progress import Seen

SIZE = (320, 240)
SMALL = {"voc_images": 13, "night_images": (12, 1, 3)}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    return make_miniature(tmp_path_factory.mktemp("set") / "miniature", workers=2, **SMALL)


def hashes(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.is_file() and path.name != "manifest.json")
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def times(root: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


# --- the whole set ---------------------------------------------------------------------------------------------------


def test_the_set_is_what_was_asked_for(small: Miniature) -> None:
    assert small.images == {"voc": {"train": 11, "val": 2}, "night": {"train": 12, "val": 1, "test": 3}}
    planned = {name for job in small.arguments.jobs() for name in job.files}
    lists = {name for name in hashes(small.root) if name == "imageclasslist.txt" or "/ImageSets/Main/" in name}
    assert hashes(small.root).keys() == planned | lists
    assert len(lists) == 1 + 4 * 21


def test_the_bytes_are_those_that_the_bundled_detector_learned(tmp_path: Path) -> None:
    """Recorded before the writers moved to `voc_xml` and `exdark`; a change of one byte raises RENDERING_VERSION."""
    root = make_miniature(tmp_path, voc_images=2, night_images=(1, 0, 1), size=(160, 120), workers=1).root
    texts = {name: sha for name, sha in hashes(root).items() if name.endswith((".xml", ".txt"))}
    listing = "".join(f"{sha}  {name}\n" for name, sha in sorted(texts.items()))
    assert (
        hashlib.sha256(listing.encode()).hexdigest()
        == "752d94356b38045784a961dceaf74465acc6bb0a7c20cfdeea74734ce9cff685"
    )
    assert int(read_image(root / "lit/2015_00001.png").sum()) == 6133274
    assert int(read_image(root / "ExDark/Bicycle/2015_00001.jpg").sum()) == 1684378


@pytest.mark.slow
def test_bytes_depend_on_the_seed_and_not_on_the_workers(small: Miniature, tmp_path: Path) -> None:
    alone = make_miniature(tmp_path / "alone", workers=1, **SMALL)
    assert hashes(alone.root) == hashes(small.root)
    other = make_miniature(tmp_path / "other", seed=1, workers=1, voc_images=2, night_images=(0, 0, 1))
    first = "VOCdevkit/VOC2007/JPEGImages/000001.jpg"
    assert (other.root / first).read_bytes() != (small.root / first).read_bytes()


def test_a_picture_comes_out_the_same_alone(small: Miniature) -> None:
    for job in (voc_jobs(13)[7], night_jobs((12, 1, 3))[9]):
        for name, data in render(job, 0, SIZE).items():
            assert (small.root / name).read_bytes() == data


def test_the_lit_part_has_the_layout_of_the_devkit(small: Miniature) -> None:
    voc = small.root / "VOCdevkit" / "VOC2007"
    stems = [f"{i:06d}" for i in range(1, 14)]
    assert sorted(path.stem for path in (voc / "JPEGImages").iterdir()) == stems
    main = voc / "ImageSets" / "Main"
    lists = {split: (main / f"{split}.txt").read_text().split() for split in ("train", "val", "trainval", "test")}
    assert sorted(lists["train"] + lists["val"]) == lists["trainval"] == stems
    assert lists["test"] == []
    flags = {
        name: dict(line.split() for line in (main / f"{name}_trainval.txt").read_text().splitlines())
        for name in VOC_CLASSES
    }
    for stem in stems:
        tree = ElementTree.parse(voc / "Annotations" / f"{stem}.xml").getroot()
        image = read_image(voc / "JPEGImages" / f"{stem}.jpg")
        assert tree.findtext("filename") == f"{stem}.jpg"
        assert (tree.findtext("size/width"), tree.findtext("size/height")) == ("320", "240")
        assert image.shape == (240, 320, 3)
        objects = tree.findall("object")
        assert 1 <= len(objects) <= 5
        for item in objects:
            x0, y0, x1, y1 = (int(str(item.findtext(f"bndbox/{side}"))) for side in ("xmin", "ymin", "xmax", "ymax"))
            assert 1 <= x0 <= x1 <= 320
            assert 1 <= y0 <= y1 <= 240
            assert item.findtext("name") in SHARED_CLASSES
            assert item.findtext("truncated") in ("0", "1")
            assert item.findtext("pose") in ("Left", "Right", "Frontal", "Rear", "Unspecified")
        for name in VOC_CLASSES:
            here = [item.findtext("difficult") for item in objects if item.findtext("name") == name]
            assert flags[name][stem] == ("-1" if not here else "1" if "0" in here else "0")


def test_the_night_part_has_the_layout_of_exdark(small: Miniature) -> None:
    text = (small.root / "imageclasslist.txt").read_bytes().decode()
    lines = text.split("\r\n")
    assert lines[0] == "Name | Class | Light | In/Out | Train/Val/Test"
    assert lines[-1] == ""
    assert "\n" not in text.replace("\r\n", "")
    suffixes = set()
    for line in lines[1:-1]:
        name, *numbers = line.split(" ")
        folder, lighting, indoor, split = (int(number) for number in numbers)
        assert 1 <= folder <= 12
        assert 1 <= lighting <= 10
        assert indoor in (1, 2)
        assert split in (1, 2, 3)
        kind = EXDARK_CLASSES[folder - 1]
        image = read_image(small.root / "ExDark" / kind / name)
        assert read_image(small.root / "lit" / f"{Path(name).stem}.png").shape == image.shape
        head, *rows = (small.root / "ExDark_Annno" / kind / f"{name}.txt").read_text().splitlines()
        assert head == "% bbGt version=3"
        assert kind in {row.split()[0] for row in rows}
        for row in rows:
            found, left, top, width, height, *unused = row.split()
            assert found in EXDARK_CLASSES
            assert unused == ["0"] * 7
            assert int(left) >= 1
            assert int(top) >= 1
            assert int(left) + int(width) - 1 <= 320
            assert int(top) + int(height) - 1 <= 240
        suffixes.add(Path(name).suffix)
    assert suffixes <= {".jpg", ".png", ".JPG", ".jpeg", ".JPEG"}
    assert len(suffixes) > 2


def test_the_list_is_written_as_the_official_one(small: Miniature, shared: Path) -> None:
    official = (shared / "data" / "exdark" / "imageclasslist.txt").read_bytes().splitlines(keepends=True)
    ours = (small.root / "imageclasslist.txt").read_bytes().splitlines(keepends=True)
    assert ours[0] == official[0]
    assert len(ours[1].split()) == len(official[1].split())
    assert ours[1].endswith(official[1][-2:])


def test_the_night_is_as_dark_as_exdark(small: Miniature, shared: Path) -> None:
    def median_level(root: Path) -> float:
        means = [cv2.cvtColor(read_image(p), cv2.COLOR_RGB2GRAY).mean() / 255 for p in sorted(root.rglob("2015_*.*"))]
        return float(np.median(means))

    real, ours = median_level(shared / "data" / "exdark" / "ExDark"), median_level(small.root / "ExDark")
    assert 0.6 * real < ours < 1.4 * real
    assert median_level(small.root / "lit") > 2.5 * ours


# --- interrupted, complete, damaged, foreign -------------------------------------------------------------------------


class _StopError(Exception):
    pass


@pytest.mark.slow
def test_an_interrupted_set_is_finished_without_repeating(tmp_path: Path) -> None:
    root = tmp_path / "set"

    arguments = {"voc_images": 10, "night_images": (0, 0, 3), "workers": 1}
    with pytest.raises(_StopError):
        make_miniature(root, progress=Seen(lambda done: done == 8, _StopError), **arguments)
    before = times(root / "VOCdevkit")
    assert len(before) == 16
    seen = Seen()
    finished = make_miniature(root, progress=seen, **arguments)
    assert seen.counts == [(done, 13) for done in range(9, 14)]
    assert before.items() <= times(root / "VOCdevkit").items()
    assert hashes(finished.root) == hashes(make_miniature(tmp_path / "whole", **arguments).root)


def test_a_complete_set_is_left_alone_and_a_lost_file_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = {"voc_images": 3, "night_images": (0, 0, 1), "workers": 1}
    made = make_miniature(tmp_path, **arguments)
    before, whole = times(tmp_path), hashes(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(build_module, "render", lambda *_: pytest.fail("rendered a complete set again"))
        assert make_miniature(tmp_path, **arguments) == made
    assert times(tmp_path) == before
    (tmp_path / "VOCdevkit/VOC2007/JPEGImages/000002.jpg").unlink()
    (tmp_path / "VOCdevkit/VOC2007/Annotations/000003.xml").write_bytes(b"")  # as a power cut leaves it
    (tmp_path / "VOCdevkit/VOC2007/ImageSets/Main/car_test.txt").unlink()
    (tmp_path / "imageclasslist.txt").unlink()
    make_miniature(tmp_path, **arguments)
    assert hashes(tmp_path) == whole


def test_another_set_is_not_overwritten(tmp_path: Path) -> None:
    make_miniature(tmp_path / "a", voc_images=1, night_images=(0, 0, 0), workers=1)
    with pytest.raises(DataError, match="other arguments"):
        make_miniature(tmp_path / "a", seed=1, voc_images=1, night_images=(0, 0, 0), workers=1)
    (tmp_path / "b" / "ExDark").mkdir(parents=True)
    with pytest.raises(DataError, match="not a miniature"):
        make_miniature(tmp_path / "b", voc_images=1, night_images=(0, 0, 0), workers=1)
    assert not (tmp_path / "b" / "VOCdevkit").exists()


@pytest.mark.parametrize("text", ["", "{}", "[1]", json.dumps({"arguments": 3})])
def test_a_manifest_of_another_kind_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(DataError, match="not a miniature's manifest"):
        make_miniature(tmp_path, voc_images=1, night_images=(0, 0, 0), workers=1)


def test_a_set_made_before_the_manifest_became_short_is_accepted(tmp_path: Path) -> None:
    arguments = {"voc_images": 1, "night_images": (0, 0, 1), "workers": 1}
    made = make_miniature(tmp_path, **arguments)
    said = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**said, "counts": {}, "files": {}, "versions": {}}))
    before = times(tmp_path)
    assert make_miniature(tmp_path, **arguments) == made
    assert times(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "name"),
    [({"seed": -1}, "seed"), ({"voc_images": -1}, "voc_images"), ({"night_images": (1, 2)}, "night_images"),
     ({"night_images": (1, -2, 3)}, "night_images"), ({"size": (100, 240)}, "size"), ({"workers": 0}, "workers")],
)  # fmt: skip
def test_impossible_arguments_are_refused(tmp_path: Path, arguments: dict[str, int], name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        make_miniature(tmp_path / "set", **arguments)  # type: ignore[arg-type]
    assert not (tmp_path / "set").exists()


# --- the plan --------------------------------------------------------------------------------------------------------


def test_the_plan_is_balanced() -> None:
    lit = voc_jobs(1200)
    assert [job.stem for job in lit] == [f"{i:06d}" for i in range(1, 1201)]
    test = [job for job in lit if job.split == "test"]
    assert len(test) == pytest.approx(200, abs=11)
    for name in SHARED_CLASSES:
        assert sum(job.anchor == name for job in test) == pytest.approx(18, abs=1)
    night = night_jobs((96, 48, 120))
    assert [sum(job.split == split for job in night) for split in ("train", "val", "test")] == [96, 48, 120]
    assert len({job.stem for job in night}) == 264
    for lighting in LIGHTING_TYPES:
        assert sum(job.lighting == lighting for job in night if job.split == "test") >= 8
    for name in EXDARK_TO_VOC.values():
        assert sum(job.anchor == name for job in night if job.split == "test") == 10
        assert sum(job.indoor for job in night if job.anchor == name) >= 2 or name in ("boat", "bus", "car")


# --- the boxes -------------------------------------------------------------------------------------------------------


def slab(name: str | None, x: int, y: int, wide: int, high: int, depth: float) -> Placed:
    rgba = np.zeros((high + 2, wide + 2, 4), np.uint8)
    rgba[1:-1, 1:-1] = 255  # a transparent rim, which no box may include
    return Placed(name, Sprite(rgba, np.zeros(rgba.shape[:2], np.uint8), high, [], "Left"), x - 1, y - 1, depth)


@pytest.mark.parametrize(
    ("cover", "box", "truncated", "difficult"),
    [
        (None, (40, 30, 100, 50), False, False),
        (slab(None, 80, 20, 60, 60, 9), (40, 30, 80, 50), True, False),  # a third hidden at the right
        (slab(None, 80, 20, 60, 60, 1), (40, 30, 100, 50), False, False),  # behind it: hides nothing
        (slab(None, 30, 20, 40, 60, 9), (70, 30, 100, 50), True, True),  # half hidden
        (slab(None, 55, 20, 10, 60, 9), (40, 30, 100, 50), False, False),  # a post across the middle
    ],
)
def test_boxes_are_tight_around_what_is_visible(
    cover: Placed | None, box: tuple[int, ...], truncated: bool, difficult: bool
) -> None:
    placed = [slab("car", 40, 30, 60, 20, 5), *([cover] if cover else [])]
    scene = _assemble(placed, Backdrop.blank(SIZE).finish(), np.random.default_rng(0), True)
    assert [(o.name, o.box_xyxy, o.truncated, o.difficult, o.pose) for o in scene.objects] == [
        ("car", box, truncated, difficult, "Left")
    ]


def test_what_the_edge_cuts_off_is_truncated() -> None:
    placed = [slab("bus", -20, 200, 100, 60, 5)]
    (bus,) = _assemble(placed, Backdrop.blank(SIZE).finish(), np.random.default_rng(0), False).objects
    assert bus.box_xyxy == (0, 200, 80, 240)
    assert bus.truncated


def test_every_anchor_is_there_and_nothing_is_hidden_entirely() -> None:
    for number, name in enumerate(ARTISTS):
        scene = compose(name, np.random.default_rng(number), SIZE, indoor=False)
        assert scene.objects[0].name == name
        assert len(scene.objects) <= 5
        for item in scene.objects:
            x0, y0, x1, y1 = item.box_xyxy
            assert 0 <= x0 < x1 <= 320
            assert 0 <= y0 < y1 <= 240
            assert scene.coverage[int(y0) : int(y1), int(x0) : int(x1)].max() == 1


# --- the drawings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(ARTISTS))
@pytest.mark.parametrize("longest", [28, 150])
def test_drawings_fill_the_size_they_are_given(name: str, longest: int) -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        sprite = rasterise(ARTISTS[name](rng), longest, rng, mirror=seed == 1)
        rows, columns = (np.flatnonzero((sprite.rgba[:, :, 3] > 40).any(axis=axis)) for axis in (1, 0))
        assert max(np.ptp(rows), np.ptp(columns)) + 1 == pytest.approx(longest, abs=3)
        assert (sprite.rgba[:, :, :3] <= sprite.rgba[:, :, 3:]).all()
        # Lines can be thinner than a pixel; a drawing is still more than an outline.
        assert (sprite.rgba[:, :, 3] > 127).sum() > 0.05 * longest**2


def test_mirroring_swaps_the_sides() -> None:
    drawing = Drawing(pose="Right", grain=0)
    drawing.fill([(0, 0), (4, 0), (4, 1), (0, 1)], (200, 0, 0))
    drawing.fill([(3, 0), (4, 0), (4, 1), (3, 1)], (0, 200, 0))
    plain, mirrored = (rasterise(drawing, 40, np.random.default_rng(0), mirror=flag) for flag in (False, True))
    assert (plain.pose, mirrored.pose) == ("Right", "Left")
    assert np.argmax(plain.rgba[6, 36, :3]) == np.argmax(mirrored.rgba[6, 5, :3]) == 1
    assert np.argmax(plain.rgba[6, 5, :3]) == np.argmax(mirrored.rgba[6, 36, :3]) == 0


def test_a_face_is_seen_from_the_front_only_and_brighter_towards_the_light() -> None:
    drawing = Drawing(light=(0, 1, 0))
    drawing.face([(0, 0, 0), (0, 1, 0), (1, 1, 0), (1, 0, 0)], (100, 100, 100))
    assert drawing.strokes == []
    tilted = Drawing(pitch=0.5, light=(0, 1, 0))
    tilted.boxes([((0, 0, 0), (1, 1, 1), (100, 100, 100))])
    front, top = (stroke.colour[0] for stroke in tilted.strokes)
    assert len(tilted.strokes) == 2
    assert top > front


# --- the lighting types ----------------------------------------------------------------------------------------------


def night(lighting: str, seed: int, indoor: bool) -> tuple[Scene, np.ndarray, float]:
    rng = np.random.default_rng(seed)
    needs = needs_of(lighting)
    scene = compose("person", rng, SIZE, indoor=indoor, lamps=needs.lamps, windows=needs.windows, screens=needs.screens)
    camera, light = night_of(scene, lighting, rng)
    assert light.shape == (240, 320, 3)
    # In units of the lit scene, as it reaches the sensor.
    return scene, light.mean(axis=2) * 2.0**camera.exposure_ev, camera.exposure_ev


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_lighting_types_mean_something(seed: int) -> None:
    scene, low, _ = night("Low", seed, True)
    assert np.median(low) < 0.05
    assert np.median(night("Strong", seed, True)[1]) > 2 * np.median(low)
    for lighting, sources in (("Window", "windows"), ("Screen", "screens")):
        scene, light, _ = night(lighting, seed, True)
        x0, y0, x1, y1 = (round(value) for value in getattr(scene.backdrop, sources)[0])
        pane = light[y0:y1, max(0, x0) : x1]
        assert np.percentile(pane, 90) > 3 * np.median(light)
    scene, light, _ = night("Object", seed, True)
    x0, y0, x1, y1 = (int(value) for value in scene.objects[0].box_xyxy)
    far = np.hypot(np.arange(320)[None] - (x0 + x1) / 2, np.arange(240)[:, None] - (y0 + y1) / 2) > 150
    assert np.median(light[y0:y1, x0:x1]) > 2 * np.median(light[far])
    scene, light, _ = night("Shadow", seed, True)
    below = np.arange(240)[:, None] > scene.backdrop.horizon
    assert np.median(light[(scene.coverage > 0.9) & below]) < 0.6 * np.median(light[(scene.coverage < 0.1) & below])
    scene, light, _ = night("Twilight", seed, False)
    assert np.median(light[scene.backdrop.sky > 250]) > 1.5 * np.median(light[220:])


@pytest.mark.parametrize(("lighting", "lamps"), [("Single", 1), ("Weak", 2), ("Strong", 3)])
def test_lamps_are_in_the_picture_and_light_what_is_near(lighting: str, lamps: int) -> None:
    for indoor in (True, False):
        scene, light, _ = night(lighting, 4, indoor)
        assert len(scene.backdrop.lamps) >= lamps
        assert all(0 <= x <= 320 and 0 <= y <= 240 for x, y in scene.backdrop.lamps[:lamps])
        x, _ = scene.backdrop.lamps[0]
        row = light[int(scene.backdrop.horizon) + 3]
        distance = np.abs(np.arange(320) - x)
        if lighting == "Single":
            assert np.median(row[distance < 20]) > 1.5 * np.median(row[distance > 120])


def test_lit_part_can_be_added_later(tmp_path: Path) -> None:
    make_miniature(tmp_path, voc_images=0, night_images=(1, 0, 1), size=(160, 120), workers=1)
    night = hashes(tmp_path)
    assert not (tmp_path / "VOCdevkit").exists()
    both = make_miniature(tmp_path, voc_images=6, night_images=(1, 0, 1), size=(160, 120), workers=1)
    assert both.images["voc"] == {"train": 6}
    assert night.items() <= hashes(tmp_path).items()
    assert make_miniature(tmp_path, voc_images=0, night_images=(1, 0, 1), size=(160, 120), workers=1) == both
    with pytest.raises(DataError, match="other arguments"):
        make_miniature(tmp_path, voc_images=7, night_images=(1, 0, 1), size=(160, 120), workers=1)
