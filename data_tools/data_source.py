"""What is known of a data set that can be fetched: addresses, hashes, terms, and where its files belong."""

from __future__ import annotations

from dataclasses import dataclass

from duskbench.data_tools.partial import Checksum


@dataclass(frozen=True)
class Placement:
    """Where one folder or file of an archive belongs below the data set's root.

    Attributes:
        picks: Paths of the folder in the archive, any of them, at any depth: `VOC2007`, `test_data/DICM`.
        to: Its path below the root.
        holds: A child it must have, which tells it from a wrapping folder of the same name.
    """

    picks: tuple[str, ...]
    to: str
    holds: str | None = None


@dataclass(frozen=True)
class SourceFile:
    """One file to download.

    Attributes:
        filename: Its name here, and the usual name of a copy that a user already has.
        urls: Mirrors, best first, as `download` takes them; empty where no stable address exists.
        placements: What to take from the archive; empty for a file that is no archive.
        to: For a file that is no archive: its path below the root.
        sha256: Of the file, or None where none is published.
        md5: Where that was published.
        size: In bytes, where known.
        max_bytes: Most bytes the archive may unpack to.
    """

    filename: str
    urls: tuple[str, ...]
    placements: tuple[Placement, ...] = ()
    to: str | None = None
    sha256: str | None = None
    md5: str | None = None
    size: int | None = None
    max_bytes: int = 8 << 30

    @property
    def checksum(self) -> Checksum:
        """What the file must be."""
        return Checksum(self.sha256, self.md5, self.size)


@dataclass(frozen=True)
class DataSource:
    """One data set, or one part of it that is published separately.

    Attributes:
        name: What `duskbench data fetch` calls it.
        title: For people.
        layout: What lies below the root afterwards.
        licence: In a few words.
        terms: What a user has to know and agree to before it is downloaded.
        terms_url: Where the terms are.
        citation: BibTeX.
        files: What is downloaded.
        expects: Paths below the root that exist when the set is complete.
        tree_sha256: Folder below the root -> sha256 of its listing (see `fetch.tree_sha256`), for sets whose
            archives are made again on each request and so have no lasting hash.
        note: What else to know: dead addresses, counts that differ elsewhere.
    """

    name: str
    title: str
    layout: str
    licence: str
    terms: str
    terms_url: str
    citation: str
    files: tuple[SourceFile, ...]
    expects: tuple[str, ...]
    tree_sha256: tuple[tuple[str, str], ...] = ()
    note: str = ""
