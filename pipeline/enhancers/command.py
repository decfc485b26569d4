"""An enhancer that is a program of its own: in another repository, environment or language."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from duskbench.data_tools.errors import ConfigError, DataError, EnhancerError
from duskbench.data_tools.file_states import is_file
from duskbench.data_tools.files import file_sha256
from duskbench.data_tools.fingerprint import fingerprint
from duskbench.data_tools.image_files import ImageFiles, find_images
from duskbench.data_tools.images import read_image, write_image
from duskbench.data_tools.named_files import folder_sha256, is_read_folder
from duskbench.data_tools.settings import is_whole
from duskbench.pipeline.enhancers.base import Enhancer

_LEASH = Path(__file__).with_name("leash.py")
# So many failures in a row, one image at a time, and the program is taken for broken.
_GIVE_UP_AFTER = 2
_SHOWN_LINES = 5
# An id may be a whole path, and a file's name has 255 bytes at most.
_LONGEST_STEM = 100

Result = np.ndarray | EnhancerError


class Command(Enhancer):
    """Hands batches of images through folders to a program: PNG files in, files of the same stems out.

    The program is started once for a batch, without a shell. A batch in which it fails (exit code not 0) is run again
    image by image, so that one bad image does not take the others with it.

    Args:
        command: Its command line, `"python theirs.py {in} {out}"`; `{in}` and `{out}` become the folders' paths. It is
            split as a shell would split it, unless it is a list of words; for more of a shell, call one:
            `sh -c "... {in} ... {out}"`.
        timeout: Seconds that one run may take; it is then killed with all that it started.
        batch: Images in a run.
        cwd: Folder to run it in; its relative paths start there. None for the current one.
        files: Further files that the result depends on, or one: weights, modules that a script imports.

    The fingerprint covers the command line and the content of every file that it names, as `theirs.py` and `w.pth` in
    `python theirs.py --weights=w.pth {in} {out}`, of the folders that are read by their names, and of `files`. What
    else the program reads is not seen.

    Raises:
        ConfigError: The command line lacks a folder or cannot be split, or the program or a file does not exist.
    """

    def __init__(
        self,
        command: str | Sequence[str],
        *,
        timeout: float = 600.0,
        batch: int = 32,
        cwd: str | Path | None = None,
        files: str | Path | Sequence[str | Path] = (),
    ) -> None:
        command = command if isinstance(command, str) else shlex.join(command)
        files = [files] if isinstance(files, str | Path) else files
        super().__init__(command=command, **({} if cwd is None else {"cwd": str(cwd)}))
        self.name = f"cmd:{command}"
        self.timeout, self.batch_size, self.cwd = float(timeout), batch, Path(cwd or ".")
        self.words = self._split(command)
        if not self.timeout > 0 or not is_whole(batch, 1) or not self.cwd.is_dir():
            raise ConfigError(
                "The command cannot be run like that.",
                where=self.name,
                expected="timeout above 0, batch from 1, cwd an existing folder",
                got=f"timeout={timeout}, batch={batch}, cwd={str(cwd)!r}",
            )
        missing = [str(file) for file in files if not is_file(self.cwd / file)]
        if missing:
            raise ConfigError("A file of the command does not exist.", where=self.name, got=", ".join(missing))
        self.weights = {**self._named(), **{str(file): file_sha256(self.cwd / file) for file in files}}

    def enhance(self, image_rgb: np.ndarray, image_id: str | None) -> np.ndarray:
        """Run the program on one image; see `Enhancer.__call__`."""
        [result] = self.enhance_many([image_rgb], [image_id])
        if isinstance(result, EnhancerError):
            raise result
        return result

    def enhance_many(self, images_rgb: Sequence[np.ndarray], image_ids: Sequence[str | None]) -> list[Result]:
        """Run the program on a batch; an image's failure stands in its place."""
        results, failed = self._run(images_rgb, image_ids)
        if not failed or len(images_rgb) == 1:
            return results
        alone: list[Result] = []
        for image, image_id in zip(images_rgb, image_ids, strict=True):
            [result], _ = self._run([image], [image_id])
            alone.append(result)
            if len(alone) == _GIVE_UP_AFTER and all(isinstance(each, EnhancerError) for each in alone):
                return results
        return alone

    @property
    def fingerprint(self) -> str:
        """Hash of the command line and of the files that it names."""
        return fingerprint(self.code, self.arguments, self.weights)

    def _named(self) -> dict[str, str]:
        """Hash the files and folders that the command line names; an option may say that a folder is written to."""
        hashes = {}
        for before, word in pairwise(["", *self.words]):
            option, _, name = word.rpartition("=")
            path = self.cwd / name
            if is_file(path):
                hashes[name] = file_sha256(path)
            elif is_read_folder(option or (before if before.startswith("-") else ""), path, self.cwd):
                hashes[name] = folder_sha256(path)
        return hashes

    def _split(self, command: str) -> list[str]:
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise ConfigError("Cannot split the command line.", where=self.name, got=str(error)) from error
        lacking = [each for each in ("{in}", "{out}") if not any(each in word for word in words)]
        if lacking or "{" in words[0]:
            raise ConfigError(
                "The command line does not say where the folders go.",
                where=self.name,
                expected='a program with {in} and {out}, as in cmd:"python theirs.py {in} {out}"',
                got=f"no {' and no '.join(lacking)}" if lacking else words[0],
            )
        # As the program's own start would: a path starts from its folder, a bare name is looked up.
        program = str(self.cwd / words[0]) if os.sep in words[0] else words[0]
        if shutil.which(program) is None:
            raise ConfigError(
                "There is no such program.",
                where=self.name,
                got=words[0],
                todo=f"give its path; this Python is {sys.executable}" if "python" in words[0] else None,
            )
        return words

    def _run(self, images_rgb: Sequence[np.ndarray], image_ids: Sequence[str | None]) -> tuple[list[Result], bool]:
        """Results in order, and whether the program said that it failed."""
        with tempfile.TemporaryDirectory(prefix="duskbench_cmd_", ignore_cleanup_errors=True) as root:
            there, back = Path(root) / "in", Path(root) / "out"
            there.mkdir()
            back.mkdir()
            stems = _stems(image_ids)
            for stem, image in zip(stems, images_rgb, strict=True):
                write_image(there / f"{stem}.png", image)
            code = self._start(Path(root), there, back)
            if code != 0:
                said = _last_lines(Path(root) / "stderr") or _last_lines(Path(root) / "stdout")
                # A program that took too long for the batch would take as long again.
                return [self._failed(code, said, image_id) for image_id in image_ids], code is not None
            made = find_images(back)
            return [
                self._collect(made, stem, image.shape, image_id)
                for stem, image, image_id in zip(stems, images_rgb, image_ids, strict=True)
            ], False

    def _start(self, root: Path, there: Path, back: Path) -> int | None:
        """Run the program to its end; its exit code, or None if it took too long."""
        words = [word.replace("{in}", str(there)).replace("{out}", str(back)) for word in self.words]
        leash = [sys.executable, "-S", "-E", str(_LEASH), str(root), *words]
        environment = dict(os.environ)
        if "torch" in sys.modules:
            # Several workers run side by side; each was given so many cores.
            environment.setdefault("OMP_NUM_THREADS", str(sys.modules["torch"].get_num_threads()))
        with (root / "stdout").open("wb") as output, (root / "stderr").open("wb") as errors:
            process = subprocess.Popen(
                leash,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=errors,
                cwd=self.cwd,
                env=environment,
                start_new_session=True,
            )
            assert process.stdin is not None  # noqa: S101 - it was asked for
            try:
                return process.wait(self.timeout)
            except subprocess.TimeoutExpired:
                return None
            finally:
                # Also on Ctrl-C. A byte ends what still runs; see leash.py.
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.write(b"x")
                    process.stdin.close()
                process.wait()

    def _failed(self, code: int | None, said: str, image_id: str | None) -> EnhancerError:
        got = f"more than {self.timeout:g} s" if code is None else f"exit code {code}"
        return EnhancerError(
            f"Enhancer {self.name!r} failed.",
            where=image_id,
            expected=f"exit code 0 within {self.timeout:g} s",
            got=f"{got}{f' (signal {code - 128})' if code is not None and code > 128 else ''}; "
            f"it said: {said or 'nothing'}",
            todo="give it more time or fewer images at once: timeout=..., batch=..." if code is None else None,
        )

    def _collect(self, made: ImageFiles, stem: str, shape: tuple[int, ...], image_id: str | None) -> Result:
        files = made.matching(stem)
        height, width = shape[:2]
        expected = f"one image {stem}.png of {width} x {height} pixels in the folder {{out}}"
        if len(files) != 1:
            there = ", ".join(made.files[:3]) or "no image"
            got = f"{len(files)} of that name; there is {there}{', ...' if len(made.files) > 3 else ''}"
            return EnhancerError(
                f"Enhancer {self.name!r} made no image of this one.", where=image_id, expected=expected, got=got
            )
        try:
            image = read_image(files[0])
        except DataError as error:
            return EnhancerError(
                f"Enhancer {self.name!r} wrote an image that cannot be read.", where=image_id, got=error.got
            )
        if image.shape != shape:
            return EnhancerError(
                f"Enhancer {self.name!r} made an image of another size.",
                where=image_id,
                expected=expected,
                got=f"{image.shape[1]} x {image.shape[0]}",
            )
        return image


def _stems(image_ids: Sequence[str | None]) -> list[str]:
    """File stems that no program stumbles over: the ids, other characters replaced, numbered where they would meet."""
    stems: list[str] = []
    for number, image_id in enumerate(image_ids):
        stem = re.sub(r"[^A-Za-z0-9_-]", "_", image_id or f"image{number}")[-_LONGEST_STEM:]
        stems.append(f"{stem}_{number}" if stem in stems else stem)
    return stems


def _last_lines(file: Path) -> str:
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - 4096))
        lines = stream.read().decode("utf-8", "replace").strip().splitlines()
    return " | ".join(lines[-_SHOWN_LINES:])
