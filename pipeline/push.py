"""Trained weights and their card to a repository on the Hugging Face Hub."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from duskbench.data_tools.errors import ConfigError, WeightsError
from duskbench.data_tools.files import file_sha256
from duskbench.data_tools.hub import FORM, HubAddress, library, parse_hub_address, refusal
from duskbench.data_tools.ids import read_text
from duskbench.pipeline.checkpoint import metadata, weight_format

LIBRARY = "duskbench"
_LICENCE = re.compile(r"^\|\s*licen[cs]e\s*\|\s*([\w.+-]+)", re.MULTILINE | re.IGNORECASE)
_SHA256 = re.compile(r"\b[0-9a-f]{64}\b")


def push(
    weights: str | Path,
    address: str,
    *,
    card: str | Path | None = None,
    licence: str | None = None,
    private: bool = False,
) -> str:
    """Upload weights, and their card as the repository's README.md, in one commit; the repository is made if need be.

    Args:
        weights: A `.safetensors` file.
        address: `hf://owner/repository`, or with the file's name there; a revision is the branch to commit to.
        card: What the weights are, in Markdown; None takes the file beside them, `NAME.md`. It may begin with the Hub's
            metadata; what is not there of licence, library and tags is added.
        licence: As the Hub names it, `apache-2.0`; None takes the card's metadata, or the first word of the row
            `| licence | ...`.
        private: Whether a repository that is made is private.

    Returns:
        The commit's address.

    Raises:
        WeightsError: The weights cannot be read, there is no card, or it names no licence or another file's sha256.
        ConfigError: The address is none of a model or of a .safetensors file, or huggingface_hub is not installed.
        DataError: The card is no UTF-8 text, or the Hub refuses the upload.
    """
    weights, parsed = Path(weights).expanduser(), parse_hub_address(address)
    if parsed.kind != "model":
        raise ConfigError("Weights go to a model's repository.", where=parsed.text, expected=FORM, got=parsed.kind)
    if parsed.path and not parsed.path.endswith(".safetensors"):
        # README.md would be the card's own, and the bare name of a folder a file that nothing can read.
        raise ConfigError(
            "Weights go to a .safetensors file of the repository.",
            where=parsed.text,
            expected="an address of that ending, or of the repository alone",
            got=parsed.path,
            todo=f"end it with {weights.name}, in a folder of the repository or not, or name the repository alone",
        )
    if not weights.is_file() or {weights.suffix, weight_format(weights)} != {".safetensors"}:
        raise WeightsError(
            "There are no weights to upload.",
            where=weights,
            expected="a .safetensors file",
            todo="write one: duskbench train ... --export FILE.safetensors",
        )
    described = metadata(weights)
    readme = _readme(weights, Path(card) if card else weights.with_suffix(".md"), described, licence, parsed)
    return _commit(parsed, {parsed.path or weights.name: weights, "README.md": readme}, private)


def _readme(weights: Path, card: Path, described: dict[str, str], licence: str | None, address: HubAddress) -> bytes:
    """The card with the Hub's metadata before it."""
    if not card.is_file():
        raise WeightsError(
            "The weights have no card.",
            where=card,
            expected="what they are, in Markdown: network, data, command, numbers, licence",
            todo="write one beside them, or name it: --card FILE",
        )
    text = read_text(card)
    named = set(_SHA256.findall(text.lower()))
    if named and file_sha256(weights) not in named:
        raise WeightsError(
            "The card is of another file.",
            where=card,
            expected=f"the sha256 of {weights}, {file_sha256(weights)}",
            got=", ".join(sorted(named)),
            todo="bring the card up to date",
        )
    import yaml

    try:
        made = library(address.text).ModelCard(text)
    except (yaml.YAMLError, ValueError) as error:
        got = " ".join(str(error).split())
        raise WeightsError("Cannot read the metadata of the card.", where=card, expected="YAML", got=got) from error
    told = _LICENCE.search(made.text)
    made.data.license = licence or made.data.license or (told[1].lower() if told else None)
    if not made.data.license:
        raise WeightsError(
            "The card names no licence.",
            where=card,
            expected="a row `| licence | ... |`, or `license:` in its metadata",
            todo="add it, or name it as the Hub does: --licence apache-2.0",
        )
    made.data.library_name = made.data.library_name or LIBRARY
    made.data.tags = list(dict.fromkeys([*(made.data.tags or ()), LIBRARY, "low-light"]))
    if "network" in described:
        made.data.pipeline_tag = made.data.pipeline_tag or "image-to-image"
    return str(made).encode()


def _commit(address: HubAddress, files: dict[str, Path | bytes], private: bool) -> str:
    hub = library(address.text)
    api: Any = hub.HfApi()
    operations = [hub.CommitOperationAdd(name, content) for name, content in files.items()]
    try:
        api.create_repo(address.repository, private=private, exist_ok=True)
        done = api.create_commit(
            address.repository,
            operations,
            commit_message=f"{', '.join(files)} by {LIBRARY} push",
            revision=address.revision,
        )
    except (hub.errors.HTTPError, OSError, RuntimeError, ValueError) as error:
        # What goes wrong in an upload to large storage is the cause of a RuntimeError.
        cause = error.__cause__ if isinstance(error, RuntimeError) else None
        raise refusal(address, cause if isinstance(cause, Exception) else error) from error
    return str(done.commit_url)
