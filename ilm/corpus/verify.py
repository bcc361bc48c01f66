"""`python prepare.py check=true`: verifies a corpus folder against its manifest."""

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
    """A part of a corpus folder, what was checked, and its faults; `skipped`: why it was not checked."""

    part: str
    checked: str
    faults: tuple[str, ...] = ()
    skipped: str | None = None


def verify_corpus(folder: Path, caches: Mapping[str, Callable[[Path, pd.DataFrame], list[str]]]) -> Iterator[Finding]:
    """Verify everything below `data/<corpus>` against its manifest and documents.

    `caches`: subfolder (masks, tokens) -> a function that lists the faults of one folder in it, given the documents.

    Raises: UserError if there is no corpus.
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
            why = "a folder" if path.is_dir() else "no longer there"
            yield Finding(f"source {path}", "size and sha256", skipped=why)
    if corpus.test_only:
        yield _main_corpus(folder, manifest["leaks"]["asked"])
    if faults:
        return
    for kind, faults_of in caches.items():
        for cache in sorted((folder / kind).glob("[!.]*")):
            part = f"{kind}/{cache.name}"
            if (other := _documents_of(cache)) not in (None, corpus.documents_hash):
                why = f"made from documents {other}, since replaced: nothing reads it, delete it"
                yield Finding(part, "its documents", skipped=why)
            else:
                yield Finding(part, "against its name and the documents", tuple(faults_of(cache, corpus.documents)))


def require_sound(*folders: Path, **caches: Callable[[Path, pd.DataFrame], list[str]]) -> None:
    """Verify each `data/<corpus>` and print the findings; `caches` as for `verify_corpus`.

    Raises: UserError if there is any fault.
    """
    errors = []
    for folder in folders:
        findings = list(verify_corpus(folder, caches))
        show(findings_table(folder, findings))
        if faults := sum(len(finding.faults) for finding in findings):
            manifest = PreparedCorpus.open(folder).manifest
            errors.append(
                f"{folder}: {faults} fault{'s' * (faults > 1)}. Delete faulty folders of masks or tokens, and prepare "
                f"again: {again(folder.name, manifest)}"
            )
    if errors:
        raise UserError("\n".join(errors))


def findings_table(folder: Path, findings: list[Finding]) -> TextTable:
    """A table of what was checked, one row per finding or fault."""
    rows = []
    for finding in findings:
        skipped = [f"not checked: {finding.skipped}"] if finding.skipped else ["ok"]
        found = [f"FAULT: {fault}" for fault in finding.faults] or skipped
        for number, line in enumerate(found):
            part, checked = (finding.part, finding.checked) if number == 0 else ("", "")
            rows.append((part, checked, line))
    return TextTable(f"Check of {folder}", ("part", "checked", "found"), rows, "lpp")


def _documents_of(cache: Path) -> str | None:
    """The hash of the documents that masks or tokens were made from; None if their settings cannot be trusted."""
    try:
        about = read_json(cache / "settings.json")
        made_of = about.get("settings") or about["identity"]
        return made_of["documents"] if cache.name.endswith(f"-{digest(made_of)}") else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # the check of this kind of folder reports the fault


def _manifest_faults(manifest: Mapping[str, Any]) -> Iterator[str]:
    if (found := with_digest(manifest)["digest"]) != manifest.get("digest"):
        yield f"{found}, expected {manifest.get('digest')}: edited or damaged"


def _file_faults(path: Path, wanted: Mapping[str, Any]) -> Iterator[str]:
    if (size := path.stat().st_size) != wanted["bytes"]:
        yield f"{size:,} bytes, expected {wanted['bytes']:,}"
    elif (found := file_sha256(path)) != wanted["sha256"]:
        yield f"sha256 {found[:12]}..., expected {wanted['sha256'][:12]}..."


def _main_corpus(folder: Path, asked: Mapping[str, Any]) -> Finding:
    """Whether the corpus that test-only data were compared with is unchanged."""
    part, checked = "leaks", f"the training data of {asked['corpus']} they were compared with"
    try:
        now = PreparedCorpus.open(folder.with_name(asked["corpus"])).documents_hash
    except UserError as error:
        return Finding(part, checked, skipped=str(error))
    if now == asked["documents_hash"]:
        return Finding(part, checked)
    change = f"documents {asked['documents_hash']} then, {now} now"
    return Finding(part, checked, (f"prepared again since ({change}): repeat prepare.py with corpus.extra",))
