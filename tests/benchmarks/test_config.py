"""Configurations: what ships loads, overrides reach in, wrong keys are told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from duskbench.benchmarks.config import load_benchmark_config
from duskbench.benchmarks.descriptions import Known
from duskbench.benchmarks.metrics.registry import load_metric
from duskbench.benchmarks.plan import plan_enhancers
from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.statistics import BootstrapOptions
from duskbench.data_tools.classes import SHARED_CLASSES, VOC_CLASSES
from duskbench.data_tools.errors import ConfigError, UnknownNameError
from duskbench.data_tools.specs import split_spec
from duskbench.pipeline.registry import config_root


@pytest.mark.parametrize("name", sorted(file.stem for file in config_root().glob("*.py")))
def test_what_ships_loads(name: str) -> None:
    config = load_benchmark_config(name)
    assert config.name == name
    # Those of ExDark and of rendered scenes have the classes that ExDark shares with VOC.
    own = {
        "voc_dark": VOC_CLASSES,
        "night_curve": VOC_CLASSES,
        "darkface": ("face",),
        "nod": ("person", "bicycle", "car"),
    }
    assert config.protocol.classes == own.get(name, SHARED_CLASSES)
    assert load_benchmark_config(f"configs/{name}.py") == config


def test_tables_differ_in_data_detector_and_enhancers_only() -> None:
    protocols = {load_benchmark_config(name).protocol for name in ("table1", "table2", "miniature")}
    assert len(protocols) == 1


@pytest.mark.parametrize(("name", "data", "n_images"), [("table1", "lowlight", 99), ("table2", "ExDark", 2563)])
def test_the_papers_rows_say_which_set_they_are_for(name: str, data: str, n_images: int) -> None:
    paper = load_benchmark_config(name).paper
    assert (paper["data"], paper["n_images"]) == (data, n_images)


def test_all_of_table_1_is_the_mean_over_its_images() -> None:
    images = {"DICM": 64, "LIME": 10, "MEF": 17, "NPE": 8}
    paper = load_benchmark_config("table1").paper
    assert sum(images.values()) == paper["n_images"]
    for label, row in paper["rows"].items():
        weighted = sum(number * float(row[group]) for group, number in images.items()) / 99
        assert weighted == pytest.approx(float(row["All"]), abs=0.002 if label == "CycleGAN" else 0.0007)


def test_overrides_win() -> None:
    config = load_benchmark_config(
        "table2",
        cfg_options=["protocol.ap=area", "data.split=val", "enhancers=gamma,he", "protocol.max_detections=100"],
        overrides={"data.root": "elsewhere", "detector": "none", "data.split": None},
    )
    assert (config.protocol.ap, config.protocol.max_detections) == ("area", 100)
    assert (config.data["split"], config.data["root"], config.enhancers) == ("val", "elsewhere", ("gamma", "he"))
    assert config.detectors == ()


def test_intervals_are_settings_too() -> None:
    options = ["bootstrap.resamples=100", "bootstrap.level=0.9", r"bootstrap.cluster=(.+)_frame\d+"]
    made = load_benchmark_config("table2", cfg_options=options).bootstrap
    assert made == BootstrapOptions(100, 0, 0.9, r"(.+)_frame\d+")
    assert load_benchmark_config("table2").bootstrap == BootstrapOptions()


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("protocl.ap=area", "did you mean protocol"),
        ("protocol.app=area", "did you mean ap"),
        ("data.splt=test", "did you mean split"),
        ("data.box_orign=0", "did you mean box_origin"),
        ("protocol.classes=3", "protocol.classes"),
        ("protocol.classes=[car,Car]", "each of another class"),
        ("protocol=5", r"protocol = a dict(?s:.*)got: 5"),
        ("data=5", r"data = a dict(?s:.*)got: 5"),
        ("data.split=5", r"data\.split = a text, a path, a list of them(?s:.*)got: 5"),
        ("data.groups=5", r"data\.groups = a text, a list of them"),
        ("data.groups=[1]", r"data\.groups(?s:.*)got: 1"),
        ("data.reference=5", r"data\.reference"),
        ("data.layout=5", r"data\.layout"),
        ("data.root=5", r"data\.root"),
        ("data.allow_missing=maybe", r"data\.allow_missing = True or False"),
        ("enhancers=[5]", r"enhancers(?s:.*)got: 5"),
        ("enhancers=[[input]]", r"enhancers(?s:.*)got: \['input'\]"),
        ("detector=5", r"detector(?s:.*)got: 5"),
        ("title=5", r"title = a text(?s:.*)got: 5"),
        ("paper=5", r"paper = a dict"),
        ("data.camera=Sony", "Unknown key of data 'camera'"),
        ("data.layout=exdrak", "did you mean exdark"),
        ("protocol.ap=12point", "'11point' or 'area'"),
        ("protocol.iou_threshold=0", "0 < t <= 1"),
        ("protocol.iou_threshold=50%", "a number, 0 < t <= 1"),
        ("protocol.plus_one=no", "True or False"),
        ("protocol.plus_one=off", "True or False"),
        ("protocol.max_detections=none", "a whole number"),
        ("protocol.max_detections=2.5", "a whole number"),
        ("protocol.max_detections=0", "1 or more"),
        ("protocol.max_detections=-1", "1 or more"),
        ("bootstrap.clusters=(.+)_[0-9]", "did you mean cluster"),
        ("bootstrap.cluster=.+", "a regular expression with a group"),
        ("bootstrap.resamples=-5", "resamples and seed = whole numbers"),
        ("bootstrap=5", r"bootstrap = a dict(?s:.*)got: 5"),
        ("enhancers", "a.b=c"),
        ("enhancers.0=gamma", "give a list whole"),
        ("enhancers=[dict(type='gamma',gamma=2)]", r"(?s)cannot be read.*got: enhancers=\[dict"),
        ("enhancers=[gamma,he", "cannot be read"),
    ],
)
def test_wrong_options_are_told(option: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        load_benchmark_config("table2", cfg_options=[option])


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("paper = dict(source='x')", r"paper\.rows = a dict(?s:.*)got: None"),
        ("paper = dict(source='x', rows={'mAP': 3})", r"paper\.rows\.mAP = a dict(?s:.*)got: 3"),
        ("paper = dict(source='x', rows={}, n_images='many')", r"paper\.n_images = a whole number"),
        ("paper = dict(sorce='x', rows={})", "did you mean source"),
        ("enhancers = [dict(type='gamma', gamma=float('inf'))]", r"enhancers\[0\]\.gamma = (?s:.*)got: inf"),
        (
            "enhancers = [dict(type='a:f', of={'x': [float('nan')]})]",
            r"enhancers\[0\]\.of\.x\[0\] = (?s:.*)got: nan",
        ),
        ("detector = dict(type='a.py:Class', of={1, 2})", r"detector\.of = (?s:.*)got: \{1, 2\}"),
        ("metrics = [dict(type='a.py:Class', of=b'x')]", r"metrics\[0\]\.of = (?s:.*)got: b'x'"),
        ("enhancers = ['a.py:f(of=1e999)']", None),
    ],
)
def test_what_no_record_could_keep_is_told(tmp_path: Path, setting: str, text: str | None) -> None:
    """It failed when the run's record was written, with a traceback, or when the table was."""
    config = tmp_path / "a.py"
    config.write_text(f"data = dict(root='x')\nenhancers = ['input']\n{setting}\n")
    if text is None:
        with pytest.raises(ConfigError, match=r"of = a text(?s:.*)got: inf"):
            split_spec(load_benchmark_config(config).enhancers[0], "enhancer")
        return
    with pytest.raises(ConfigError, match=text):
        load_benchmark_config(config)


def test_a_path_is_kept_as_its_text(tmp_path: Path) -> None:
    config = tmp_path / "a.py"
    config.write_text(
        "from pathlib import Path\ndata = dict(root=Path('x'))\n"
        "enhancers = [dict(type='a.py:f', weights=[Path('w.pth')], size=(1, 2))]\n"
    )
    loaded = load_benchmark_config(config)
    assert loaded.enhancers == ({"type": "a.py:f", "weights": ["w.pth"], "size": (1, 2)},)
    assert loaded.data == {"root": "x"}


def test_a_key_that_the_file_does_not_have_may_be_set(tmp_path: Path) -> None:
    config = tmp_path / "a.py"
    config.write_text("data = dict(root='x')\nenhancers = ['input']\n")
    options = ["protocol.ap=area", "costs=True", "metrics=niqe,voc_ap"]
    loaded = load_benchmark_config(config, cfg_options=options)
    assert (loaded.protocol.ap, loaded.costs, loaded.metrics) == ("area", True, ("niqe", "voc_ap"))
    with pytest.raises(ConfigError, match="did you mean metrics"):
        load_benchmark_config(config, cfg_options=["metric=niqe"])


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ("label=5", "label = a text of one line"),
        ("label=' '", "label = a text of one line"),
        (r"label='a\nb'", "label = a text of one line"),
        ("upper_bound='no'", "upper_bound = True or False"),
    ],
)
def test_words_of_a_row_are_told(tmp_path: Path, row: str, text: str) -> None:
    config = tmp_path / "a.py"
    config.write_text(f"data = dict(root='x')\nenhancers = [dict(type='input', {row})]\n")
    with pytest.raises(ConfigError, match=text):
        plan_enhancers(load_benchmark_config(config), "cpu", Known(tmp_path / "none"))


def test_folders_with_blanks_and_a_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for given, root in (("~/a b", str(tmp_path / "a b")), ("/x y/z", "/x y/z"), ("'2024'", "2024")):
        assert load_benchmark_config("table2", cfg_options=[f"data.root={given}"]).data["root"] == root


def test_none_takes_a_setting_back(tmp_path: Path) -> None:
    """Each but the detector's and the metrics' ended in a traceback, here or where the data set was opened."""
    bare, full = tmp_path / "bare.py", tmp_path / "full.py"
    bare.write_text("data = dict(root='x')\nenhancers = ['input']\n")
    settings = "title='t'\ndetector='none'\nmetrics=['niqe']\nprotocol=dict(ap='area')\ncosts=True\n"
    data = "data = dict(root='x', layout='exdark', split='val', allow_missing=True, groups='g', reference='lit')\n"
    full.write_text(f"{settings}paper=dict(source='s', rows=dict())\n{data}enhancers = ['input']\n")
    keys = ["title", "detector", "metrics", "protocol", "costs", "paper"]
    keys += [f"data.{key}" for key in ("layout", "split", "allow_missing", "groups", "reference")]
    taken_back = load_benchmark_config(full, cfg_options=[f"{key}=None" for key in keys])
    assert replace(taken_back, name="bare", title="bare") == load_benchmark_config(bare)
    assert taken_back.title == "full"
    for key in ("data", "enhancers"):
        with pytest.raises(ConfigError, match=f"has no {key}"):
            load_benchmark_config(full, cfg_options=[f"{key}=None"])
    bare.write_text("data = None\nenhancers = ['input']\n")
    assert load_benchmark_config(bare, overrides={"data.root": "x"}).data == {"root": "x"}


def test_one_class_is_a_name() -> None:
    assert load_benchmark_config("table2", cfg_options=["protocol.classes=person"]).protocol.classes == ("person",)


def test_unknown_configuration_is_told() -> None:
    with pytest.raises(UnknownNameError, match="did you mean table2"):
        load_benchmark_config("tabel2")


def test_unreadable_configuration_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("data = dict(\n")
    with pytest.raises(ConfigError, match="Cannot read the configuration"):
        load_benchmark_config(tmp_path / "a.py")
    (tmp_path / "ends.py").write_text("import sys\nsys.exit(0)\n")
    with pytest.raises(ConfigError, match=r"SystemExit: 0 \(\S*ends\.py:2"):
        load_benchmark_config(tmp_path / "ends.py")
    (tmp_path / "b.py").write_text("enhancers = ['input']\n")
    with pytest.raises(ConfigError, match="has no data"):
        load_benchmark_config(tmp_path / "b.py")


def test_protocol_round_trip_and_description() -> None:
    protocol = Protocol(ap="area", plus_one=True)
    assert Protocol.from_config(protocol.to_dict()) == protocol
    text = str(load_metric("voc_ap", protocol).describe())
    assert "VOC area AP" in text and "x2-x1+1" in text and "11 classes" in text
