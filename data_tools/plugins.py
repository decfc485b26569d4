"""Code from outside the project: found, imported, and named when it fails."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import SourceLoader
from pathlib import Path
from types import ModuleType

from duskbench.data_tools.errors import ConfigError, DuskbenchError, UnknownNameError
from duskbench.data_tools.fingerprint import Named, definition_of
from duskbench.data_tools.module_sources import beside, imported_names

_LONGEST_MESSAGE = 1000


def find_plugin(target: str) -> Named:
    """Import `file.py:Name` or `package.module:Name`.

    A file may import what lies beside it, as it could when Python runs it as a script, and a package may lie in the
    current folder.

    Raises:
        ConfigError: There is no such file or module, or it fails on import, or it would get another program's module
            of the same name.
        UnknownNameError: It holds no such function or class.
    """
    place, _, name = target.rpartition(":")
    module = _module_of_file(target, place) if place.endswith(".py") else _module(target, place)
    found = getattr(module, name, None)
    if not callable(found):
        names = [n for n, value in vars(module).items() if callable(value) and not n.startswith("_")]
        raise UnknownNameError("function or class", name, names, where=target)
    return Named(found, module, name)


def raised_at(error: BaseException, code: object) -> str:
    """Say what was raised and where in the plug-in: `ValueError: no (mine.py:12, in enhance)`.

    Args:
        error: What was raised.
        code: The plug-in's function, class or object. The deepest line of a file in its folder is named, not that of
            the library that it called. None for code that is not known yet: then the deepest line of all.
    """
    said = _text_of(error)
    frames = list(traceback.extract_tb(error.__traceback__))
    if code is not None:
        try:
            folder = Path(inspect.getfile(definition_of(code))).resolve().parent  # type: ignore[arg-type]
        except (TypeError, OSError):
            return said
        frames = [frame for frame in frames if Path(frame.filename).resolve().is_relative_to(folder)]
    if not frames or isinstance(error, SyntaxError):
        return said
    return f"{said} ({frames[-1].filename}:{frames[-1].lineno}, in {frames[-1].name})"


def _text_of(error: BaseException) -> str:
    """Type and message, as far as they can be had, shown and stored."""
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - foreign code as well
        message = "its message cannot be read"
    if len(message) > _LONGEST_MESSAGE:
        message = f"{message[:_LONGEST_MESSAGE]} ... ({len(message)} characters)"
    # What is no text, as half a surrogate pair, could not be stored.
    message = message.encode("utf-8", "backslashreplace").decode()
    return f"{type(error).__name__}: {message}".strip().removesuffix(":")


@contextmanager
def naming(kind: type[DuskbenchError], what: str, code: object, where: str | Path | None = None) -> Iterator[None]:
    """Turn whatever a plug-in's code raises into an error of ours; ours pass, and so does Ctrl-C."""
    try:
        yield
    except DuskbenchError:
        raise
    # A plug-in that ends its process (argparse does) must not take the run with it.
    except (Exception, SystemExit) as error:
        raise kind(what, where=where, got=raised_at(error, code)) from error


def _module(target: str, place: str) -> ModuleType:
    head = place.partition(".")[0]
    here = str(Path.cwd())
    if (Path(head).is_dir() or Path(f"{head}.py").is_file()) and here not in sys.path and "" not in sys.path:
        # An installed command does not look into the current folder, `python script.py` does.
        sys.path.append(here)
    try:
        return importlib.import_module(place)
    except (Exception, SystemExit) as error:
        raise ConfigError("Cannot import the plug-in.", where=target, got=raised_at(error, None)) from error


def _module_of_file(target: str, place: str) -> ModuleType:
    path = Path(place).expanduser().resolve()
    if not path.is_file():
        raise ConfigError("The plug-in's file does not exist.", where=target, got=str(path))
    source = path.read_bytes()
    # Named by place and content: two plug-ins may share a file name, and an edited one is a new module.
    name = f"duskbench_plugin_{path.stem}_{hashlib.sha256(str(path).encode() + source).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and isinstance(spec.loader, SourceLoader)  # noqa: S101 - a .py file's always is
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    folder = str(path.parent)
    try:
        _refuse_namesakes(path, source)
        sys.path.insert(0, folder)
        try:
            # What was read, not Python's cache: that goes by size and time, which another content may share.
            exec(spec.loader.source_to_code(source, str(path)), module.__dict__)  # noqa: S102 - as an import does
        finally:
            sys.path.remove(folder)
    except DuskbenchError:
        del sys.modules[name]
        raise
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise ConfigError(
            "The plug-in's file fails on import.",
            where=path,
            got=raised_at(error, module),
            todo=f"name it as a module of its package, from the folder that holds that: package.{path.stem}:NAME"
            if "relative import" in str(error)
            else None,
        ) from error
    if folder not in sys.path:
        # For what its functions import when they run; last, so that nothing of ours is hidden by it.
        sys.path.append(folder)
    return module


def _refuse_namesakes(path: Path, source: bytes) -> None:
    """An import of what lies beside the file must not silently get a module of that name from elsewhere."""
    for name in sorted({name.partition(".")[0] for name in imported_names(source)}):
        wanted, loaded = beside(path.parent, name), sys.modules.get(name)
        if wanted is None or loaded is None:
            continue
        got = getattr(loaded, "__file__", None)
        if got is None or Path(got).resolve() != wanted.resolve():
            raise ConfigError(
                f"The plug-in imports {name!r}, and a module of that name from another place is in use already.",
                where=path,
                expected=str(wanted),
                got=str(got or "a built-in module"),
                todo='rename its module, or run it as a program of its own: cmd:"python theirs.py {in} {out}"',
            )
