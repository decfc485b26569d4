"""Settings that nothing reads are errors, on the command line and in files that build on another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from duskbench.data_tools.errors import ConfigError
from duskbench.pipeline.config_settings import check_file, runner_settings
from duskbench.pipeline.mmdet_config import load_config
from duskbench.pipeline.registry import config_root

BASE = """
data_root = "data/x/"
side = 30
names = ("a", "b")
model = dict(type="M", size=(side, side), head=dict(classes=names))
train_dataloader = dict(dataset=dict(data_root=data_root, pipeline=[dict(type="Resize", scale=side)]))
"""


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


@pytest.mark.parametrize(
    ("option", "places"),
    [
        ("data_root", "values for train_dataloader.dataset.data_root"),
        ("side", "values for model.size, train_dataloader.dataset.pipeline.0.scale"),
        ("names", "values for model.head.classes"),
        # Not in the file at all, and nowhere read.
        ("trian_dataloader.batch_size", "one of model, train_dataloader"),
    ],
)
def test_an_override_that_changes_nothing_names_what_got_the_value(tmp_path: Path, option: str, places: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_config(write(tmp_path, "base.py", BASE), {option: "other"})
    assert (error.value.expected, error.value.got) == (places, option)
    assert option.partition(".")[0] in error.value.what


def test_an_override_that_is_read_is_put_in_and_may_be_new(tmp_path: Path) -> None:
    options = {"train_dataloader.dataset.data_root": "y", "load_from": "a.pth", "model.head.classes": ("c",)}
    config = load_config(write(tmp_path, "base.py", BASE), options)
    assert (config.train_dataloader.dataset.data_root, config.load_from) == ("y", "a.pth")
    assert config.model.head.classes == ("c",)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": 3}, "(?s)'model' is no single value.*model.type=.*model.size="),
        ({"model.head": "wide"}, "(?s)'model.head' is no single value.*model.head.classes="),
        ({"model.size.deep.er": 3}, "does not fit"),
        ({"train_dataloader.dataset.pipeline.7.type": "Resize"}, "(?s)does not fit.*pipeline.7.type='Resize'"),
    ],
)
def test_values_that_do_not_fit(tmp_path: Path, options: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_config(write(tmp_path, "base.py", BASE), options)


@pytest.mark.parametrize("detector", ["rfb_miniature", "rfbnet300_voc", "ssd300_voc"])
def test_variables_of_the_detectors_that_ship(detector: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_config(config_root() / "detectors" / f"{detector}.py", {"input_size": 320})
    assert "anchor_generator.input_size" in str(error.value.expected)
    assert ".pipeline." in str(error.value.expected)


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ("data_root = 'mine/'", "(?s)'data_root'.*values for train_dataloader.dataset.data_root.*line 2: data_root"),
        ("modle = dict(head=None)", "(?s)'modle'.*did you mean model"),
        ("data_root = 'mine/'\ntrain_dataloader = dict(dataset=dict(data_root=data_root))", None),
        ("half = 15\nmodel = dict(size=(half, half))", None),
        ("model = dict(head=dict(classes=('c',)))\nload_from = 'a.pth'", None),
        ("note = 'anything else is its own'", None),
    ],
)
def test_a_file_that_sets_what_nothing_reads(tmp_path: Path, own: str, said: str | None) -> None:
    write(tmp_path, "base.py", BASE)
    config = load_config(write(tmp_path, "own.py", f"_base_ = ['base.py']\n{own}\n"))
    if said is None:
        check_file(config, runner_settings())
    else:
        with pytest.raises(ConfigError, match=said):
            check_file(config, runner_settings())


def test_a_file_without_a_base_may_hold_what_it_likes(tmp_path: Path) -> None:
    check_file(load_config(write(tmp_path, "base.py", f"{BASE}\nmodle = 3\n")), runner_settings())
