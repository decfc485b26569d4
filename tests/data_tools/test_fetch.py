"""`fetch` on small archives in the layout of the real ones, from a local server and from files."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.util
import io
import re
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from duskbench.data_tools import sources
from duskbench.data_tools.classes import EXDARK_CLASSES
from duskbench.data_tools.data_source import DataSource, Placement, SourceFile
from duskbench.data_tools.errors import ConfigError, DataError, UnknownNameError
from duskbench.data_tools.fetch import fetch, is_complete, tree_sha256
from duskbench.data_tools.sources import GROUPS, SOURCES
from tests.progress import Seen

VOC_TRAINVAL = {
    "VOCdevkit/VOC2007/Annotations/000005.xml": b"<annotation/>",
    "VOCdevkit/VOC2007/ImageSets/Main/trainval.txt": b"000005\n",
    "VOCdevkit/VOC2007/JPEGImages/000005.jpg": b"jpeg5",
}
VOC_TEST = {
    "VOCdevkit/VOC2007/Annotations/000001.xml": b"<annotation/>",
    "VOCdevkit/VOC2007/ImageSets/Main/test.txt": b"000001\n",
    "VOCdevkit/VOC2007/JPEGImages/000001.jpg": b"jpeg1",
}


def tar_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def zip_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


class Host:
    def __init__(self, folder: Path) -> None:
        self.folder, self.asked = folder, []  # type: ignore[var-annotated]
        folder.mkdir()
        outer = self

        class Handler(SimpleHTTPRequestHandler):
            def log_request(self, *_: object) -> None:
                outer.asked.append(self.path.rsplit("/", 1)[-1])

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        self._thread.start()

    def publish(self, source: DataSource, contents: list[bytes]) -> DataSource:
        """The catalogue's entry with small archives of this host in place of the real ones."""
        files = []
        for file, content in zip(source.files, contents, strict=True):
            (self.folder / file.filename).write_bytes(content)
            url = f"http://127.0.0.1:{self._http.server_address[1]}/{file.filename}"
            digest = hashlib.sha256(content).hexdigest()
            files.append(dataclasses.replace(file, urls=(url,), sha256=digest, md5=None, size=len(content)))
        return dataclasses.replace(source, files=tuple(files))

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path / "host")
    yield host
    host.close()


@pytest.fixture
def voc(host: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    for source, files in ((sources.VOC2007_TRAINVAL, VOC_TRAINVAL), (sources.VOC2007_TEST, VOC_TEST)):
        monkeypatch.setitem(SOURCES, source.name, host.publish(source, [tar_of(files)]))
    return host


def agree(_: DataSource) -> bool:
    return True


def never(source: DataSource) -> bool:
    raise AssertionError(f"the terms of {source.name} were shown again")


def test_two_archives_into_one_tree_and_nothing_the_second_time(voc: Host, tmp_path: Path) -> None:
    root, shown, seen = tmp_path / "data", [], Seen()

    def accept(source: DataSource) -> bool:
        shown.append(source.terms)
        return True

    assert fetch("voc2007", root, accept_terms=accept, progress=seen) == root
    assert tree(root) == VOC_TRAINVAL | VOC_TEST
    assert len(shown) == 1  # the same terms are shown once
    assert "Flickr" in shown[0]
    assert {what for what, _, _ in seen.updates} == {f"VOC{part}_06-Nov-2007.tar, kB" for part in ("trainval", "test")}
    asked = list(voc.asked)
    fetch("voc2007", root, accept_terms=never)
    assert voc.asked == asked


def test_terms_that_are_not_accepted_stop_it(voc: Host, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not accepted"):
        fetch("voc2007-test", tmp_path / "data", accept_terms=lambda _: False)
    assert voc.asked == []
    assert not (tmp_path / "data").exists()


def test_archives_of_the_user(voc: Host, tmp_path: Path) -> None:
    named = tmp_path / "VOCtrainval_06-Nov-2007.tar"
    named.write_bytes((voc.folder / named.name).read_bytes())
    renamed = tmp_path / "from a friend.tgz"  # told by its hash
    renamed.write_bytes((voc.folder / "VOCtest_06-Nov-2007.tar").read_bytes())
    fetch("voc2007", tmp_path / "data", accept_terms=agree, from_archives=[renamed, named])
    assert tree(tmp_path / "data") == VOC_TRAINVAL | VOC_TEST
    assert voc.asked == []
    assert named.is_file()
    assert renamed.is_file()


def test_what_is_not_given_is_downloaded(voc: Host, tmp_path: Path) -> None:
    given = tmp_path / "VOCtest_06-Nov-2007.tar"
    given.write_bytes((voc.folder / given.name).read_bytes())
    fetch("voc2007", tmp_path / "data", accept_terms=agree, from_archives=[given])
    assert tree(tmp_path / "data") == VOC_TRAINVAL | VOC_TEST
    assert voc.asked == ["VOCtrainval_06-Nov-2007.tar"]


def test_a_users_archive_with_another_hash(voc: Host, tmp_path: Path) -> None:
    given = tmp_path / "VOCtest_06-Nov-2007.tar"
    given.write_bytes(tar_of(VOC_TRAINVAL))
    with pytest.raises(DataError, match=r"not the published VOCtest_06-Nov-2007\.tar") as raised:
        fetch("voc2007-test", tmp_path / "data", accept_terms=agree, from_archives=[given])
    assert raised.value.expected is not None
    assert given.is_file()
    assert not (tmp_path / "data" / "VOCdevkit").exists()


def test_an_archive_that_belongs_to_nothing(voc: Host, tmp_path: Path) -> None:
    (tmp_path / "holiday.zip").write_bytes(zip_of({"photos/1.jpg": b"x"}))
    with pytest.raises(ConfigError, match=r"(?s)Cannot tell.*VOC2007 with Annotations.*got: photos.*data verify"):
        fetch("voc2007", tmp_path / "data", accept_terms=agree, from_archives=[tmp_path / "holiday.zip"])
    with pytest.raises(ConfigError, match="not there"):
        fetch("voc2007", tmp_path / "data", accept_terms=agree, from_archives=[tmp_path / "none.zip"])


def test_an_interrupted_layout_is_done_again(voc: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, moved = tmp_path / "data", []
    replace = Path.replace

    def stop_at_the_last(self: Path, target: Path) -> Path:
        if target.name == "test.txt":
            moved.append(target)
        if target.name == "000001.jpg":
            raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stop_at_the_last)
        with pytest.raises(KeyboardInterrupt):
            fetch("voc2007-test", root, accept_terms=agree)
    assert moved
    (root / "VOCdevkit/VOC2007/JPEGImages").mkdir(exist_ok=True)
    (root / "VOCdevkit/VOC2007/JPEGImages/000001.jpg").write_bytes(b"as if it were whole")
    assert not is_complete(SOURCES["voc2007-test"], root)
    fetch("voc2007-test", root, accept_terms=agree)
    assert tree(root) == VOC_TEST
    assert voc.asked == ["VOCtest_06-Nov-2007.tar"]  # the archive itself had arrived


def test_downloads_are_kept_when_asked(voc: Host, tmp_path: Path) -> None:
    fetch("voc2007-test", tmp_path / "data", accept_terms=agree, keep_archives=True)
    assert (tmp_path / "data/.downloads/VOCtest_06-Nov-2007.tar").is_file()


def test_the_downloads_of_other_sets_stay(voc: Host, tmp_path: Path) -> None:
    downloads = tmp_path / "data/.downloads"
    downloads.mkdir(parents=True)
    others = [
        "VOCtrainval_06-Nov-2007.tar",
        "VOCtrainval_11-May-2012.tar.part",
        "VOCtrainval_11-May-2012.tar.part.json",
    ]
    for name in [*others, "VOCtest_06-Nov-2007.tar.part"]:
        (downloads / name).write_bytes(b"begun")
    fetch("voc2007-test", tmp_path / "data", accept_terms=agree)
    assert sorted(path.name for path in downloads.iterdir() if path.suffix != ".lock") == others


def test_two_calls_for_the_same_set_at_once(voc: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = "duskbench.data_tools.fetch._verify"

    def meanwhile(source: DataSource, root: Path) -> None:
        monkeypatch.setattr(place, verify)
        fetch("voc2007-test", root, accept_terms=agree)
        verify(source, root)

    verify = sys.modules[fetch.__module__]._verify
    monkeypatch.setattr(place, meanwhile)
    fetch("voc2007-test", tmp_path / "data", accept_terms=agree)
    assert tree(tmp_path / "data") == VOC_TEST


def bare(source: DataSource, **changes: object) -> DataSource:
    """Published without hashes."""
    files = tuple(dataclasses.replace(file, sha256=None, size=None) for file in source.files)
    return dataclasses.replace(source, files=files, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("sha256", ["of the listing", None])
def test_a_download_that_turns_out_to_be_something_else_is_not_taken_again(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sha256: str | None
) -> None:
    inside = "Zero-DCE-e0f4/Zero-DCE_code/data/test_data/DICM/01.jpg"
    right = tar_of({inside: b"1"})
    listing = f"{hashlib.sha256(b'1').hexdigest()}  01.jpg\n".encode()
    tree_sha256 = (("DICM", hashlib.sha256(listing).hexdigest()),) if sha256 else ()
    wrong = tar_of({inside: b"2"}) if sha256 else right[:-20]
    monkeypatch.setitem(SOURCES, "dicm", bare(host.publish(sources.DICM, [wrong]), tree_sha256=tree_sha256))
    with pytest.raises(DataError, match="not the published ones" if sha256 else "fetch it again"):
        fetch("dicm", tmp_path / "data", accept_terms=agree)
    host.publish(sources.DICM, [right])
    fetch("dicm", tmp_path / "data", accept_terms=agree)
    assert tree(tmp_path / "data") == {"DICM/01.jpg": b"1"}


def test_what_has_arrived_whole_and_what_is_the_users_stays(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, annotations, names = exdark_files("ExDark", "ExDark_Annno")
    published = host.publish(sources.EXDARK, [images, annotations[:-30], names])
    monkeypatch.setitem(SOURCES, "exdark", bare(published))
    given = tmp_path / "data/.downloads/ExDark_Annno.zip"
    with pytest.raises(DataError, match=r"(?s)ExDark_Annno\.zip.*fetch it again"):
        fetch("exdark", tmp_path / "data", accept_terms=agree)
    assert not given.exists()
    assert (given.parent / "ExDark.zip").read_bytes() == images
    given.write_bytes(zip_of({"ExDark_Annno/Bicycle": b"", "ExDark_Annno/Table/a/../b": b""}))
    with pytest.raises(DataError):
        fetch("exdark", tmp_path / "data", accept_terms=agree, from_archives=[given])
    assert given.exists()


def exdark_files(images: str, annotations: str) -> list[bytes]:
    stems = {name: f"{name}/2015_{i:05}.jpg" for i, name in enumerate(EXDARK_CLASSES)}
    return [
        zip_of({f"{images}/{stem}": b"jpeg" for stem in stems.values()} | {"__MACOSX/._a": b""}),
        zip_of({f"{annotations}/{stem}.txt": b"% bbGt version=3\n" for stem in stems.values()}),
        b"Name | Class | Light | In/Out | Train/Val/Test\r\n",
    ]


@pytest.mark.parametrize(
    ("images", "annotations"),
    [("ExDark", "ExDark_Annno"), ("ExDark/ExDark", "ExDark_Annno/ExDark_Annno"), ("x/ExDark", "ExDark_Anno")],
)
def test_exdark_layout(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: str, annotations: str
) -> None:
    monkeypatch.setitem(SOURCES, "exdark", host.publish(sources.EXDARK, exdark_files(images, annotations)))
    shown: list[DataSource] = []
    root = fetch("exdark", tmp_path / "data", accept_terms=lambda source: shown.append(source) is None)
    assert "non-commercial" in shown[0].terms
    assert sorted(path.name for path in root.iterdir()) == ["ExDark", "ExDark_Annno", "imageclasslist.txt"]
    assert tuple(sorted(path.name for path in (root / "ExDark").iterdir())) == EXDARK_CLASSES
    assert (root / "ExDark_Annno/Bicycle/2015_00000.jpg.txt").is_file()
    assert (root / "imageclasslist.txt").read_bytes().endswith(b"\r\n")


@pytest.mark.parametrize("name", ["archive.zip", "ExDark.zip", "exdark-kaggle (1).ZIP"])
@pytest.mark.parametrize("wrapped", ["", "archive/", "datasets/ExDark/"])
def test_one_archive_with_everything_under_any_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, wrapped: str, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(SOURCES, "exdark", _without_addresses(sources.EXDARK))
    stems = [f"{kind}/2015_{i:05}.jpg" for i, kind in enumerate(EXDARK_CLASSES)]
    files = {f"{wrapped}ExDark/{stem}": b"jpeg" for stem in stems}
    files |= {f"{wrapped}ExDark_Annno/{stem}.txt": b"% bbGt version=3\n" for stem in stems}
    files |= {f"{wrapped}imageclasslist.txt": b"with other line ends\n", f"{wrapped}readme.md": b"a mirror"}
    (tmp_path / name).write_bytes(zip_of(files))
    root = fetch("exdark", tmp_path / "data", accept_terms=agree, from_archives=[tmp_path / name])
    assert tree(root) == {
        path.removeprefix(wrapped): content for path, content in files.items() if not path.endswith("readme.md")
    }
    # The published list has a hash, which this one does not have.
    assert "imageclasslist.txt by what it holds; run `duskbench data verify`" in caplog.text


def _without_addresses(source: DataSource) -> DataSource:
    return dataclasses.replace(source, files=tuple(dataclasses.replace(file, urls=()) for file in source.files))


@pytest.mark.parametrize("halves", [("kaggle", "kaggle"), ("VOCtrainval_06-Nov-2007", "VOCtest_06-Nov-2007")])
def test_one_archive_with_both_halves_of_voc(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, halves: tuple[str, str]
) -> None:
    for source in (sources.VOC2007_TRAINVAL, sources.VOC2007_TEST):
        monkeypatch.setitem(SOURCES, source.name, _without_addresses(source))
    each = zip(halves, (VOC_TRAINVAL, VOC_TEST), strict=True)
    (tmp_path / "voc.zip").write_bytes(zip_of({f"{half}/{k}": v for half, files in each for k, v in files.items()}))
    root = fetch("voc2007", tmp_path / "data", accept_terms=agree, from_archives=[tmp_path / "voc.zip"])
    assert tree(root) == VOC_TRAINVAL | VOC_TEST


def test_dicm_and_lime_come_with_one_download(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = "Zero-DCE-e0f4/Zero-DCE_code/data/test_data"
    files = {f"{inside}/DICM/01.jpg": b"1", **{f"{inside}/LIME/{i}.bmp": bytes([i]) for i in range(1, 11)}}
    for source in (sources.DICM, sources.LIME):
        published = host.publish(source, [tar_of(files)])
        bare = dataclasses.replace(published.files[0], sha256=None, size=None)
        monkeypatch.setitem(SOURCES, source.name, dataclasses.replace(published, files=(bare,), tree_sha256=()))
    expected = {name.removeprefix(f"{inside}/"): content for name, content in files.items()}
    assert tree(fetch("lowlight", tmp_path / "a", accept_terms=agree)) == expected
    assert host.asked == ["Zero-DCE.tar.gz"]
    given = tmp_path / "Zero-DCE-master.tar.gz"
    given.write_bytes(tar_of(files))
    assert tree(fetch("lowlight", tmp_path / "b", accept_terms=agree, from_archives=[given])) == expected
    assert len(host.asked) == 1


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"<!DOCTYPE html><html><title>Google Drive - Virus scan warning", "a web page.*fetch it again"),
        (b"Rar!\x1a\x07\x01\x00" + bytes(50), "a RAR archive.*pack the folder as a zip"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(50), "a 7-Zip archive.*pack the folder as a zip"),
        (b"", "an empty file"),
        (zip_of({"a/b": b"x" * 99})[:60], "Cannot read the archive.*fetch it again"),
    ],
)
@pytest.mark.parametrize("name", ["ExDark.zip", "other.zip"])
def test_another_kind_of_file_is_named_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, text: str
) -> None:
    monkeypatch.setitem(SOURCES, "exdark", _without_addresses(sources.EXDARK))
    (tmp_path / name).write_bytes(content)
    rest = zip_of({f"ExDark_Annno/{kind}/a.jpg.txt": b"x" for kind in EXDARK_CLASSES} | {"imageclasslist.txt": b""})
    (tmp_path / "rest.zip").write_bytes(rest)
    with pytest.raises(DataError, match=f"(?s){text}"):
        fetch("exdark", tmp_path / "data", accept_terms=agree, from_archives=[tmp_path / name, tmp_path / "rest.zip"])
    assert not (tmp_path / "data").exists() or list((tmp_path / "data").iterdir()) == []


def test_what_a_killed_extraction_left_is_removed(voc: Host, tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = tmp_path / "data" / f".extract-{dead.pid}-abcdefgh" / "0" / "VOC2007" / "a.jpg"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    fetch("voc2007-test", tmp_path / "data", accept_terms=agree)
    assert tree(tmp_path / "data") == VOC_TEST


def test_an_archive_without_the_data_set(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = exdark_files("Pictures", "ExDark_Annno")
    monkeypatch.setitem(SOURCES, "exdark", host.publish(sources.EXDARK, contents))
    with pytest.raises(DataError, match="does not hold the data set") as raised:
        fetch("exdark", tmp_path / "data", accept_terms=agree)
    assert raised.value.expected == "a folder ExDark with Bicycle"
    assert "Pictures" in str(raised.value.got)
    assert not is_complete(SOURCES["exdark"], tmp_path / "data")


def test_content_is_checked_where_the_archive_has_no_hash(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"01.jpg": b"one", "02.jpg": b"two"}
    listing = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items())
    packed = tar_of({f"Zero-DCE-e0f4/Zero-DCE_code/data/test_data/DICM/{k}": v for k, v in files.items()})
    source = host.publish(sources.DICM, [packed])
    right = dataclasses.replace(source, tree_sha256=(("DICM", hashlib.sha256(listing.encode()).hexdigest()),))
    monkeypatch.setitem(SOURCES, "dicm", source)
    with pytest.raises(DataError, match="not the published ones"):
        fetch("dicm", tmp_path / "wrong", accept_terms=agree)
    monkeypatch.setitem(SOURCES, "dicm", right)
    fetch("dicm", tmp_path / "data", accept_terms=agree)
    assert tree(tmp_path / "data") == {f"DICM/{name}": content for name, content in files.items()}


def test_a_set_without_address(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no address") as raised:
        fetch("npe", tmp_path / "data", accept_terms=agree)
    assert "--from-archive" in str(raised.value.todo)
    (tmp_path / "drive-download-001.zip").write_bytes(zip_of({"NPE/1.jpg": b"1"}))
    fetch("npe", tmp_path / "data", accept_terms=agree, from_archives=[tmp_path / "drive-download-001.zip"])
    assert tree(tmp_path / "data") == {"NPE/1.jpg": b"1"}


def test_an_empty_folder_is_no_set_and_an_archive_that_is_not_needed_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "data/NPE").mkdir(parents=True)
    (tmp_path / "mine.zip").write_bytes(zip_of({"NPE/1.jpg": b"1"}))
    for _ in range(2):
        assert "nothing was taken" not in caplog.text
        fetch("npe", tmp_path / "data", accept_terms=agree, from_archives=[tmp_path / "mine.zip"])
        assert tree(tmp_path / "data") == {"NPE/1.jpg": b"1"}
    assert f"nothing was taken from {tmp_path / 'mine.zip'}: what it holds of npe is in" in caplog.text


def test_a_hostile_archive_leaves_nothing(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = zip_of({"NPE/1.jpg": b"1", "NPE/../../../evil": b"evil"})
    monkeypatch.setitem(SOURCES, "npe", host.publish(sources.NPE, [packed]))
    with pytest.raises(DataError, match="evil"):
        fetch("npe", tmp_path / "data", accept_terms=agree)
    assert not list(tmp_path.rglob("evil*"))
    assert not (tmp_path / "data/NPE").exists()


def test_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="voc2007"):
        fetch("voc207", tmp_path, accept_terms=agree)


@pytest.mark.parametrize("source", SOURCES.values(), ids=str)
def test_catalogue_entries_are_whole(source: DataSource) -> None:
    assert SOURCES[source.name] is source
    for text in (source.title, source.layout, source.licence, source.terms, source.terms_url, source.expects):
        assert text
    assert source.citation.startswith("@article{")
    assert source.files
    for file in source.files:
        assert bool(file.placements) != (file.to is not None)
        assert Path(file.filename).name == file.filename
        assert all(re.match(r"https?://[\w.-]+/", url) for url in file.urls)
        assert len(set(file.urls)) == len(file.urls)
        for digits, length in ((file.sha256, 64), (file.md5, 32)):
            assert digits is None or re.fullmatch(f"[0-9a-f]{{{length}}}", digits)
    for group in GROUPS.values():
        assert set(group) <= set(SOURCES)


def test_content_hash_is_that_of_a_real_copy(shared: Path) -> None:
    ((_, expected),) = SOURCES["dicm"].tree_sha256
    assert tree_sha256(shared / "data" / "lowlight" / "DICM64") == expected


@pytest.mark.parametrize("name", ["mef", "npe"])
def test_a_set_without_an_address_says_so_and_takes_a_copy(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"(?s)no address.*another method's results.*--from-archive"):
        fetch(name, tmp_path, accept_terms=agree)
    (tmp_path / "mine.zip").write_bytes(zip_of({f"sets/{name.upper()}/a.png": b"png"}))
    fetch(name, tmp_path, accept_terms=agree, from_archives=[tmp_path / "mine.zip"])
    assert (tmp_path / name.upper() / "a.png").read_bytes() == b"png"


def test_hash_of_the_real_class_list(shared: Path) -> None:
    file = sources.EXDARK.files[2]
    content = (shared / "data" / "exdark" / "imageclasslist.txt").read_bytes()
    assert (hashlib.sha256(content).hexdigest(), len(content)) == (file.sha256, file.size)


def test_md5_agree_with_torchvision() -> None:
    # Read as text: importing it takes seconds.
    spec = importlib.util.find_spec("torchvision")
    assert spec is not None
    assert spec.origin is not None
    text = (Path(spec.origin).parent / "datasets" / "voc.py").read_text()
    theirs = dict(re.findall(r'VOC/voc\d+/(\S+\.tar)",\s+"filename": "[^"]+",\s+"md5": "(\w+)"', text))
    for source in (sources.VOC2007_TRAINVAL, sources.VOC2007_TEST, sources.VOC2012_TRAINVAL):
        assert source.files[0].md5 == theirs[source.files[0].filename]


def test_a_placement_finds_the_outermost_folder(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = zip_of({"b/set/1.jpg": b"outer", "a/deep/set/2.jpg": b"inner"})
    file = SourceFile("set.zip", (), placements=(Placement(("set",), "out"),))
    source = dataclasses.replace(sources.NPE, name="set", files=(file,), expects=("out",))
    monkeypatch.setitem(SOURCES, "set", host.publish(source, [packed]))
    fetch("set", tmp_path / "data", accept_terms=agree)
    assert tree(tmp_path / "data") == {"out/1.jpg": b"outer"}
