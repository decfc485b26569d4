"""An unfinished download on disk, and what is known of the file it is to become."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from duskbench.data_tools.errors import DataError
from duskbench.data_tools.file_kinds import kind_of_file
from duskbench.data_tools.files import only_one


@dataclass(frozen=True)
class Checksum:
    """What is known of a file before it is there.

    Attributes:
        sha256: Hexadecimal. Either all 64 digits or the first 8 or more of them: torchvision and mmdet publish
            the first 8, as part of their file names.
        md5: 32 hexadecimal digits, where that is all that was published.
        size: In bytes.
    """

    sha256: str | None = None
    md5: str | None = None
    size: int | None = None

    def __post_init__(self) -> None:
        for name, digits, least, most in (("sha256", self.sha256, 8, 64), ("md5", self.md5, 32, 32)):
            if digits is not None and not re.fullmatch(f"[0-9a-f]{{{least},{most}}}", digits):
                raise DataError(f"This is no {name}.", expected=f"{least} to {most} digits of 0-9a-f", got=repr(digits))

    @property
    def has_hash(self) -> bool:
        """Whether the content can be checked, and not the size alone."""
        return self.sha256 is not None or self.md5 is not None

    def mismatch(self, path: Path) -> tuple[str, str] | None:
        """Compare a file; None if it fits, else what was expected and what was found."""
        size = path.stat().st_size
        if self.size is not None and size != self.size:
            return f"{self.size} bytes", f"{size} bytes"
        for name, expected in (("sha256", self.sha256), ("md5", self.md5)):
            if expected is not None:
                with path.open("rb") as file:
                    got = hashlib.file_digest(file, name).hexdigest()
                if not got.startswith(expected):
                    kind = kind_of_file(path)
                    return f"{name} {expected}", f"{name} {got}, {size} bytes{f', {kind}' if kind else ''}"
        return None


class PartialFile:
    """The unfinished file `<name>.part`, held open, with a note on which answer it came from."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path, self._file = path, file
        self._note = path.with_name(f"{path.name}.json")

    @classmethod
    @contextlib.contextmanager
    def locked(cls, dest: Path) -> Iterator[PartialFile]:
        """Open the unfinished file of `dest`, waiting for another process that has it; an empty one is removed."""
        path = dest.with_name(f"{dest.name}.part")
        with only_one(dest, "download", wait=True), path.open("ab") as file:
            part = cls(path, file)
            try:
                yield part
            finally:
                if path.exists() and part.size == 0:
                    path.unlink()
                    part._note.unlink(missing_ok=True)

    @property
    def name(self) -> str:
        """Of the file that it is to become."""
        return self.path.name.removesuffix(".part")

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._file.seek(0, os.SEEK_END)

    def flushed(self) -> Path:
        """The path, with everything written so far in the file."""
        self._file.flush()
        return self.path

    def write(self, chunk: bytes) -> None:
        """Append."""
        self._file.write(chunk)

    def clear(self) -> None:
        """Start from the first byte."""
        self._file.truncate(0)

    def take(self, path: Path) -> None:
        """Make this the content of another file, which is removed."""
        self.clear()
        with path.open("rb") as source:
            shutil.copyfileobj(source, self._file, 1 << 18)
        path.unlink()

    def remember(self, url: str, headers: Mapping[str, str]) -> None:
        """Note what identifies this version of the file; a weak ETag does not promise equal bytes."""
        etag = headers.get("ETag", "")
        validator = etag if etag and not etag.startswith("W/") else headers.get("Last-Modified")
        self._note.write_text(json.dumps({"url": url, "validator": validator}), encoding="utf-8")

    def range_headers(self, url: str, check: Checksum) -> dict[str, str]:
        """The headers that ask for the rest; empties the file where the rest might be that of another file."""
        if self.size == 0:
            return {}
        validator = self._validator(url)
        if validator is None and not check.has_hash:
            self.clear()
            return {}
        tie = {"If-Range": validator} if validator is not None else {}
        return {"Range": f"bytes={self.size}-", **tie}

    def is_of_another_version(self, url: str, headers: Mapping[str, str]) -> bool:
        """Whether an answer with the rest names another version than the one begun: some servers ignore `If-Range`."""
        validator = self._validator(url)
        if validator is None:
            return False
        given = headers.get("ETag" if validator.startswith('"') else "Last-Modified", validator)
        return given.removeprefix("W/") != validator

    def _validator(self, url: str) -> str | None:
        """What `remember` noted of an answer from this address."""
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        validator = note.get("validator") if isinstance(note, dict) and note.get("url") == url else None
        return None if validator is None else str(validator)

    def publish(self, dest: Path) -> None:
        """Give the file its name, once it is on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self.path.replace(dest)
        self._note.unlink(missing_ok=True)
