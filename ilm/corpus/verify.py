"""`python prepare.py check=true`: verifies a corpus folder against its manifest."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ilm.corpus.store import DOCUMENTS, MANIFEST, PreparedCorpus, again, with_digest
from ilm.errors import UserError
from ilm.files import read_json
from ilm.hashing import changed_files, digest
from ilm.tables import TextTable, show


@dataclass(frozen=True)
class Finding:
    """A part of a corpus folder and its faults; `skipped`: why it was not checked."""

    part: str
    faults: Sequence[str] = ()
    skipped: str | None = None


def verify_corpus(folder: Path, caches: Mapping[str, Callable[[Path, pd.DataFrame], list[str]]]) -> Iterator[Finding]:
    """Verify everything below `data/<corpus>` against its manifest and documents.

    `caches`: subfolder (masks, tokens) -> a function that lists the faults of one folder in it, given the documents.

    Raises: UserError if there is no corpus.
    """
    corpus = PreparedCorpus.open(folder)
    manifest = corpus.manifest
    edited = with_digest(manifest)["digest"] != manifest.get("digest")
    yield Finding(MANIFEST, ["its contents do not match its digest: edited or damaged"] if edited else [])
    faults = changed_files(folder, manifest["files"])
    yield Finding(DOCUMENTS, faults)
    for source in manifest["sources"]:
        path = Path(source["path"])
        if path.is_file():
            yield Finding(f"source {path}", changed_files(path.parent, {path.name: source}))
        else:
            yield Finding(f"source {path}", skipped="a folder" if path.is_dir() else "no longer there")
    if faults:
        return
    for kind, faults_of in caches.items():
        for cache in sorted((folder / kind).glob("[!.]*")):
            part = f"{kind}/{cache.name}"
            if (other := _documents_of(cache)) not in (None, corpus.documents_hash):
                why = f"made from documents {other}, since replaced: nothing reads it, delete it"
                yield Finding(part, skipped=why)
            else:
                yield Finding(part, faults_of(cache, corpus.documents))


def require_sound(*folders: Path, **caches: Callable[[Path, pd.DataFrame], list[str]]) -> None:
    """Verify each `data/<corpus>` and print the findings; `caches` as for `verify_corpus`.

    Raises: UserError if there is any fault.
    """
    errors = []
    for folder in folders:
        findings, rows = list(verify_corpus(folder, caches)), []
        for finding in findings:
            skipped = f"not checked: {finding.skipped}" if finding.skipped else "ok"
            rows += [(finding.part, f"FAULT: {fault}") for fault in finding.faults] or [(finding.part, skipped)]
        show(TextTable(f"Check of {folder}", ("part", "found"), rows, "lp"))
        if faults := sum(len(finding.faults) for finding in findings):
            manifest = PreparedCorpus.open(folder).manifest
            errors.append(
                f"{folder}: {faults} fault{'s' * (faults > 1)}. Delete faulty folders of masks or tokens, and prepare "
                f"again: {again(folder.name, manifest)}"
            )
    if errors:
        raise UserError("\n".join(errors))


def _documents_of(cache: Path) -> str | None:
    """The hash of the documents that masks or tokens were made from; None if their settings cannot be trusted."""
    try:
        about = read_json(cache / "settings.json")
        made_of = about.get("settings") or about["identity"]
        return made_of["documents"] if cache.name.endswith(f"-{digest(made_of)}") else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # the check of this kind of folder reports the fault
