"""The command line: exit codes, messages, files."""

from __future__ import annotations

import io
import json
import os
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from duskbench.benchmarks.cli import main
from duskbench.data_tools.images import read_image, write_image
from tests.benchmarks.conftest import PLUGINS, Bench
from tests.benchmarks.fabricate import make_images, make_run

ROOT = Path(__file__).resolve().parents[2]


def test_closed_streams_are_no_error(tmp_path: Path) -> None:
    """As a scheduler may start it."""
    make_run(tmp_path, make_images(3), {"Input": 0.5})
    command = f"exec {shlex.quote(sys.executable)} -m duskbench table {shlex.quote(str(tmp_path))} >&- 2>&-"
    assert subprocess.run(command, shell=True, cwd=ROOT, check=False).returncode == 0  # noqa: S602


def test_a_table_is_printed_where_the_locale_lacks_its_arrows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(tmp_path, make_images(3), {"Input": 0.5})
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, encoding="latin-1"))
    monkeypatch.setattr(sys, "argv", ["duskbench", "table", str(tmp_path), "--format", "markdown"])
    with pytest.raises(SystemExit) as ended:
        main()
    sys.stdout.flush()
    assert ended.value.code == 0
    assert "| Enhancer | NIQE ? | mAP ? |" in printed.getvalue().decode("latin-1")
    monkeypatch.setattr(sys, "argv", ["duskbench", "table", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main()
    sys.stdout.flush()
    assert ended.value.code == 0
    # In the terminal's form too.
    assert printed.getvalue().count(b"mAP ?") == 2


def test_run_prints_and_writes_the_table(duskbench, bench: Bench, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "out"
    code, text, _ = duskbench("run", bench.config, "--out", out, "--cfg-options", "protocol.ap=area", "title=Area")
    assert code == 0
    assert "Area" in text and "Brighten" in text and "100.00" in text and "VOC area AP" in text
    assert {path.name for path in out.iterdir()} >= {"results.sqlite", "table.md", "table.csv", "table.tex"}
    for form in ("markdown", "csv", "latex"):
        code, again, _ = duskbench("table", out, "--format", form)
        assert (code, again) == (
            0,
            (out / f"table.{ {'markdown': 'md', 'csv': 'csv', 'latex': 'tex'}[form] }").read_text(),
        )


def test_failed_images_make_the_exit_code_1(duskbench, bench: Bench, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    arguments = ("--enhancer", "input", "--enhancer", f"{PLUGINS}:FailsOnDark")
    code, text, errors = duskbench("run", bench.config, "--out", tmp_path / "out", *arguments)
    assert code == 1
    assert "over 3 of 6 images" in text
    assert "too dark for me" in errors


def test_missing_images_make_the_exit_code_1(duskbench, bench: Bench, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (bench.root / "JPEGImages" / f"{bench.ids[0]}.png").unlink()
    code, _, errors = duskbench("run", bench.config, "--out", tmp_path / "out")
    assert code == 1 and "--allow-missing" in errors
    assert duskbench("run", bench.config, "--out", tmp_path / "out", "--allow-missing")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("run", "tabel2"), "did you mean table2"),
        (("run", "table2", "--data", "no/such/folder"), "no/such/folder"),
        (("run", "table2", "--cfg-options", "protocol.app=area"), "did you mean ap"),
        (("run", "table2", "--device", "cuda:99"), "cuda:99"),
        (("run", "BENCH", "--enhancer", "limee"), "did you mean lime"),
        (("run", "BENCH", "--detector", "rfbnet300"), "did you mean rfbnet300_voc"),
        (("table", "no/such/run"), "no results here"),
        (("table", ".", "--format", "markdwon"), "did you mean markdown"),
        (("enhance", "no.png", "out.png", "--enhancer", "input"), "no image to enhance"),
    ],
)
def test_wrong_usage_is_told_with_exit_code_2(  # type: ignore[no-untyped-def]
    duskbench, bench: Bench, arguments: tuple[str, ...], text: str, tmp_path: Path
) -> None:
    arguments = tuple(str(bench.config) if a == "BENCH" else a for a in arguments)
    if arguments[0] == "run":
        arguments = (*arguments, "--out", str(tmp_path / "out"))
    code, _, errors = duskbench(*arguments)
    assert code == 2
    assert text in " ".join(errors.split()).replace("- ", "-") or text in errors
    assert "Traceback" not in errors


def test_enhance_file_and_folder(duskbench, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    images = {name: np.full((9, 7, 3), level, np.uint8) for name, level in (("a.png", 10), ("sub/b.jpg", 40))}
    for name, image in images.items():
        write_image(tmp_path / "in" / name, image)
    (tmp_path / "in" / "notes.txt").write_text("no image")
    brighten = f"{PLUGINS}:brighten(gain=2.0)"
    assert duskbench("enhance", tmp_path / "in/a.png", tmp_path / "one.png", "--enhancer", brighten)[0] == 0
    assert (read_image(tmp_path / "one.png") == 20).all()
    assert duskbench("enhance", tmp_path / "in", tmp_path / "out", "--enhancer", brighten)[0] == 0
    assert sorted(p.name for p in (tmp_path / "out").rglob("*.*")) == ["a.png", "b.jpg"]
    assert np.abs(read_image(tmp_path / "out/sub/b.jpg").astype(int) - 80).max() <= 1
    assert duskbench("enhance", tmp_path / "in", tmp_path / "lossless", "--enhancer", brighten, "--png")[0] == 0
    assert (read_image(tmp_path / "lossless/sub/b.png") == 80).all()
    (tmp_path / "in" / "c.png").write_bytes(b"broken")
    code, _, errors = duskbench("enhance", tmp_path / "in", tmp_path / "out", "--enhancer", brighten)
    assert code == 1 and "c.png" in errors


def test_a_name_is_no_markup_and_an_error_stays_on_its_line(duskbench, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / "[" / "]b[red]" / ("long" * 20)
    write_image(folder / "a.png", np.full((8, 8, 3), 9, np.uint8))
    code, out, _ = duskbench("sheet", folder / "sheet.png", folder / "a.png", "--enhancer", "gamma")
    assert code == 0 and "]b[red]" in out
    code, _, err = duskbench("sheet", folder / "other.png", folder / "not there [/].png", "--enhancer", "gamma")
    assert code == 2 and f"where: {folder}/not there [/].png" in err


def test_a_photo_named_first_is_not_lost(duskbench, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    one, two = (tmp_path / name for name in ("a.png", "b.png"))
    for file in (one, two):
        write_image(file, np.full((16, 16, 3), 40, np.uint8))
    before = one.read_bytes()
    for command in (("sheet", one, two, "--enhancer", "gamma"), ("attention", two, one, "--enhancer", "no/such.py:x")):
        code, _, err = duskbench(*command)
        assert code == 2 and "There is a file in the result's place" in err and "--overwrite" in err
    assert one.read_bytes() == before
    assert duskbench("sheet", one, two, "--enhancer", "gamma", "--overwrite")[0] == 0
    assert read_image(one).shape[1] == 240


def test_enhancers_of_one_label_have_a_column_each(duskbench, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    write_image(tmp_path / "a.png", np.full((16, 16, 3), 40, np.uint8))
    specs = []
    for name, grey in (("one", 80), ("two", 120)):
        (tmp_path / f"{name}.py").write_text(f"def enhance(image):\n    return image * 0 + {grey}\n")
        specs += ["--enhancer", f"{tmp_path / name}.py:enhance"]
    # Given twice, it is one column.
    code, _, err = duskbench("sheet", tmp_path / "s.png", tmp_path / "a.png", "--width", 16, *specs, *specs[:2])
    assert code == 0, err
    assert read_image(tmp_path / "s.png")[-16:, :, 0].tolist() == [[80] * 16 + [120] * 16] * 16


def test_a_sheet_that_cannot_be_written_is_refused_before_the_work(duskbench, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    write_image(tmp_path / "high.png", np.zeros((4400, 16, 3), np.uint8))
    # The enhancer, of which there is none, is not even looked for.
    for name, text in (("sheet.jpg", "too large for its format"), ("sheet.xyz", "Cannot tell the image format")):
        code, _, err = duskbench("sheet", tmp_path / name, tmp_path / "high.png", "--enhancer", "no/such.py:enhancer")
        assert code == 2 and text in err and "no/such" not in err


@pytest.mark.parametrize("option", ["--root", "--from-archive"])
def test_published_weights_go_nowhere_but_to_the_cache(
    duskbench,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    option: str,  # type: ignore[no-untyped-def]
) -> None:
    monkeypatch.setenv("DUSKBENCH_OFFLINE", "1")
    code, _, err = duskbench("data", "fetch", "sci/easy.pt", option, tmp_path)
    assert code == 2 and "go to the cache" in err and f"got: {option}" in err


def test_list_and_version(duskbench) -> None:  # type: ignore[no-untyped-def]
    code, text, _ = duskbench("list")
    assert code == 0
    for name in ("zero_dce", "rfbnet300_voc", "rfb_miniature", "table2", "miniature"):
        assert name in text
    code, text, _ = duskbench("--version")
    assert (code, text) == (0, f"duskbench {version('duskbench')}\n")
    code, text, _ = duskbench("version")
    assert code == 0 and "torch" in text


def test_score_of_perfect_detections(duskbench, bench: Bench, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    from duskbench.data_tools.datasets import open_dataset

    dataset = open_dataset(bench.root, split="test")
    entries = []
    for image_id in dataset.ids:
        for o in dataset.record(image_id).objects or ():
            x1, y1, x2, y2 = o.box_xyxy
            entries.append({"image_id": image_id, "category": o.name, "bbox": [x1, y1, x2 - x1, y2 - y1], "score": 0.9})
    (tmp_path / "found.json").write_text(json.dumps(entries))
    code, text, _ = duskbench("score", bench.root, tmp_path / "found.json", "--json")
    assert code == 0 and json.loads(text)["mAP"] == 1.0
    code, text, _ = duskbench("score", bench.root, tmp_path / "found.json", "--exclude", "dog")
    assert code == 0 and "dog" not in text.replace("Left out: dog", "")


def test_a_deleted_working_folder_is_a_message(tmp_path: Path) -> None:
    """MKL, which torch loads, would end the process with one of its own."""
    command = f"rmdir {shlex.quote(str(tmp_path))} && exec {shlex.quote(sys.executable)} -m duskbench doctor"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(  # noqa: S602
        command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "Error: The working folder was deleted." in done.stderr
