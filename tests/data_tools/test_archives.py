"""`extract` on archives that are right, damaged and hostile."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from duskbench.data_tools.archives import extract, paths_in, safe_parts
from duskbench.data_tools.errors import DataError

FILES = {"VOCdevkit/a.txt": b"alpha", "VOCdevkit/deep/er/b.bin": bytes(3_000_000), "c": b""}


def make_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def make_tar(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def make_gz(path: Path, files: dict[str, bytes]) -> Path:
    return make_tar(path, files, "w:gz")


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


MAKERS = pytest.mark.parametrize("make", [make_zip, make_tar, make_gz])
Make = Callable[[Path, dict[str, bytes]], Path]


@MAKERS
def test_all_kinds(make: Make, tmp_path: Path) -> None:
    archive = make(tmp_path / "no_ending", FILES)  # kind is told by content
    assert tree(extract(archive, tmp_path / "x" / "out")) == FILES
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE((tmp_path / "x" / "out").stat().st_mode) == 0o777 & ~umask
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["out"]


def test_long_and_unicode_names(tmp_path: Path) -> None:
    names = {"d" * 200 + "/" + "e" * 200 + ".txt": b"1", "Fußgänger/夜.png": b"2"}
    for kind in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        with tarfile.open(tmp_path / "a.tar", "w", format=kind) as archive:
            for name, content in names.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        assert tree(extract(tmp_path / "a.tar", tmp_path / str(kind))) == names


@MAKERS
def test_what_macos_adds_is_left_out(make: Make, tmp_path: Path) -> None:
    files = {"__MACOSX/ExDark/._a": b"x", "ExDark/.DS_Store": b"x", "ExDark/._a": b"x", "ExDark/a": b"y"}
    assert tree(extract(make(tmp_path / "a", files), tmp_path / "out")) == {"ExDark/a": b"y"}


def test_permissions_of_the_archive_are_not_taken_over(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        entry = tarfile.TarInfo("run")
        entry.mode, entry.uid = 0o6777, 12345
        archive.addfile(entry, io.BytesIO())
    mode = (extract(tmp_path / "a.tar", tmp_path / "out") / "run").stat().st_mode
    assert mode & (stat.S_ISUID | stat.S_ISGID | 0o111) == 0


def refused(archive: Path, folder: Path, **limits: int) -> str:
    """Extract, expecting an error; nothing may be left anywhere below or beside."""
    before = set(folder.rglob("*"))
    with pytest.raises(DataError) as raised:
        extract(archive, folder / "in" / "out", **limits)
    after = set(folder.rglob("*")) - {folder / "in"}
    assert after == before
    return str(raised.value)


@MAKERS
@pytest.mark.parametrize(
    "name",
    ["../evil", "ok/../../evil", "/etc/evil", "..", "C:/evil", "c:evil", "..\\evil", "a/..", "\\\\host\\evil",
     "new\nline", "n" * 256, "é" * 128, "a/" * 64 + "b", "/".join(["n" * 250] * 5)],
)  # fmt: skip
def test_paths_that_lead_elsewhere(make: Make, tmp_path: Path, name: str) -> None:
    message = refused(make(tmp_path / "a", {"first": b"1", name: b"evil"}), tmp_path)
    assert repr(name[:300]) in message
    assert "not safe" in message
    assert len(message) < 1500
    with pytest.raises(DataError, match="not safe"):
        paths_in(tmp_path / "a")


def test_a_nul_in_a_zip_name_is_seen(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"good.txtX../evil": b"1"})
    archive.write_bytes(archive.read_bytes().replace(b"good.txtX../evil", b"good.txt\x00../evil"))
    refused(archive, tmp_path)


@pytest.mark.parametrize(
    ("kind", "target", "says"),
    [
        (tarfile.SYMTYPE, "/etc/passwd", "symbolic link to '/etc/passwd'"),
        (tarfile.SYMTYPE, "inside", "symbolic link"),
        (tarfile.LNKTYPE, "first", "hard link to 'first'"),
        (tarfile.CHRTYPE, "", "device"),
        (tarfile.BLKTYPE, "", "device"),
        (tarfile.FIFOTYPE, "", "device"),
    ],
)
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_links_and_devices_in_tar(tmp_path: Path, mode: str, kind: bytes, target: str, says: str) -> None:
    with tarfile.open(tmp_path / "a", mode) as archive:  # type: ignore[call-overload]
        archive.addfile(tarfile.TarInfo("first"), io.BytesIO())
        entry = tarfile.TarInfo("the/member")
        entry.type, entry.linkname = kind, target
        archive.addfile(entry)
    message = refused(tmp_path / "a", tmp_path)
    assert says in message
    assert "'the/member'" in message


@pytest.mark.parametrize(("mode", "says"), [(0o120777, "symbolic link"), (0o010666, "0o10000"), (0o060666, "0o60000")])
def test_links_and_devices_in_zip(tmp_path: Path, mode: int, says: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        entry = zipfile.ZipInfo("the/member")
        entry.external_attr = mode << 16
        archive.writestr(entry, "/etc/passwd")
    assert says in refused(tmp_path / "a.zip", tmp_path)


def test_an_encrypted_member(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"secret": b"1"})
    data = bytearray(archive.read_bytes())
    data[6] |= 1  # the flag in the member's own header
    data[data.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    archive.write_bytes(data)
    assert "encrypted" in refused(archive, tmp_path)


@MAKERS
def test_a_bomb_is_stopped_by_its_declared_size(make: Make, tmp_path: Path) -> None:
    archive = make(tmp_path / "a", {"one": bytes(600_000), "two": bytes(600_000)})
    message = refused(archive, tmp_path, max_bytes=1_000_000)
    assert "'two'" in message
    assert extract(archive, tmp_path / "out", max_bytes=1_200_000).is_dir()


@MAKERS
def test_too_many_members(make: Make, tmp_path: Path) -> None:
    archive = make(tmp_path / "a", {str(i): b"" for i in range(11)})
    assert "'10'" in refused(archive, tmp_path, max_files=10)
    assert len(tree(extract(archive, tmp_path / "out", max_files=11))) == 11


def test_a_zip_that_understates_its_size(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"bomb": bytes(5_000_000)})
    data = archive.read_bytes()
    archive.write_bytes(data.replace((5_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    refused(archive, tmp_path, max_bytes=1000)


def test_a_tar_header_that_claims_a_terabyte(tmp_path: Path) -> None:
    entry = tarfile.TarInfo("huge")
    entry.size = 1 << 40
    (tmp_path / "a.tar").write_bytes(entry.tobuf(tarfile.GNU_FORMAT))
    assert "'huge'" in refused(tmp_path / "a.tar", tmp_path)


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_a_long_name_of_gigabytes_is_not_read_into_memory(tmp_path: Path, kind: bytes) -> None:
    entry = tarfile.TarInfo("x")
    entry.type, entry.size = kind, 1 << 31
    with gzip.open(tmp_path / "a.tgz", "wb", compresslevel=1) as file:
        file.write(entry.tobuf(tarfile.GNU_FORMAT))
        file.write(bytes(20_000_000))
    assert "larger than it may be" in refused(tmp_path / "a.tgz", tmp_path)


def test_gzip_that_unpacks_for_ever_between_members(tmp_path: Path) -> None:
    # The size of a member that is refused for its kind is still skipped by tarfile; the reader's limit stops it.
    entry = tarfile.TarInfo("x")
    entry.type, entry.size = b"V", 1 << 33  # a volume label: neither file nor folder
    with gzip.open(tmp_path / "a.tgz", "wb", compresslevel=1) as file:
        file.write(entry.tobuf(tarfile.GNU_FORMAT))
        file.write(bytes(10_000_000))
    refused(tmp_path / "a.tgz", tmp_path, max_bytes=1_000_000)


@pytest.mark.parametrize("make", [make_tar, make_gz])
def test_a_path_twice(make: Make, tmp_path: Path) -> None:
    make(tmp_path / "a", {"d/x": b"1", "d/./x": b"2"})
    assert "same path twice" in refused(tmp_path / "a", tmp_path)


@MAKERS
def test_a_file_that_is_also_a_folder(make: Make, tmp_path: Path) -> None:
    assert "same path twice" in refused(make(tmp_path / "a", {"d": b"1", "d/x": b"2"}), tmp_path)


@MAKERS
@pytest.mark.parametrize("part", [0.0, 0.3, 0.9])
def test_truncated(make: Make, tmp_path: Path, part: float) -> None:
    archive = make(tmp_path / "a", {"x": os.urandom(100_000), "y": os.urandom(100_000)})
    data = archive.read_bytes()
    archive.write_bytes(data[: int(len(data) * part)])
    refused(archive, tmp_path)


def test_a_flipped_bit_in_a_zip(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"x": os.urandom(100_000)})
    data = bytearray(archive.read_bytes())
    data[50_000] ^= 1
    archive.write_bytes(data)
    refused(archive, tmp_path)


@pytest.mark.parametrize(
    "content", [b"<html>sign in</html>", b"BZh91AY&SY", b"\xfd7zXZ\x00", b"Rar!\x1a\x07", b"PK", b"\x1f\x8b"]
)
def test_other_kinds_of_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content * 200)
    assert "a.zip" in refused(tmp_path / "a.zip", tmp_path)
    with pytest.raises(DataError, match=r"a\.zip"):
        paths_in(tmp_path / "a.zip")


@MAKERS
def test_paths_are_listed_with_the_folders_they_imply(make: Make, tmp_path: Path) -> None:
    archive = make(tmp_path / "a", {**FILES, "__MACOSX/._c": b"", ".DS_Store": b""})
    folders, files = paths_in(archive)
    assert [str(path) for path in folders] == [".", "VOCdevkit", "VOCdevkit/deep", "VOCdevkit/deep/er"]
    assert [str(path) for path in files] == ["VOCdevkit/a.txt", "VOCdevkit/deep/er/b.bin", "c"]


def test_a_member_without_a_name_is_left_out(tmp_path: Path) -> None:
    # zipfile writes no such member, so the name is removed from one. Source: APPNOTE 6.3.10, 4.3.7, 4.3.12, 4.3.16.
    data = make_zip(tmp_path / "b.zip", {"b": b"2", "q": b"nameless"}).read_bytes()
    local, central, end = data.rindex(b"PK\3\4"), data.rindex(b"PK\1\2"), data.index(b"PK\5\6")
    length, start = (int.from_bytes(data[end + at : end + at + 4], "little") - 1 for at in (12, 16))
    archive = tmp_path / "a.zip"
    archive.write_bytes(
        data[: local + 26] + bytes(2) + data[local + 28 : local + 30] + data[local + 31 : central + 28] + bytes(2)
        + data[central + 30 : central + 46] + data[central + 47 : end + 12]
        + length.to_bytes(4, "little") + start.to_bytes(4, "little") + data[end + 20 :]
    )  # fmt: skip
    with zipfile.ZipFile(archive) as made:
        assert made.namelist() == ["b", ""]
    assert tree(extract(archive, tmp_path / "out")) == {"b": b"2"}
    assert [str(path) for path in paths_in(archive)[1]] == ["b"]


def test_an_offset_outside_the_archive(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"b": b"2"})
    data = bytearray(archive.read_bytes())
    place = data.index(b"PK\x01\x02") + 42
    data[place : place + 4] = (0xFFFFFF00).to_bytes(4, "little")
    archive.write_bytes(data)
    assert "Cannot read the archive" in refused(archive, tmp_path)


ZIPPED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def packed(how: int) -> bytes:
    files = {"ExDark/Bicycle/a.jpg": b"x" * 300, "ExDark/" + "é" * 60 + "/c.txt": b"hello" * 40, "empty": b""}
    buffer = io.BytesIO()
    if how in ZIPPED:
        with zipfile.ZipFile(buffer, "w", how) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return buffer.getvalue()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT if how == 1 else tarfile.GNU_FORMAT) as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue() if how != 2 else gzip.compress(buffer.getvalue())


PACKED = [packed(how) for how in (1, 2, 3, *ZIPPED)]
CHECKS = [HealthCheck.function_scoped_fixture]


@pytest.mark.slow
@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=CHECKS)
@given(
    st.sampled_from(PACKED),
    st.lists(st.tuples(st.integers(0, 3000), st.booleans(), st.binary(min_size=1, max_size=4)), min_size=1, max_size=5),
)
def test_a_damaged_archive_is_extracted_or_an_error_and_leaves_nothing_else(
    tmp_path: Path, whole: bytes, changes: list[tuple[int, bool, bytes]]
) -> None:
    data = whole
    for place, replaces, value in changes:
        at = place % (len(data) + 1)
        data = data[:at] + value + data[at + len(value) * replaces :]
    archive, out = tmp_path / "a", tmp_path / "out"
    archive.write_bytes(data)
    with contextlib.suppress(DataError):
        paths_in(archive)
    with contextlib.suppress(DataError):
        extract(archive, out, max_bytes=1 << 20)
    if out.exists():
        shutil.rmtree(out)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_missing_archive_and_occupied_folder(tmp_path: Path) -> None:
    assert "not there" in refused(tmp_path / "none.zip", tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("keep")
    with pytest.raises(DataError, match="what is there"):
        extract(make_zip(tmp_path / "a.zip", FILES), tmp_path / "full")
    assert (tmp_path / "full" / "mine").read_text() == "keep"
    (tmp_path / "empty").mkdir()
    assert tree(extract(tmp_path / "a.zip", tmp_path / "empty")) == FILES


@pytest.mark.slow
@given(
    st.text(max_size=60) | st.lists(st.sampled_from(["..", ".", "/", "\\", "a", "C:", "", "~", "\x00"])).map("".join)
)
def test_a_safe_path_stays_inside(name: str) -> None:
    try:
        parts = safe_parts(name, where="here")
    except DataError:
        return
    root = "/root/folder"
    resolved = os.path.normpath(os.path.join(root, *parts))  # noqa: PTH118
    assert resolved == root or resolved.startswith(root + "/")
    assert all(part not in ("", ".", "..") and "/" not in part and "\x00" not in part for part in parts)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("read", [lambda archive, folder: extract(archive, folder / "out"), lambda a, _: paths_in(a)])
@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda whole: whole[:1029] + b"?" + whole[1030:], "a damaged header at byte 1024"),
        (lambda whole: whole[:1124], "the end of the file at byte 1024"),
        (lambda whole: whole[:1024], "the end of the file at byte 1024"),
    ],
)
def test_a_tar_with_a_damaged_header_or_without_its_end(
    tmp_path: Path,
    mode: str,
    read: Callable[[Path, Path], object],
    spoil: Callable[[bytes], bytes],
    what: str,
) -> None:
    # A header and a block of content each.
    whole = make_tar(tmp_path / "whole.tar", {"a": b"1", "b": b"2", "c": b"3"}).read_bytes()
    archive = tmp_path / "a.tar"
    archive.write_bytes(gzip.compress(spoil(whole)) if mode == "w:gz" else spoil(whole))
    with pytest.raises(DataError, match=rf"(?s)Cannot read the archive.*{what}.*fetch it again"):
        read(archive, tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda packed: packed.replace(b"alpha", b"alphb"), "CRC check failed"),
        (lambda packed: packed[:-5], "ended before the end-of-stream marker"),
    ],
)
def test_the_checksum_of_a_gzipped_tar_is_compared(tmp_path: Path, spoil: Callable[[bytes], bytes], what: str) -> None:
    # Behind the end mark and longer than what is read ahead, as blocks of pictures are; not compressed.
    plain = make_tar(tmp_path / "a.tar", FILES).read_bytes() + bytes(1 << 20)
    (tmp_path / "a.tar.gz").write_bytes(spoil(gzip.compress(plain, compresslevel=0)))
    with pytest.raises(DataError, match=rf"(?s)Cannot read the archive.*{what}.*fetch it again"):
        extract(tmp_path / "a.tar.gz", tmp_path / "out")


def test_folders_of_windows(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"ExDark\\": b"", "ExDark\\Bicycle\\": b"", "ExDark\\Bicycle\\1.jpg": b"x"})
    assert tree(extract(archive, tmp_path / "out")) == {"ExDark/Bicycle/1.jpg": b"x"}
    assert list(map(str, paths_in(archive)[1])) == ["ExDark/Bicycle/1.jpg"]


def test_a_way_of_packing_that_is_not_known_is_no_damage(tmp_path: Path) -> None:
    content = bytearray(make_zip(tmp_path / "a.zip", {"1.jpg": bytes(100)}).read_bytes())
    deflate64 = 9
    content[8] = content[content.index(b"PK\x01\x02") + 10] = deflate64
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"(?s)compression method.*unpack it with another program"):
        extract(tmp_path / "a.zip", tmp_path / "out")


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_second_tar_behind_the_first_is_not_left_out_silently(tmp_path: Path, mode: str) -> None:
    joined = b"".join(make_tar(tmp_path / name, {name: b"1"}).read_bytes() for name in ("a", "b"))
    (tmp_path / "ab.tar").write_bytes(gzip.compress(joined) if mode == "w:gz" else joined)
    for read in (paths_in, lambda archive: extract(archive, tmp_path / "out")):
        with pytest.raises(DataError, match=r"data behind the mark that ends the archive.*tar -xi"):
            read(tmp_path / "ab.tar")


@pytest.mark.parametrize("program", [b"MZ" + bytes(500), b"\x7fELF" + bytes(500), b"#!/bin/sh\nexit\n"])
def test_a_zip_with_a_program_in_front(tmp_path: Path, program: bytes) -> None:
    archive = tmp_path / "a.exe"
    archive.write_bytes(program + make_zip(tmp_path / "a.zip", FILES).read_bytes())
    assert tree(extract(archive, tmp_path / "out")) == FILES
    archive.write_bytes(program)
    with pytest.raises(DataError, match="Cannot read the archive"):
        paths_in(archive)


def test_a_tar_that_holds_a_zip_is_a_tar(tmp_path: Path) -> None:
    inner = {"MZ.zip": make_zip(tmp_path / "a.zip", {"1": b"1"}).read_bytes()}
    assert tree(extract(make_tar(tmp_path / "a.tar", inner), tmp_path / "out")) == inner


@pytest.mark.parametrize("name", ["a.z01", "a.zip", "a.zip.001", "a.zip.002", "a.tar.001", "a.7z.001", "a.part1.rar"])
def test_one_part_of_a_split_archive_is_not_called_damaged(tmp_path: Path, name: str) -> None:
    data = make_zip(tmp_path / "whole", FILES).read_bytes()
    (tmp_path / "a.z01").write_bytes(data[:400])
    (tmp_path / name).write_bytes(data[400:] if name in ("a.zip", "a.zip.002") else data[:400])
    with pytest.raises(DataError, match=r"(?s)one part of a split archive.*all parts together"):
        paths_in(tmp_path / name)


def renamed(archive: Path, name: bytes) -> Path:
    """The archive with another name in place of `AAAA`, which it does not say the encoding of."""
    archive.write_bytes(archive.read_bytes().replace(b"AAAA", name))
    return archive


def test_names_of_a_zip_are_utf_8_whether_it_says_so_or_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    archive = renamed(make_zip(tmp_path / "a.zip", {"AAAA/1": b"1"}), "éö".encode())
    assert tree(extract(archive, tmp_path / "out")) == {"éö/1": b"1"}
    assert paths_in(archive)[1] == [PurePosixPath("éö/1")] and caplog.text == ""
    # Without a word of the encoding the standard has it so; a wrong one is seen in the warning.
    archive = renamed(make_zip(tmp_path / "b.zip", {"AAAA/1": b"1"}), "Füße".encode("cp437"))
    assert tree(extract(archive, tmp_path / "dos")) == {"Füße/1": b"1"}
    assert "b.zip: names that are not UTF-8 are taken to be in code page 437" in caplog.text


def test_a_tar_name_of_another_encoding_is_said_to_be_one(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.GNU_FORMAT, encoding="gbk") as archive:
        archive.addfile(tarfile.TarInfo("数据/夜.jpg"))
    with pytest.raises(DataError, match=r"(?s)not UTF-8.*unpack it where its names are readable"):
        paths_in(tmp_path / "a.tar")
