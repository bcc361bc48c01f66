"""`prepare.py check=true`: a sound folder passes, and whatever is changed in one is named."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from ilm.corpus.build import build_corpus
from ilm.corpus.columns import Reading
from ilm.corpus.sources import FileSource
from ilm.corpus.splitting.strategy import TrainValidTest
from ilm.corpus.store import PreparedCorpus, read_documents
from ilm.corpus.verify import Finding, require_sound, verify_corpus
from ilm.errors import UserError
from ilm.hashing import digest
from prepare import prepare
from tests.conftest import compose, contents, rows_of_small_corpus, write_csv

LEVELS = ["A1", "B1"]


def built(folder: Path, rows, strategy) -> PreparedCorpus:
    path = write_csv(folder.parent / f"{folder.name}.csv", rows)
    origin = FileSource([path], Reading(LEVELS))
    return build_corpus(folder, origin, strategy, sample_size=None, overwrite=True)


@pytest.fixture
def corpus(tmp_path) -> PreparedCorpus:
    rows = rows_of_small_corpus({"A1": 20, "B1": 20})
    return built(tmp_path / "mine", rows, TrainValidTest(0, ["text"], None, 0.9))


def faults(folder: Path, **caches) -> dict[str, str]:
    """Part -> what is wrong with it, as one text."""
    found: dict[str, str] = {}
    for finding in verify_corpus(folder, caches):
        if finding.faults:
            found[finding.part] = found.get(finding.part, "") + "; ".join(finding.faults)
    return found


def changed(corpus: PreparedCorpus, change) -> None:
    path = corpus.folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def test_a_sound_corpus_passes_and_nothing_is_written(corpus):
    before = contents(corpus.folder)
    assert faults(corpus.folder) == {}
    require_sound(corpus.folder)
    assert contents(corpus.folder) == before
    parts = [finding.part for finding in verify_corpus(corpus.folder, {})]
    assert set(parts) == {"documents.parquet", "manifest.json", f"source {corpus.folder}.csv"}


def test_a_folder_without_a_corpus(tmp_path):
    with pytest.raises(UserError, match="holds no prepared corpus"):
        require_sound(tmp_path / "none")


def test_a_changed_byte_in_the_documents_or_the_source(corpus):
    parquet, source = corpus.folder / "documents.parquet", Path(f"{corpus.folder}.csv")
    for path, part in ((parquet, "documents.parquet"), (source, f"source {source}")):
        whole = path.read_bytes()
        path.write_bytes(whole[:300] + bytes([whole[300] ^ 1]) + whole[301:])
        assert "has changed since it was written" in faults(corpus.folder)[part]
        path.write_bytes(whole)
    source.unlink()
    assert faults(corpus.folder) == {}
    (skipped,) = [f for f in verify_corpus(corpus.folder, {}) if f.skipped]
    assert skipped == Finding(f"source {source}", skipped="no longer there")


def test_whatever_is_changed_in_the_manifest(corpus):
    changed(corpus, lambda manifest: manifest["leaks"].update(topics="holds"))
    assert "edited or damaged" in faults(corpus.folder)["manifest.json"]


def test_caches_are_looked_at_by_who_knows_them(corpus, capsys):
    identity = {"documents": corpus.documents_hash}
    words, gpt2 = (f"{name}-{digest(identity)}" for name in ("words", "gpt2"))
    for name in (f"masks/{words}", "masks/.words-1.tmp-2", f"tokens/{gpt2}"):
        (corpus.folder / name).mkdir(parents=True)
        (corpus.folder / name / "settings.json").write_text(json.dumps({"identity": identity, "files": {}}))
    seen = []

    def compare(folder: Path, documents: pd.DataFrame) -> list[str]:
        seen.append((folder.name, len(documents)))
        return ["no file"] if folder.name == gpt2 else []

    assert faults(corpus.folder, masks=compare, tokens=compare) == {f"tokens/{gpt2}": "no file"}
    assert seen == [(words, 40), (gpt2, 40)]
    with pytest.raises(UserError, match="1 fault"):
        require_sound(corpus.folder, tokens=compare)
    rows = [line.replace("│", " ").split() for line in capsys.readouterr().out.splitlines()]
    assert [f"tokens/{gpt2}", "FAULT:", "no", "file"] in rows
    assert ["manifest.json", "ok"] in rows


def test_caches_of_documents_that_were_replaced_are_no_fault(corpus):
    of_others = {"documents": "0123456789ab", "name": "words"}
    for key, kind in (("settings", "masks"), ("identity", "tokens")):
        for name in (f"old-{digest(of_others)}", "damaged-0"):  # a name that is not its digest proves nothing
            cache = corpus.folder / kind / name
            cache.mkdir(parents=True)
            (cache / "settings.json").write_text(json.dumps({key: of_others}))
    found = list(verify_corpus(corpus.folder, dict.fromkeys(("masks", "tokens"), lambda *_: ["looked at"])))
    skipped = [(finding.part, finding.skipped) for finding in found if finding.skipped]
    why = "made from documents 0123456789ab, since replaced: nothing reads it, delete it"
    assert skipped == [(f"{kind}/old-{digest(of_others)}", why) for kind in ("masks", "tokens")]
    assert [f.part for f in found if f.faults] == ["masks/damaged-0", "tokens/damaged-0"]


def test_the_extra_corpora_of_the_same_command_are_checked_too(tmp_path):
    paths = [write_csv(tmp_path / f"{name}.csv", rows_of_small_corpus({"A1": 20})) for name in ("main", "other")]
    typed = ["corpus=custom", "corpus.name=mine", f"corpus.csv={paths[0]}", f"corpus.extra=['{paths[1]}']"]
    typed += [f"paths.data={tmp_path / 'data'}", "num_workers=1", "masking.masks_per_document=1"]
    prepare(compose("prepare", *typed)[0])
    prepare(compose("prepare", *typed, "check=true")[0])
    changed(PreparedCorpus.open(tmp_path / "data" / "other"), lambda manifest: manifest["counts"].update(l1={}))
    with pytest.raises(
        UserError, match=rf"other: 1 fault.*corpus=custom corpus.name=mine .*corpus.extra=\[.*{paths[1]}"
    ):
        prepare(compose("prepare", *typed, "check=true")[0])


def test_as_it_is_typed(prepared, tmp_path):
    """No source is given: what is there is enough."""
    typed = ["corpus=custom", "corpus.name=small", "check=true"]
    prepare(compose("prepare", *typed, f"paths.data={prepared}")[0])
    copy = tmp_path / "data" / "small"
    shutil.copytree(prepared / "small", copy)
    masks = next((copy / "masks").glob("hierarchical-*"))
    whole = (masks / "valid.arrow").read_bytes()
    (masks / "valid.arrow").write_bytes(whole[:-200] + bytes([whole[-200] ^ 1]) + whole[-199:])
    with pytest.raises(UserError, match=r"small: 1 fault\. Delete faulty folders of masks"):
        prepare(compose("prepare", *typed, f"paths.data={tmp_path / 'data'}")[0])


def test_damaged_documents_are_made_anew_by_the_same_command(tmp_path):
    rows = rows_of_small_corpus({"A1": 20, "B1": 20})
    corpus = built(tmp_path / "mine", rows, TrainValidTest(0, ["text"]))
    path, before = corpus.folder / "documents.parquet", contents(corpus.folder)
    whole = path.read_bytes()
    path.write_bytes(whole[:300] + bytes([whole[300] ^ 1]) + whole[301:])
    assert faults(corpus.folder)
    built(tmp_path / "mine", rows, TrainValidTest(0, ["text"]))
    assert contents(corpus.folder) == before


def test_documents_are_read_as_they_were_written(corpus):
    assert read_documents(corpus.folder / "documents.parquet").equals(corpus.documents)
