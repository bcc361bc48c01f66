import json
import os
import shlex
import shutil
from contextlib import suppress

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

import ilm.hashing
from ilm.corpus import build
from ilm.corpus.build import build_corpus
from ilm.corpus.columns import Reading
from ilm.corpus.sources import FileSource
from ilm.corpus.splitting.strategy import TrainValidTest
from ilm.corpus.store import (
    PreparedCorpus,
    existing_conflict,
    prepare_command,
    read_documents,
    text_note,
    with_digest,
    write_documents,
)
from ilm.errors import UserError

LEVELS = ["A1", "B1"]


def prepare(folder, csv_path, seed: int = 0, overwrite: bool = False) -> PreparedCorpus:
    """The corpus as prepare.py makes it."""
    origin = FileSource([csv_path], Reading(LEVELS))
    strategy = TrainValidTest(seed, ["text", "learner_id"])
    return build_corpus(folder, origin, strategy, sample_size=None, overwrite=overwrite)


@pytest.fixture
def csv_path(tmp_path):
    path = tmp_path / "tiny.csv"
    rows = [f'w{n:02},French,{"A1" if n < 20 else "B1"},"Text {n}.\r\n\tIt’s 😀 ""fine"" ",s{n}\n' for n in range(23)]
    path.write_text("writing_id,l1,cefr_level,text,learner_id\n" + "".join(rows), encoding="utf-8", newline="")
    return path


@pytest.fixture
def folder(csv_path, tmp_path):
    return prepare(tmp_path / "data" / "tiny", csv_path).folder


def refused(folder) -> str:
    with pytest.raises(UserError) as caught:
        PreparedCorpus.open(folder)
    return str(caught.value)


def test_what_is_written_is_read(folder, csv_path):
    corpus = PreparedCorpus.open(folder)
    written = pd.read_csv(csv_path, dtype="str", keep_default_na=False)
    assert corpus.documents.drop(columns="split").equals(written)
    assert set(corpus.documents.dtypes.astype(str)) == {"str"}
    assert list(corpus.documents.columns) == ["writing_id", "l1", "cefr_level", "text", "learner_id", "split"]
    assert corpus.documents is corpus.documents
    assert (corpus.name, corpus.folder, corpus.seed) == ("tiny", folder, 0)
    assert (corpus.test_only, corpus.text_note) == (False, None)
    assert corpus.documents_hash == ilm.hashing.digest(corpus.manifest["settings"])
    assert len(corpus.documents_hash) == 12
    assert sorted(path.name for path in folder.iterdir()) == ["documents.parquet", "manifest.json"]


def test_rows_are_document_numbers(folder):
    corpus = PreparedCorpus.open(folder)
    rows = corpus.rows("valid", ["A1"])
    assert rows.dtype == np.int64
    assert len(rows) == 2
    assert set(corpus.documents.loc[rows, "split"]) == {"valid"}
    parts = [corpus.rows(split, LEVELS) for split in ("train", "valid", "test")]
    assert sorted(np.concatenate(parts)) == list(range(23))
    assert corpus.rows("train", ["C2"]).size == 0
    with pytest.raises(TypeError):
        corpus.rows("train", "A1")


def test_same_input_same_bytes_wherever_it_lies(folder, csv_path, tmp_path):
    moved = tmp_path / "moved.csv"
    shutil.copy(csv_path, moved)
    again = prepare(tmp_path / "again" / "tiny", moved).folder
    assert (again / "documents.parquet").read_bytes() == (folder / "documents.parquet").read_bytes()
    manifest = json.loads((again / "manifest.json").read_text())
    manifest["sources"][0]["path"] = str(csv_path)
    assert with_digest(manifest) == json.loads((folder / "manifest.json").read_text())


def test_the_bytes_do_not_depend_on_how_the_columns_lie_in_memory(folder, tmp_path):
    documents = read_documents(folder / "documents.parquet")
    pieces = pd.concat([documents.iloc[:7], documents.iloc[7:8], documents.iloc[8:]], ignore_index=True)
    for name, same in (("whole", documents), ("pieces", pieces), ("objects", documents.astype(object))):
        write_documents(tmp_path / name, same)
    assert len({(tmp_path / name).read_bytes() for name in ("whole", "pieces", "objects")}) == 1


def test_manifest(folder, csv_path):
    manifest = json.loads((folder / "manifest.json").read_text())
    assert set(manifest) == {
        *("corpus", "synthetic", "test_only", "documents_hash", "sources", "settings", "text_column"),
        *("counts", "dropped", "notes", "split", "leaks", "files", "versions", "digest"),
    }
    assert manifest["sources"][0]["path"] == str(csv_path)
    assert (manifest["sources"][0]["rows"], manifest["sources"][0]["kept"]) == (23, 23)
    assert manifest["counts"]["levels"]["A1"] == {"train": 16, "valid": 2, "test": 2, "total": 20}
    assert manifest["settings"]["split"] == {"seed": 0, "keep_together": ["learner_id", "text"]}
    parquet, described = folder / "documents.parquet", manifest["files"]["documents.parquet"]
    assert (described["sha256"], described["bytes"]) == (ilm.hashing.file_sha256(parquet), parquet.stat().st_size)
    assert len(described["documents_sha256"]) == 64
    assert manifest["leaks"]["texts"] == {"values": 0, "documents": 0, "without_value": 0, "examples": []}
    assert "rensa" not in manifest["versions"]


def split_settings(**changed) -> dict:
    asked = {"seed": 0, "keep_together": ["text"], "test_on": None, "near_duplicates": None} | changed
    return TrainValidTest(**asked).settings(given=False)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"seed": 1}, False),
        ({"keep_together": ["learner_id", "text"]}, False),
        ({"test_on": "topic"}, False),
        ({"near_duplicates": 0.8}, True),  # looked for, but nothing is kept together by it
        ({"near_duplicates": 0.8, "keep_together": ["text", "near_duplicates"]}, False),
    ],
)
def test_what_a_split_depends_on(change, same):
    assert (split_settings(**change) == split_settings()) == same


def test_the_order_of_names_and_the_similarity_of_what_is_kept_together():
    both = {"keep_together": ["near_duplicates", "text"], "near_duplicates": 0.8}
    assert split_settings(**both) == split_settings(**both | {"keep_together": ["text", "near_duplicates"]})
    assert split_settings(**both) != split_settings(**both | {"near_duplicates": 0.9})


def test_nothing_prepared(tmp_path):
    assert refused(tmp_path / "data" / "efcamdat").endswith(
        "make it with: python prepare.py corpus=efcamdat corpus.csv=PATH"
    )


@pytest.mark.parametrize(
    "path", ["texts.csv", "a folder/b (1).csv", "it's [a], b=c.csv", "$HOME/`x`\\y\\.csv", "a\\'b.csv", "tèxte 語.csv"]
)
def test_a_path_in_a_command_is_typed_as_hydra_and_a_shell_read_it(path):
    of_file = {"sources": [{"path": path}], "settings": {}}
    extra = {**of_file, "test_only": True, "leaks": {"asked": {"corpus": "efcamdat"}}}
    for manifest, key, wanted in (
        (of_file, "corpus.csv", path),
        (extra, "corpus.extra", [{"csv": path, "name": "mine"}]),
    ):
        typed = shlex.split(prepare_command("mine", manifest))
        (override,) = [each for each in typed if each.startswith(key)]
        assert OverridesParser.create().parse_override(override).value() == wanted
    assert typed[:4] == ["python", "prepare.py", "corpus=efcamdat", "corpus.csv=PATH"]


def test_the_command_of_other_sources():
    assert prepare_command("small", {"synthetic": True}) == "python prepare.py corpus=sample corpus.name=small"
    assert prepare_command("sample") == "python prepare.py corpus=sample"
    manifest = {"sources": [{"path": "ref"}], "settings": {"format": "reference"}}
    assert prepare_command("x", manifest) == "python prepare.py corpus=custom corpus.name=x corpus.reference=ref"


def test_a_damaged_footer(folder, csv_path):
    """Arrow raises an OSError for some bytes of it."""
    path = folder / "documents.parquet"
    whole = path.read_bytes()
    length = int.from_bytes(whole[-8:-4], "little")
    for at in range(len(whole) - 8 - length, len(whole) - 8, 11):
        path.write_bytes(whole[:at] + b"\xff" + whole[at + 1 :])
        with suppress(UserError):  # or nothing, where the byte decides nothing
            PreparedCorpus.open(folder)
    path.write_bytes(whole[:-9])
    assert f"prepare again: python prepare.py corpus=custom corpus.name=tiny corpus.csv={csv_path} " in refused(folder)


def test_killed_between_the_two_files(folder, csv_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(build, "write_json", killed)
        with pytest.raises(KeyboardInterrupt):
            prepare(folder, csv_path, seed=1, overwrite=True)
    assert "does not belong to manifest.json" in refused(folder)
    typed = f"prepare again: python prepare.py corpus=custom corpus.name=tiny corpus.csv={csv_path} overwrite=true"
    assert typed in refused(folder)
    (folder / "manifest.json").unlink()
    assert "half-written, manifest.json is missing" in refused(folder)
    assert existing_conflict(folder, {}) == [], "without a manifest nothing stands in the way"
    assert prepare(folder, csv_path, seed=1).seed == 1


def test_killed_while_the_parquet_is_written(folder, csv_path, monkeypatch):
    before = PreparedCorpus.open(folder).documents

    def half(path, *_):
        path.write_bytes(b"PAR1")
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "write_documents", half)
    with pytest.raises(KeyboardInterrupt):
        prepare(folder, csv_path, seed=1, overwrite=True)
    assert PreparedCorpus.open(folder).documents.equals(before)
    assert sorted(os.listdir(folder)) == ["documents.parquet", "manifest.json"]


def test_damaged_files(folder):
    parquet, manifest = folder / "documents.parquet", folder / "manifest.json"
    whole_parquet, whole_manifest = parquet.read_bytes(), manifest.read_text()
    for content in (b"", b"PAR1", whole_parquet[:-20], whole_parquet[: len(whole_parquet) // 2]):
        parquet.write_bytes(content)
        assert "documents.parquet is damaged" in refused(folder)
    parquet.unlink()
    assert "half-written, documents.parquet is missing" in refused(folder)
    parquet.write_bytes(whole_parquet)
    for content in ("", whole_manifest[:-20], "\udce9"):
        manifest.write_text(content, errors="surrogateescape")
        assert "manifest.json is damaged" in refused(folder)
        assert existing_conflict(folder, {}) == ["manifest.json cannot be read"]
    for content in ("[]", "{}", "null", '{"documents_hash": "0", "settings": {}}'):
        manifest.write_text(content)
        assert "manifest.json is damaged, or no manifest of a corpus" in refused(folder)


def test_a_flipped_bit_in_a_text_is_noticed(folder):
    parquet = folder / "documents.parquet"
    column = pq.read_metadata(parquet).row_group(0).column(3)
    assert column.path_in_schema == "text"
    whole = parquet.read_bytes()
    end = column.data_page_offset + column.total_compressed_size
    for at in range(end - 120, end):
        parquet.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        corpus = PreparedCorpus.open(folder)
        with pytest.raises(UserError, match=r"documents\.parquet is damaged"):
            _ = corpus.documents


def test_another_file_format(folder, monkeypatch):
    settings = PreparedCorpus.open(folder).manifest["settings"]
    monkeypatch.setattr(ilm.hashing, "FORMAT_VERSION", 999)
    assert "another file format" in refused(folder)
    assert existing_conflict(folder, settings)[0].startswith("file format:")


def test_edited_settings_are_noticed(folder):
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"encoding": "utf-8"', '"encoding": "cp1252"'))
    assert "edited by hand" in refused(folder)


def test_require_splits(folder):
    corpus = PreparedCorpus.open(folder)
    corpus.require_splits(["A1"])
    with pytest.raises(UserError) as caught:
        corpus.require_splits(["A1", "B1", "C1"])  # B1 has 3 texts: 2/0/1
    message = str(caught.value)
    assert "level B1 has no documents in valid (train 2, valid 0, test 1); level C1 has no documents" in message
    assert message.endswith("choose another level: A1")
    corpus.require_splits(["A1", "B1"], ["train", "test"])


def test_texts_of_another_column_are_named_in_every_table():
    assert text_note("text") is text_note(" Text ") is None
    assert text_note("text_corrected") == "text column: text_corrected"


def test_existing_conflict_names_the_differences(folder, tmp_path):
    settings = json.loads((folder / "manifest.json").read_text())["settings"]
    assert existing_conflict(tmp_path / "none", settings) == []
    assert existing_conflict(folder, settings) == []
    changed = {**settings, "split": {**settings["split"], "seed": 7}, "sample": {"size": 100, "seed": 0}}
    assert existing_conflict(folder, changed) == [
        "sample.seed: prepared with None, asked for 0",
        "sample.size: prepared with None, asked for 100",
        "split.seed: prepared with 0, asked for 7",
    ]
