"""Files on the Hugging Face Hub, by way of huggingface_hub (extra `hub`): what an address means, and a copy of it.

huggingface_hub knows addresses, tokens and refusals. The bytes go through `download`, which resumes across calls and
checks the hash; huggingface_hub's own download starts over in each process.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from duskbench.data_tools.errors import ConfigError, DataError, DuskbenchError, UnknownNameError
from duskbench.data_tools.files import file_sha256, user_cache

FORM = "hf://owner/repository/file, hf://owner/repository@revision/file, or hf://datasets/owner/repository/file"
# What pathlib makes of an address has one slash.
_PREFIX = re.compile("^hf:/+")
_SHA256 = re.compile("[0-9a-f]{64}")
_COMMIT = re.compile("[0-9a-f]{40}")
# No status at all, as where there is no network; too many requests; and a fault of the server's.
_MAY_PASS = (0, 429, *range(500, 600))
logger = logging.getLogger(__name__)


class HubUnreachableError(DataError):
    """There is no answer from the Hub, which says nothing about the file."""


@dataclass(frozen=True)
class HubAddress:
    """One file, or none (`path` is empty), of a repository on the Hub.

    Attributes:
        text: As it was given.
        kind: "model", "dataset" or "space".
        repository: `owner/name`.
        revision: A branch, a tag or a commit.
        path: Of the file in the repository.
    """

    text: str
    kind: str
    repository: str
    revision: str
    path: str


@dataclass(frozen=True)
class HubFile:
    """Where the file of an address can be downloaded, at the commit that its revision is now.

    Attributes:
        url: Of this commit.
        headers: What the request needs; a token, where the user has one.
        sha256: Of files in large storage, as weights are; else None.
        etag: What identifies the content: the sha256, or the hash by which git calls it.
    """

    url: str
    headers: Mapping[str, str]
    sha256: str | None
    etag: str


def is_hub_address(given: object) -> bool:
    """Whether something given as a path is an address on the Hub."""
    return isinstance(given, str | Path) and _PREFIX.match(str(given)) is not None


def library(where: str) -> Any:
    """Import huggingface_hub.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        import huggingface_hub
    except ImportError as error:
        raise ConfigError(
            "Addresses on the Hugging Face Hub need a package that is not installed.",
            where=where,
            expected="huggingface_hub",
            todo='pip install "duskbench[hub]"',
        ) from error
    return huggingface_hub


def parse_hub_address(address: str | Path) -> HubAddress:
    """Take an address apart.

    Raises:
        ConfigError: It is none, or huggingface_hub is not installed.
    """
    text = _PREFIX.sub("hf://", str(address))
    hub = library(text)
    try:
        found = hub.parse_hf_uri(text)
    except hub.errors.HfUriError as error:
        raise _no_address(text, str(error)) from error
    if not found.is_repo or ".." in PurePosixPath(found.path_in_repo).parts:
        raise _no_address(text, f"a {found.type} and the path {found.path_in_repo!r}")
    return HubAddress(text, found.type, found.id, found.revision or "main", found.path_in_repo)


def _no_address(text: str, got: str) -> ConfigError:
    return ConfigError("This is no address of a file on the Hugging Face Hub.", where=text, expected=FORM, got=got)


def _parse_file(address: str | Path) -> HubAddress:
    parsed = parse_hub_address(address)
    if not parsed.path:
        raise _no_address(parsed.text, "the address of a repository")
    return parsed


def locate(address: str | Path) -> HubFile:
    """Ask the Hub for a file; its token is huggingface_hub's: `hf auth login`, or $HF_TOKEN.

    Raises:
        HubUnreachableError: There is no answer, or the Hub is switched off ($HF_HUB_OFFLINE).
        UnknownNameError: The repository has no such file; the message has those it has.
        DataError: There is no such repository or revision, or the Hub refuses it.
        ConfigError: The address is none, or huggingface_hub is not installed.
    """
    parsed = _parse_file(address)
    hub = library(parsed.text)

    def url(revision: str) -> str:
        return str(hub.hf_hub_url(parsed.repository, parsed.path, repo_type=parsed.kind, revision=revision))

    try:
        found = hub.get_hf_file_metadata(url(parsed.revision))
    except (hub.errors.HTTPError, OSError) as error:
        raise refusal(parsed, error) from error
    etag = str(found.etag)
    return HubFile(
        url(found.commit_hash or parsed.revision),
        hub.utils.build_hf_headers(),
        etag if _SHA256.fullmatch(etag) else None,
        etag,
    )


def refusal(address: HubAddress, error: Exception) -> DuskbenchError:
    """What to raise where huggingface_hub raised, of a download or an upload."""
    hub = library(address.text)
    errors, page = hub.errors, f"{hub.constants.ENDPOINT}/{address.repository}"
    if isinstance(error, errors.EntryNotFoundError):
        return _no_such_file(address)
    unanswered = isinstance(error, (errors.HTTPError, OSError))
    status = getattr(getattr(error, "response", None), "status_code", 0 if unanswered else 400)
    log_in = "log in with a token that may do this: `hf auth login`, or $HF_TOKEN"
    offline = isinstance(error, errors.OfflineModeIsEnabled)
    # From the special case to the general one: a gated repository is one that is not found, to huggingface_hub.
    what, todo = next(
        (what, todo)
        for holds, what, todo in (
            (offline, "The Hub is switched off.", "unset $HF_HUB_OFFLINE"),
            (
                isinstance(error, errors.GatedRepoError),
                "The repository is gated.",
                f"accept its terms at {page}; {log_in}",
            ),
            (
                isinstance(error, errors.RepositoryNotFoundError),
                "The Hub has no such repository, or a private one.",
                log_in,
            ),
            (
                isinstance(error, errors.RevisionNotFoundError),
                "The repository has no such revision.",
                f"see {page}/commits",
            ),
            (status in (401, 403), "The Hub refuses this.", log_in),
            (status in _MAY_PASS, "The Hub does not answer.", "try again later"),
            (True, "The Hub refuses the request.", f"see {page}"),
        )
        if holds
    )
    got = str(error).strip() or type(error).__name__
    raised = HubUnreachableError if offline or status in _MAY_PASS else DataError
    return raised(what, where=address.text, got=" ".join(got.split())[:300], todo=todo)


def _no_such_file(address: HubAddress) -> DuskbenchError:
    hub = library(address.text)
    try:
        there = hub.HfApi().list_repo_files(address.repository, revision=address.revision, repo_type=address.kind)
    except (hub.errors.HTTPError, OSError):
        there = []
    return UnknownNameError("file of the repository", address.path, there, where=address.text)


def hub_file(address: str | Path, *, folder: Path | None = None, **limits: Any) -> Path:
    """A copy of a file on the Hub.

    The file of a commit is downloaded once. Of a branch or tag the Hub is asked each time whether the file has changed,
    and where there is no answer the copy is used, with a warning in the log. In a folder that is named, the Hub is
    always asked, and another file of the same name stays.

    Args:
        address: `hf://owner/repository[@revision]/file`.
        folder: Where to; None is a place in the cache.
        limits: See `download`: `progress`, `max_bytes`, ...

    Raises:
        DataError: See `locate` and `download`; or another file of this name is in `folder`.
        UnknownNameError, ConfigError: See `locate`.
    """
    from duskbench.data_tools.download import OFFLINE_VARIABLE, check_allowed, download

    parsed = _parse_file(address)
    repository = "--".join([f"{parsed.kind}s", *parsed.repository.split("/")])
    if folder is None:
        copy = user_cache() / "hub" / repository / parsed.revision.replace("/", "--") / parsed.path
    else:
        copy = folder / PurePosixPath(parsed.path).name
    # In a folder of the user's, a file of this name may be any file.
    is_known = folder is None and copy.is_file()
    if is_known and (_COMMIT.fullmatch(parsed.revision) or os.environ.get(OFFLINE_VARIABLE)):
        return copy
    check_allowed(copy, [parsed.text])
    try:
        found = locate(parsed.text)
    except HubUnreachableError as error:
        if not is_known:
            raise
        logger.warning("%s; the copy in the cache is used, which may be old: %s", error.one_line, copy)
        return copy
    if copy.is_file() and not _is_content(found, copy):
        if folder is not None:
            raise DataError(
                "Another file of this name is there.",
                where=copy,
                expected=f"no file, or that of {parsed.text}",
                todo="move it away, or name another folder",
            )
        if found.sha256 is None:
            copy.unlink()
    return download([parsed.text], copy, sha256=found.sha256, **limits)


def _is_content(found: HubFile, path: Path) -> bool:
    """Whether a file on disk is the one that the Hub has."""
    from huggingface_hub.utils.sha import git_hash

    if found.sha256 is not None:
        return file_sha256(path) == found.sha256
    return bool(git_hash(path.read_bytes()) == found.etag)


def hub_copy(given: Any) -> Any:
    """The path of an address's copy, and anything else as it is."""
    return str(hub_file(given)) if is_hub_address(given) else given
