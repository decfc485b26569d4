"""What a file is by its first bytes, for errors that say what was given instead of what was expected."""

from __future__ import annotations

from pathlib import Path

from duskbench.data_tools.files import open_file

HEAD = 512
_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"BM", "a BMP image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"GIF8", "a GIF image"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image"),
    (b"8BPS", "a Photoshop file"),
    (b"DDS ", "a DDS texture"),
    (b"FUJIFILM", "a camera's raw photo"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x1f\x8b", "a gzip file"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\x00", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a zstd file"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself"),
)
_MEDIA_BRANDS: dict[bytes, str] = {
    b"heic": "a HEIC image", b"heix": "a HEIC image", b"mif1": "a HEIF image", b"msf1": "a HEIF image",
    b"avif": "an AVIF image", b"avis": "an animated AVIF image", b"crx ": "a camera's raw photo",
}  # fmt: skip
_PAGES = (b"<!doctype html", b"<html", b"<head", b"<body")


_REMEDIES: dict[str, str] = {
    "an empty file": "fetch it again",
    "a web page": "fetch it again: a server or a log-in page answered in its place",
    "a Git LFS pointer, not the file itself": "run `git lfs pull` where it came from, or fetch the file itself",
}


def remedy(kind: str | None) -> str | None:
    """What to do about a file that turned out to be of this kind where another was expected; None if unknown."""
    return _REMEDIES.get(kind or "")


def kind_of(head: bytes) -> str | None:
    """Name a file's kind with its article (`a web page`, `a RAR archive`) by its first `HEAD` bytes, if it is known."""
    if not head:
        return "an empty file"
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace():
        return "a PPM image"
    if head[257:262] == b"ustar":
        return "a tar archive"
    by_start = (kind for start, kind in _BEGINNINGS if head.startswith(start))
    return next(by_start, None) or _kind_of_container(head) or _kind_of_text(head)


def _kind_of_container(head: bytes) -> str | None:
    if head[4:8] == b"ftyp":
        return _MEDIA_BRANDS.get(head[8:12], "a video or another media file")
    if head[:4] == b"RIFF":
        return "a WebP image" if head[8:12] == b"WEBP" else "a sound or video file"
    return None


def _kind_of_text(head: bytes) -> str | None:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(_PAGES):
        return "a web page"
    if text.startswith(b"<?xml"):
        return "a web page" if b"<html" in text else "an XML file"
    return None


def kind_of_file(path: Path) -> str | None:
    """Name a file's kind by its first bytes; None if it is not known or the file cannot be read."""
    try:
        with open_file(path) as file:
            return kind_of(file.read(HEAD))
    except OSError:
        return None
