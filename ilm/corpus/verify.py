"""`python prepare.py check=true`: whether a corpus folder is what its manifest says."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from ilm.config.keys import flat
from ilm.corpus.leakage import leak_report, shared_with
from ilm.corpus.splitting.assign import SPLITS
from ilm.corpus.statistics import summary
from ilm.corpus.store import DOCUMENTS, MANIFEST, PreparedCorpus, again, with_digest
from ilm.errors import UserError
from ilm.files import read_json
from ilm.hashing import digest, file_sha256
from ilm.tables import TextTable

# Faults of one kind that are shown.
_SHOWN = 5


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
    manifest, wanted = corpus.manifest, corpus.manifest["files"][DOCUMENTS]
    yield Finding(MANIFEST, "its own digest", tuple(_manifest_faults(manifest)))
    yield Finding(DOCUMENTS, "size and sha256", tuple(_file_faults(folder / DOCUMENTS, wanted)))
    for source in manifest["sources"]:
        path = Path(source["path"])
        if path.is_file():
            yield Finding(f"source {path}", "size and sha256", tuple(_file_faults(path, source)))
        else:
            why = "a folder" if path.is_dir() else "it is not here any more"
            yield Finding(f"source {path}", "size and sha256", skipped=why)
    try:
        documents = corpus.documents
    except UserError as error:
        yield Finding(DOCUMENTS, "checksums of all pages", (str(error),))
        return
    yield Finding(DOCUMENTS, "ids sorted and different, values in range", tuple(_value_faults(documents, manifest)))
    yield Finding(MANIFEST, "counts and lengths", tuple(_differences(manifest["counts"], summary(documents))))
    yield from _leaks(corpus)
    for kind, faults_of in caches.items():
        for cache in sorted((folder / kind).glob("[!.]*")):
            part = f"{kind}/{cache.name}"
            if (other := _documents_of(cache)) not in (None, corpus.documents_hash):
                why = f"made of documents {other}, which are replaced: nothing reads it, delete it"
                yield Finding(part, "its documents", skipped=why)
            else:
                yield Finding(part, "against its name and the documents", tuple(faults_of(cache, documents)))


def require_sound(*folders: Path, **caches: Callable[[Path, pd.DataFrame], list[str]]) -> None:
    """Verify each `data/<corpus>` and print what was found; `caches` as for `verify_corpus`.

    Raises: UserError if anything is wrong.
    """
    told = []
    for folder in folders:
        findings = list(verify_corpus(folder, caches))
        Console().print(findings_table(folder, findings))
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


def _value_faults(documents: pd.DataFrame, manifest: Mapping[str, Any]) -> Iterator[str]:
    ids = documents["writing_id"]
    # Arrow compares bytes of UTF-8, whose order is that of code points, as the documents are sorted.
    rising = ids.iloc[1:].reset_index(drop=True) > ids.iloc[:-1].reset_index(drop=True)
    if not rising.all():
        row = int((~rising).to_numpy().argmax())
        yield f"ids are not sorted or not different: {ids[row]!r} before {ids[row + 1]!r} (rows {row} and {row + 1})"
    if nulls := int(documents.isna().to_numpy().sum()):
        yield f"{nulls} values are missing"
    blank = documents["text"].str.strip() == ""
    if blank.any():
        yield f"{int(blank.sum())} texts are empty: {', '.join(ids[blank].head(_SHOWN))}"
    for column, allowed in (("split", SPLITS), ("cefr_level", manifest["settings"].get("levels"))):
        if allowed is not None and (strange := sorted(set(documents[column].unique()) - set(allowed))):
            yield f"{column} holds {', '.join(map(repr, strange[:_SHOWN]))}, expected {', '.join(allowed)}"
    if manifest["test_only"] and (documents["split"] != "test").any():
        yield "not all documents are test data, as those of corpus.extra are"


def _leaks(corpus: PreparedCorpus) -> Iterator[Finding]:
    """The leak report made again, with the similarity (and the other corpus) that it was made with."""
    stored = dict(corpus.manifest["leaks"])
    asked = stored.pop("asked")
    if corpus.test_only:
        checked = f"texts shared with the training data of {asked['corpus']}"
        try:
            main = PreparedCorpus.open(corpus.folder.with_name(asked["corpus"]))
        except UserError as error:
            yield Finding("leaks", checked, skipped=str(error))
            return
        if main.documents_hash != asked["documents_hash"]:
            change = f"documents {asked['documents_hash']} then, {main.documents_hash} now"
            fault = f"{asked['corpus']} has been prepared anew ({change}): prepare again with corpus.extra"
            yield Finding("leaks", checked, (fault,))
            return
        again = shared_with(corpus.documents, main.documents, near_duplicates=asked["near_duplicates"])
        yield Finding("leaks", checked, tuple(_differences(stored, again.to_dict())))
        return
    again = leak_report(corpus.documents, near_duplicates=asked["near_duplicates"], test_on=asked["test_on"])
    yield Finding("leaks", "what stands in several splits", tuple(_differences(stored, again.to_dict())))
    keep_together = corpus.manifest["settings"]["split"].get("keep_together")
    if keep_together is None:
        yield Finding("splits", "guarantees", skipped="the file says the splits, they were not drawn")
    else:
        yield Finding("splits", f"kept together: {', '.join(keep_together)}", tuple(again.violated(keep_together)))


def _differences(stored: Mapping[str, Any], again: Mapping[str, Any]) -> Iterator[str]:
    """What differs between numbers of the manifest and those counted now, a line each."""
    # JSON has neither tuples nor numbers as keys.
    before, now = dict(flat(stored)), dict(flat(json.loads(json.dumps(again))))
    differing = [key for key in sorted({*before, *now}) if not _equal(before.get(key), now.get(key))]
    for key in differing[:_SHOWN]:
        yield f"{key}: the manifest says {before.get(key)}, the documents {now.get(key)}"
    if len(differing) > _SHOWN:
        yield f"and {len(differing) - _SHOWN} more"


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other)
    return one == other
