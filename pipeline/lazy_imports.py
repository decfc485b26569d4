"""Put off the import of packages that others import at their top and seldom use."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


@contextmanager
def import_when_used(*packages: str) -> Iterator[None]:
    """Until the context ends, importing one of these packages gives a stand-in that imports it at its first use.

    `import numba` takes 0.5 s and `import matplotlib.pyplot` longer; mmdet imports both and many more, for parts of
    it that a detector never runs. Whoever imports such a package after the context gets the package itself.

    Args:
        packages: Dotted names, with all that lies below them. One that is imported already, or is not installed,
            behaves as ever.
    """
    finder = _Finder([name for name in packages if name not in sys.modules and _is_installed(name)])
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for module in finder.made:
            sys.modules.pop(module.__name__, None)
            parent, _, name = module.__name__.rpartition(".")
            if getattr(sys.modules.get(parent), name, None) is module:
                delattr(sys.modules[parent], name)


def _is_installed(name: str) -> bool:
    return PathFinder.find_spec(name.partition(".")[0]) is not None


class _Finder:
    """Finds stand-ins, and makes them."""

    def __init__(self, packages: Sequence[str]) -> None:
        self._packages = packages
        self.made: list[ModuleType] = []

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if any(f"{name}.".startswith(f"{package}.") for package in self._packages):
            return ModuleSpec(name, self, is_package=True)  # type: ignore[arg-type]
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        self.made.append(_LazyModule(spec.name))
        return self.made[-1]

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run."""


class _LazyModule(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name == "__version__":
            return _version(self.__name__)
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if sys.modules.get(self.__name__) is self:
            # Asked for by `from package import name`: nothing is used yet.
            return _LazyObject(self.__name__, name)
        return getattr(importlib.import_module(self.__name__), name)


def _version(package: str) -> str:
    """What a package would say of itself, since others ask for it while they are imported."""
    for distribution in metadata.packages_distributions().get(package, ()):
        return metadata.version(distribution)
    raise AttributeError(f"module {package!r} has no attribute '__version__'")


class _LazyObject:
    """A class, function or module of a package that is not imported yet."""

    def __init__(self, module: str, name: str) -> None:
        self._place = module, name

    def _real(self) -> Any:
        module, name = self._place
        return getattr(importlib.import_module(module), name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._real()(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"{'.'.join(self._place)} has not been imported yet")
        return getattr(self._real(), name)

    def __getitem__(self, key: Any) -> Any:
        return self._real()[key]

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self._real())

    def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[type, ...]:
        """Stand in as a base class, until the first instance is made."""

        def initialise(instance: Any, *args: Any, **kwargs: Any) -> None:
            derived = next(each for each in type(instance).__mro__ if base in each.__bases__)
            real = self._real()
            derived.__bases__ = tuple(real if each is base else each for each in derived.__bases__)
            real.__init__(instance, *args, **kwargs)

        base = type(self._place[1], (), {"__init__": initialise})
        return (base,)
