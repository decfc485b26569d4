"""Images and videos of a tree are enhanced, with names, formats and metadata kept."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from duskbench.data_tools.errors import ConfigError, DataError, EnhancerError
from duskbench.data_tools.images import read_image, write_image
from duskbench.pipeline import load_enhancer
from duskbench.pipeline.apply.enhance import enhance_files
from duskbench.pipeline.enhancers.base import Enhancer
from tests.needs import need_module
from tests.progress import Seen


def double(image: np.ndarray) -> np.ndarray:
    return np.clip(image.astype(int) * 2, 0, 255).astype(np.uint8)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "in"
    for name, level in (("a.png", 10), ("Night/b.JPG", 40), ("Night/deep/c.bmp", 60)):
        write_image(root / name, np.full((9, 7, 3), level, np.uint8))
    (root / "Night" / "raw.CR2").write_bytes(b"raw")
    (root / "notes.txt").write_text("no image")
    return root


def names(root: Path) -> list[str]:
    return sorted(str(file.relative_to(root)) for file in root.rglob("*") if file.is_file())


def test_names_and_formats_stay(tree: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert enhance_files(tree, tmp_path / "out", load_enhancer(double)) == []
    assert names(tmp_path / "out") == ["Night/b.JPG", "Night/deep/c.bmp", "a.png"]
    assert "left out what is neither image nor video (1 .txt)" in caplog.text
    assert "1 left out, raw photos: develop them to TIFF or JPEG first: Night/raw.CR2" in caplog.text
    assert (read_image(tmp_path / "out/a.png") == 20).all()
    assert Image.open(tmp_path / "out/Night/b.JPG").format == "JPEG"
    assert np.abs(read_image(tmp_path / "out/Night/b.JPG").astype(int) - 80).max() <= 1


def test_one_lossless_format_for_all(tree: Path, tmp_path: Path) -> None:
    enhance_files(tree, tmp_path / "out", load_enhancer(double), image_suffix=".png")
    assert names(tmp_path / "out") == ["Night/b.png", "Night/deep/c.png", "a.png"]
    assert (read_image(tmp_path / "out/Night/b.png") == 80).all()
    write_image(tree / "a.jpg", np.zeros((9, 7, 3), np.uint8))
    with pytest.raises(DataError, match="same file"):
        enhance_files(tree, tmp_path / "out", load_enhancer(double), image_suffix=".png")


def test_a_stopped_tree_goes_on_where_it_was(tree: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []

    def stops(image: np.ndarray) -> np.ndarray:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return image

    with pytest.raises(KeyboardInterrupt):
        enhance_files(tree, tmp_path / "out", load_enhancer(stops))
    assert len(names(tmp_path / "out")) == 1
    assert enhance_files(tree, tmp_path / "out", load_enhancer(stops)) == []
    assert len(calls) == 4
    # Perhaps they are another enhancer's.
    assert "1 of 3 files are there already and stay as they are" in caplog.text
    assert enhance_files(tree, tmp_path / "out", load_enhancer(stops), overwrite=True) == []
    assert len(calls) == 7


# No process has so high a number. Source: proc(5), pid_max.
LEFT = ".a.jpg.4194305.140000000000000"


def test_what_a_killed_call_left_is_removed(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "deep").mkdir(parents=True)
    for name in (LEFT, f"{LEFT}.part.mp4", f"deep/{LEFT}"):
        (out / name).touch()
    enhance_files(next(tree.glob("*.png")), out, load_enhancer("input"))
    assert [path.name for path in out.rglob(".*")] == [LEFT]
    enhance_files(tree, out, load_enhancer("input"))
    assert not list(out.rglob(".*"))


def test_a_target_that_cannot_be_written_is_named(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / "a.png").mkdir(parents=True)
    failures = enhance_files(tree / "a.png", tmp_path / "out" / "a.png", load_enhancer(double), overwrite=True)
    assert failures == [] and names(tmp_path / "out") == ["a.png/a.png"]
    (tmp_path / "file").write_text("x")
    with pytest.raises(FileExistsError) as caught:
        enhance_files(tree / "a.png", tmp_path / "file" / "b.png", load_enhancer(double))
    assert caught.value.filename == str(tmp_path / "file")


def test_one_bad_file_does_not_stop_the_others(tree: Path, tmp_path: Path) -> None:
    (tree / "Night" / "aa.png").write_bytes(b"broken")
    (tree / "Night" / "z.mp4").write_bytes(b"broken")
    failures = enhance_files(tree, tmp_path / "out", load_enhancer(double))
    assert [path.name for path, _ in failures] == ["aa.png", "z.mp4"]
    assert len(names(tmp_path / "out")) == 3


class Batched(Enhancer):
    """Doubles, two images at a time; fails for those whose id it is told."""

    batch_size = 2

    def __init__(self, bad: str = "") -> None:
        super().__init__(bad=bad)
        self.bad, self.calls = bad, []  # type: ignore[var-annotated]

    def enhance_many(self, images_rgb: Any, image_ids: Any) -> list[np.ndarray | EnhancerError]:
        self.calls.append(list(image_ids))
        if self.bad == "all":
            raise EnhancerError("No licence.")
        pairs = zip(images_rgb, image_ids, strict=True)
        return [EnhancerError("Bad one.") if name == self.bad else double(image) for image, name in pairs]


def test_an_enhancer_of_batches_gets_batches(tree: Path, tmp_path: Path) -> None:
    enhancer = Batched()
    assert enhance_files(tree, tmp_path / "out", enhancer) == []
    assert enhancer.calls == [["Night/b", "Night/deep/c"], ["a"]]
    assert (read_image(tmp_path / "out/a.png") == 20).all() and len(names(tmp_path / "out")) == 3


@pytest.mark.parametrize(("bad", "failed"), [("Night/deep/c", ["c.bmp"]), ("all", ["b.JPG", "c.bmp", "a.png"])])
def test_failures_of_a_batch(tree: Path, tmp_path: Path, bad: str, failed: list[str]) -> None:
    (tree / "Night" / "aa.png").write_bytes(b"broken")
    failures = enhance_files(tree, tmp_path / "out", Batched(bad))
    assert sorted(path.name for path, _ in failures) == sorted(["aa.png", *failed])
    assert len(names(tmp_path / "out") if (tmp_path / "out").is_dir() else []) == 3 - len(failed)


def test_each_file_gets_its_own_picture_of_a_folder(tmp_path: Path) -> None:
    def files(folder: str, **levels: int) -> Path:
        for name, level in levels.items():
            write_image(tmp_path / folder / f"{name.replace('_', '/', 1).replace('_', '.')}", _flat(level))
        return tmp_path / folder

    source = files("in", x_1_png=1, y_1_png=2, z_1_png=3, z_1_bmp=4)
    mirrored = files("mirrored", x_1_png=10, y_1_png=20, z_1_png=30, z_1_bmp=40)
    assert enhance_files(source, tmp_path / "out", load_enhancer(f"dir:{mirrored}")) == []
    made = {name: int(read_image(tmp_path / "out" / name).max()) for name in names(tmp_path / "out")}
    assert made == {"x/1.png": 10, "y/1.png": 20, "z/1.png": 30, "z/1.bmp": 40}
    write_image(tmp_path / "one/1.png", _flat(50))
    with pytest.raises(DataError, match="the enhanced image of several images"):
        enhance_files(source, tmp_path / "other", load_enhancer(f"dir:{tmp_path / 'one'}"))


def _flat(level: int) -> np.ndarray:
    return np.full((9, 7, 3), level, np.uint8)


def test_a_video_in_a_tree(tree: Path, tmp_path: Path) -> None:
    av = need_module("av")
    with av.open(str(tree / "clip.mp4"), "w") as file:
        stream: Any = file.add_stream("libx264", rate=Fraction(30000, 1001))
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
        for _ in range(3):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((16, 32, 3), 50, np.uint8), format="rgb24")))
        file.mux(stream.encode(None))
    seen = Seen()
    enhance_files(
        tree,
        tmp_path / "out",
        load_enhancer(double),
        image_suffix=".png",
        progress=seen,
    )
    assert "clip.mp4" in names(tmp_path / "out")
    assert [done for what, done, _ in seen.updates if what == "clip.mp4"] == [1, 2, 3]
    assert seen.updates[-1][:2] == ("Enhancing", seen.updates[-1][2])
    with av.open(str(tmp_path / "out/clip.mp4")) as file:
        assert abs(float(next(file.decode(video=0)).to_ndarray(format="rgb24").mean()) - 100) < 3


def test_a_target_inside_the_source_is_not_enhanced_again(tree: Path) -> None:
    for _ in range(2):
        enhance_files(tree, tree / "out", load_enhancer(double), overwrite=True)
    assert len(names(tree / "out")) == 3


def test_single_files(tree: Path, tmp_path: Path) -> None:
    enhance_files(tree / "a.png", tmp_path / "one.tif", load_enhancer(double))
    assert (read_image(tmp_path / "one.tif") == 20).all()
    enhance_files(tree / "a.png", tmp_path, load_enhancer(double))
    assert (read_image(tmp_path / "a.png") == 20).all()


def test_a_single_result_that_is_there_needs_overwrite(tree: Path, tmp_path: Path) -> None:
    there = tmp_path / "there" / "a.png"
    write_image(there, np.full((3, 4, 3), 7, np.uint8))
    for target in (there, there.parent):
        with pytest.raises(ConfigError, match=r"(?s)in the result's place already.*there/a\.png.*--overwrite"):
            enhance_files(tree / "a.png", target, load_enhancer(double))
        assert (read_image(there) == 7).all()
    assert enhance_files(tree / "a.png", there, load_enhancer(double), overwrite=True) == []
    assert (read_image(there) == 20).all()


def test_a_target_above_the_source(tree: Path, tmp_path: Path) -> None:
    assert enhance_files(tree / "Night", tree, load_enhancer(double)) == []
    assert names(tree) == [
        "Night/b.JPG",
        "Night/deep/c.bmp",
        "Night/raw.CR2",
        "a.png",
        "b.JPG",
        "deep/c.bmp",
        "notes.txt",
    ]
    assert (read_image(tree / "deep/c.bmp") == 120).all() and (read_image(tree / "Night/deep/c.bmp") == 60).all()


def test_a_result_in_the_place_of_another_original_is_refused(tmp_path: Path) -> None:
    for name in ("n/a.png", "n/n/a.png"):
        write_image(tmp_path / name, np.full((3, 4, 3), 7, np.uint8))
    for overwrite in (False, True):
        # n/n/a.png would become n/a.png.
        with pytest.raises(ConfigError, match=r"(?s)an original's place.*n/a\.png"):
            enhance_files(tmp_path / "n", tmp_path, load_enhancer(double), overwrite=overwrite)
    assert (read_image(tmp_path / "n/a.png") == 7).all() and names(tmp_path) == ["n/a.png", "n/n/a.png"]


def test_wrong_calls_are_errors(tree: Path, tmp_path: Path) -> None:
    enhancer = load_enhancer(double)
    with pytest.raises(ConfigError, match="originals' place"):
        enhance_files(tree, tree, enhancer)
    with pytest.raises(ConfigError, match="an original's place"):
        enhance_files(tree / "a.png", tree, enhancer)
    with pytest.raises(DataError, match="no image to enhance"):
        enhance_files(tmp_path / "nowhere", tmp_path / "out", enhancer)
    with pytest.raises(DataError, match=r"(?s)neither an image nor a video.*\.avif.*\.mkv.*pillow-heif"):
        enhance_files(tree / "Night/raw.CR2", tmp_path / "out.png", enhancer)
    (tree / "clip.mp4").write_bytes(b"video")
    with pytest.raises(ConfigError, match="result of a video is a video"):
        enhance_files(tree / "clip.mp4", tmp_path / "out.png", enhancer)
    with pytest.raises(ConfigError, match=r"(?s)result of an image is an image.*\.png"):
        enhance_files(tree / "a.png", tmp_path / "new_folder", enhancer)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="results of a folder are a folder"):
        enhance_files(tree, tmp_path / "file", enhancer)
    assert read_image(tree / "a.png").max() == 10


def test_folders_that_are_links_are_enhanced(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links/Night").symlink_to(tree / "Night")
    (tmp_path / "links/._a.png").write_bytes(b"left by another system")
    assert enhance_files(tmp_path / "links", tmp_path / "out", load_enhancer(double)) == []
    assert names(tmp_path / "out") == ["Night/b.JPG", "Night/deep/c.bmp"]
