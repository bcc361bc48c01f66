"""`python prepare.py check=true`: verifies a corpus folder against its manifest."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ilm.corpus.selection import Documents
from ilm.corpus.store import DOCUMENTS, MANIFEST, PreparedCorpus, again, with_digest
from ilm.errors import UserError
from ilm.files import read_json
from ilm.hashing import changed_files, digest
from ilm.tables import TextTable, show

# Lists how the contents of a folder of masks or tokens differ from the documents, one line each.
Compare = Callable[[Path, pd.DataFrame], list[str]]


@dataclass(frozen=True)
class Finding:
    """A part of a corpus folder and its faults; `skipped`: why it was not checked."""

    part: str
    faults: Sequence[str] = ()
    skipped: str | None = None


def verify_corpus(folder: Path, caches: Mapping[str, Compare]) -> Iterator[Finding]:
    """Verify everything below `data/<corpus>` against its manifest and documents.

    `caches`: subfolder (masks, tokens) -> how to compare a folder in it with the documents.

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
    for kind, compare in caches.items():
        for cache in sorted((folder / kind).glob("[!.]*")):
            yield verify_cache(cache, corpus, compare)


def verify_cache(folder: Path, corpus: Documents, compare: Compare) -> Finding:
    """Verify a folder of masks or tokens: its name and its files against its settings, then the documents."""
    part = f"{folder.parent.name}/{folder.name}"
    try:
        about = read_json(folder / "settings.json")
        made_from = about.get("settings") or about["identity"]
        if not folder.name.endswith(f"-{digest(made_from)}"):
            return Finding(part, [f"settings.json belongs to {digest(made_from)}, not to this folder"])
        if (other := made_from["documents"]) != corpus.documents_hash:
            return Finding(part, skipped=f"made from documents {other}, since replaced: nothing reads it, delete it")
        return Finding(part, changed_files(folder, about["files"]) or compare(folder, corpus.documents))
    except UserError as error:
        return Finding(part, [str(error)])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return Finding(part, [f"a file is missing or damaged ({error!r})"])


def require_sound(*folders: Path, **caches: Compare) -> None:
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
