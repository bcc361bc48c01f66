"""`python prepare.py check=true`: whether a corpus folder is what its manifest says."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ilm.corpus.store import DOCUMENTS, MANIFEST, PreparedCorpus, again, with_digest
from ilm.errors import UserError
from ilm.files import read_json
from ilm.hashing import digest, file_sha256
from ilm.tables import TextTable, show


@dataclass(frozen=True)
class Finding:
    """One part of a corpus folder, what was looked at, and what is wrong with it; `skipped`: why it was not."""

    part: str
    checked: str
    faults: tuple[str, ...] = ()
    skipped: str | None = None


def verify_corpus(folder: Path, caches: Mapping[str, Callable[[Path, pd.DataFrame], list[str]]]) -> Iterator[Finding]:
    """Compare everything below `data/<corpus>` with its manifest and its documents.

    `caches`: subfolder (masks, tokens) -> a function that lists what is wrong with one folder in it, made of these
    documents.

    Raises: UserError if there is no corpus at all.
    """
    corpus = PreparedCorpus.open(folder)
    manifest = corpus.manifest
    yield Finding(MANIFEST, "its own digest", tuple(_manifest_faults(manifest)))
    faults = tuple(_file_faults(folder / DOCUMENTS, manifest["files"][DOCUMENTS]))
    yield Finding(DOCUMENTS, "size and sha256", faults)
    for source in manifest["sources"]:
        path = Path(source["path"])
        if path.is_file():
            yield Finding(f"source {path}", "size and sha256", tuple(_file_faults(path, source)))
        else:
            why = "a folder" if path.is_dir() else "it is not here any more"
            yield Finding(f"source {path}", "size and sha256", skipped=why)
    if corpus.test_only:
        yield _main_corpus(folder, manifest["leaks"]["asked"])
    if faults:
        return
    for kind, faults_of in caches.items():
        for cache in sorted((folder / kind).glob("[!.]*")):
            part = f"{kind}/{cache.name}"
            if (other := _documents_of(cache)) not in (None, corpus.documents_hash):
                why = f"made of documents {other}, which are replaced: nothing reads it, delete it"
                yield Finding(part, "its documents", skipped=why)
            else:
                yield Finding(part, "against its name and the documents", tuple(faults_of(cache, corpus.documents)))


def require_sound(*folders: Path, **caches: Callable[[Path, pd.DataFrame], list[str]]) -> None:
    """Verify each `data/<corpus>` and print what was found; `caches` as for `verify_corpus`.

    Raises: UserError if anything is wrong.
    """
    told = []
    for folder in folders:
        findings = list(verify_corpus(folder, caches))
        show(findings_table(folder, findings))
        if faults := sum(len(finding.faults) for finding in findings):
            manifest = PreparedCorpus.open(folder).manifest
            told.append(
                f"{folder}: {faults} fault{'s' * (faults > 1)}. Delete a folder of masks or tokens that has one, and "
                f"prepare again: {again(folder.name, manifest)}"
            )
    if told:
        raise UserError("\n".join(told))


def findings_table(folder: Path, findings: list[Finding]) -> TextTable:
    """What was checked and what was found, a row for each finding and each fault."""
    rows = []
    for finding in findings:
        skipped = [f"not checked: {finding.skipped}"] if finding.skipped else ["ok"]
        found = [f"FAULT: {fault}" for fault in finding.faults] or skipped
        for number, line in enumerate(found):
            part, checked = (finding.part, finding.checked) if number == 0 else ("", "")
            rows.append((part, checked, line))
    return TextTable(f"Check of {folder}", ("part", "checked", "found"), rows, "lpp")


def _documents_of(cache: Path) -> str | None:
    """The hash of the documents that masks or tokens were made of; None if what they say of it cannot be relied on."""
    try:
        about = read_json(cache / "settings.json")
        made_of = about.get("settings") or about["identity"]
        return made_of["documents"] if cache.name.endswith(f"-{digest(made_of)}") else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # whoever knows these files says what is wrong with them


def _manifest_faults(manifest: Mapping[str, Any]) -> Iterator[str]:
    if (found := with_digest(manifest)["digest"]) != manifest.get("digest"):
        yield f"{found}, expected {manifest.get('digest')}: it was edited, or is damaged"


def _file_faults(path: Path, wanted: Mapping[str, Any]) -> Iterator[str]:
    if (size := path.stat().st_size) != wanted["bytes"]:
        yield f"{size:,} bytes, expected {wanted['bytes']:,}"
    elif (found := file_sha256(path)) != wanted["sha256"]:
        yield f"sha256 {found[:12]}..., expected {wanted['sha256'][:12]}..."


def _main_corpus(folder: Path, asked: Mapping[str, Any]) -> Finding:
    """Whether the corpus that test-only data were compared with is still the same."""
    part, checked = "leaks", f"the training data of {asked['corpus']} that they were looked for in"
    try:
        now = PreparedCorpus.open(folder.with_name(asked["corpus"])).documents_hash
    except UserError as error:
        return Finding(part, checked, skipped=str(error))
    if now == asked["documents_hash"]:
        return Finding(part, checked)
    change = f"documents {asked['documents_hash']} then, {now} now"
    return Finding(part, checked, (f"prepared anew ({change}): prepare again with corpus.extra",))
