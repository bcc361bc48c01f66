"""From a file to a prepared corpus: what is written, what is refused, what is known of leaks; and killed runs."""

import errno
import io
import json
import os
import random
import re
import signal
import time
from pathlib import Path

import pandas as pd
import pytest
from filelock import FileLock
from rich.console import Console

from ilm.cli.main import denials_explained
from ilm.config.sections import Columns, Corpus, Extra
from ilm.corpus.build import build_corpus, extra_folders, locked_folder
from ilm.corpus.columns import Reading
from ilm.corpus.sources import FileSource, SampleSource, extra_source
from ilm.corpus.splitting import strategy as division_module
from ilm.corpus.splitting.strategy import HeldOut, TrainValidTest
from ilm.corpus.statistics import corpus_tables
from ilm.corpus.store import PreparedCorpus
from ilm.errors import UserError
from ilm.masking.store import MaskStore
from prepare import prepare
from tests.conftest import compose, contents, rows_of_small_corpus, write_csv
from tests.forked import Forked

LEVELS = ["A1", "B1"]
ROWS = rows_of_small_corpus({"A1": 20, "B1": 20})


def built(folder: Path, path: Path, strategy=None, *, sample_size=None, overwrite=False, levels=LEVELS, **columns):
    origin = FileSource([path], Reading(levels, columns))
    strategy = strategy or TrainValidTest(0, ["text", "learner_id"])
    return build_corpus(folder, origin, strategy, sample_size=sample_size, overwrite=overwrite)


def prepared(data: Path, path: Path, *more: str) -> Path:
    overrides = ["corpus=custom", "corpus.name=mine", f"corpus.csv={path}", f"paths.data={data}", "num_workers=1"]
    return prepare(compose("prepare", *overrides, "masking.masks_per_document=3", *more)[0])


def printed(tables) -> str:
    console = Console(record=True, width=120, file=io.StringIO())
    for table in tables:
        console.print(table)
    return console.export_text()


@pytest.fixture
def path(tmp_path) -> Path:
    return write_csv(tmp_path / "texts.csv", ROWS)


# The same documents again ---------------------------------------------------------------------------------------------


def test_the_manifest_says_where_the_file_is_now_and_what_was_asked_last(tmp_path):
    rows = [{**row, "split": ("train", "valid", "test")[n % 3]} for n, row in enumerate(ROWS)]
    path = write_csv(tmp_path / "texts.csv", rows)
    folder = tmp_path / "data" / "mine"
    built(folder, path)
    before = contents(folder)
    built(folder, path)
    assert contents(folder) == before
    moved = path.rename(tmp_path / "moved.csv")
    corpus = built(folder, moved, TrainValidTest(0, ["near_duplicates"], None, 0.8))
    assert corpus.manifest["sources"][0]["path"] == str(moved)
    assert corpus.manifest["leaks"]["near_duplicates"]["similarity"] == 0.8
    assert (folder / "documents.parquet").read_bytes() == before["documents.parquet"]


def test_a_relation_named_twice_is_one():
    twice, once = (TrainValidTest(0, names).settings(given=False) for names in (["text", "text"], ["text"]))
    assert twice == once


# The log --------------------------------------------------------------------------------------------------------------


def test_the_log_says_what_became_of_every_row(tmp_path):
    rows = [*ROWS, {**ROWS[0], "writing_id": "x", "text": " "}, ROWS[3]]
    rows = [{**row, "learner_id": f"u{n % 7}"} for n, row in enumerate(rows)]
    rows[-1]["learner_id"] = rows[3]["learner_id"]
    path = write_csv(tmp_path / "texts.csv", rows)
    extra = write_csv(tmp_path / "extra.csv", ROWS[:5])
    more = ["corpus.max_dropped=0.1", "corpus.sample_size=30", "split.near_duplicates=0.7", f"corpus.extra=['{extra}']"]
    folder = prepared(tmp_path / "data", path, *more)
    lines = (folder / "prepare.log").read_text(encoding="utf-8").splitlines()
    told = "\n".join(re.sub(" +", " ", line.partition(" ilm: ")[2] or line) for line in lines)
    for expected in (
        "python ",
        f"{path}: 42 rows, 40 kept",
        "sample: 30 documents, corpus.sample_size=30",
        "| empty text | 1 | 42",
        "| identical row repeated | 1 | 43",
        "| texts in several splits | 0 | 0",
        "| topics in several splits | cannot be known: no topic column",
        "| valid: near-duplicates in train (similarity 0.7) | ",
        "masks: 90 of 30 documents in ",
    ):
        assert f"\n{expected}" in f"\n{told}"
    assert f"masks {next((folder / 'masks').iterdir()).name}\n" in told
    assert str(extra) not in told.partition("\n")[2], "the other corpus has a log of its own"
    told = (folder.with_name("extra") / "prepare.log").read_text(encoding="utf-8")
    assert "extra.csv: 5 rows, 5 kept" in told
    assert "In the training data of mine" in told


# Where nothing can be written -----------------------------------------------------------------------------------------


def test_a_full_disk_is_told_in_one_message(tmp_path, path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("ilm.corpus.build.write_documents", full)
    with pytest.raises(UserError, match=r"the disk is full: .*type the same command again"), denials_explained():
        prepared(tmp_path / "data", path)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", r"cannot be written to \(Not a directory\): type paths\.data="),
        *((name, f"{name}.* remove what is in the way") for name in ("masks", "documents.parquet")),
    ],
)
def test_something_of_another_kind_in_the_place_of_a_file(tmp_path, path, name, message):
    place = tmp_path / "data" / "mine" / name
    if "." in name:
        place.mkdir(parents=True)
    else:
        place.parent.mkdir(parents=True)
        place.touch()
    with pytest.raises(UserError, match=message), denials_explained():
        prepared(tmp_path / "data", path)


def test_a_log_that_cannot_be_written_costs_the_log_alone(tmp_path, path, capsys):
    (tmp_path / "data" / "mine" / "prepare.log").mkdir(parents=True)
    prepared(tmp_path / "data", path)
    assert "prepare.log cannot be written" in capsys.readouterr().err


def test_an_error_of_the_program_is_no_fault_of_the_disk(tmp_path):
    with pytest.raises(FileNotFoundError), locked_folder(tmp_path / "data" / "mine"):
        (tmp_path / "nothing").read_bytes()


# Order, workers, hash -------------------------------------------------------------------------------------------------


def test_neither_the_order_of_the_rows_nor_the_workers_change_the_data(tmp_path, path):
    shuffled = random.Random(1).sample(ROWS, len(ROWS))
    (tmp_path / "other").mkdir()
    other = write_csv(tmp_path / "other" / "texts.csv", shuffled)
    first = prepared(tmp_path / "one", path, "num_workers=1")
    second = prepared(tmp_path / "two", other, "num_workers=2")
    one, two = PreparedCorpus.open(first), PreparedCorpus.open(second)
    assert one.documents_hash != two.documents_hash, "it names the bytes of the file"
    assert one.documents.equals(two.documents)
    for name in ("documents.parquet", "masks/*/train.arrow", "masks/*/valid.arrow", "masks/*/test.arrow"):
        mine, others = next(first.glob(name)), next(second.glob(name))
        assert mine.read_bytes() == others.read_bytes(), name


@pytest.mark.parametrize("setting", ["test_on", "near_duplicates", "columns", "keep_columns", "sheet", "lenient"])
def test_every_setting_that_decides_the_documents_is_in_their_hash(tmp_path, setting):
    rows = [{**row, "topic": f"t{n % 8}", "other": row["text"] + "!"} for n, row in enumerate(ROWS)]
    path = write_csv(tmp_path / "texts.csv", rows)
    strategy = {"seed": 0, "keep_together": ["text"], "test_on": None, "near_duplicates": None}
    base = FileSource([path], Reading(LEVELS)).settings | TrainValidTest(**strategy).settings(given=False)
    if setting in ("columns", "keep_columns"):
        changed = {"columns": {"text": "other"}} if setting == "columns" else {"keep_columns": ["other"]}
        columns = [FileSource([path], Reading(LEVELS, **more)).read()[1].columns_used for more in ({}, changed)]
        assert columns[0] != columns[1]
        return
    if setting in ("sheet", "lenient"):
        changed = FileSource([path], Reading(LEVELS, **{setting: "Sheet 2" if setting == "sheet" else True}))
        assert changed.settings | TrainValidTest(**strategy).settings(given=False) != base
        return
    strategy |= {"test_on": "topic"} if setting == "test_on" else {"keep_together": ["text", "near_duplicates"]}
    assert FileSource([path], Reading(LEVELS)).settings | TrainValidTest(**strategy).settings(given=False) != base


def test_a_sample_is_kept_beside_its_documents(tmp_path):
    folder = tmp_path / "data" / "sample"
    corpus = build_corpus(
        folder,
        SampleSource(60, 1, [*LEVELS, "A2", "B2", "C1"]),
        TrainValidTest(0, ["text"]),
        sample_size=None,
        overwrite=False,
    )
    assert corpus.manifest["synthetic"] is True
    assert corpus.manifest["sources"][0]["path"] == str(folder / "sample_60_1.csv")
    assert len(corpus.documents) == 60
    read = pd.read_csv(folder / "sample_60_1.csv", dtype="str", keep_default_na=False)
    assert sorted(read["text"]) == sorted(corpus.documents["text"])


def test_a_sample_that_is_refused_leaves_nothing(tmp_path):
    strategy = TrainValidTest(0, ["topic"], "l1")
    origin = SampleSource(60, 1, [*LEVELS, "A2", "B2", "C1"])
    with pytest.raises(UserError, match="no values of l1 can be test data"):
        build_corpus(tmp_path / "sample", origin, strategy, sample_size=None, overwrite=False)
    assert list(tmp_path.iterdir()) == []


# Texts of another column ----------------------------------------------------------------------------------------------


def test_corrected_texts_are_used_only_if_asked_for_and_every_table_says_so(tmp_path):
    rows = [{**row, "text_corrected": row["text"].upper()} for row in ROWS]
    path = write_csv(tmp_path / "texts.csv", rows)
    usual = built(tmp_path / "usual", path)
    assert usual.documents["text"].tolist() == [row["text"] for row in sorted(ROWS, key=lambda r: r["writing_id"])]
    assert "text_corrected" not in printed(corpus_tables(usual))
    corrected = built(tmp_path / "corrected", path, text="text_corrected")
    assert corrected.documents["text"].str.isupper().any()
    assert corrected.manifest["text_column"] == "text_corrected"
    for table in corpus_tables(corrected):
        assert "text column: text_corrected" in printed([table])


def test_what_prepare_prints_of_corrected_texts(tmp_path, capsys):
    path = write_csv(tmp_path / "texts.csv", [{**row, "text_corrected": row["text"]} for row in ROWS])
    prepared(tmp_path / "data", path, "corpus.columns.text=text_corrected")
    out = capsys.readouterr().out
    assert out.count("text column: text_corrected") == out.count("┏") > 4


# Further columns ------------------------------------------------------------------------------------------------------


def test_kept_columns_stand_in_the_documents_and_change_their_hash_alone(tmp_path):
    rows = [{**row, "text_corrected": row["text"].upper(), "a b": str(n)} for n, row in enumerate(ROWS)]
    path = write_csv(tmp_path / "texts.csv", rows)
    usual = PreparedCorpus.open(prepared(tmp_path / "usual", path))
    extra = f"corpus.extra=[{{csv: '{path}', name: more, keep_columns: 'a b'}}]"
    options = ("corpus.keep_columns=[text_corrected,a b,'a b']", extra)
    kept = PreparedCorpus.open(prepared(tmp_path / "kept", path, *options))
    assert list(kept.documents) == [*usual.documents, "a b", "text_corrected"]
    assert kept.documents[list(usual.documents)].equals(usual.documents)
    assert (kept.documents["text_corrected"] == kept.documents["text"].str.upper()).all()
    assert kept.documents_hash != usual.documents_hash
    further = {"a b": "a b", "text_corrected": "text_corrected"}
    assert kept.manifest["settings"]["columns"] == usual.manifest["settings"]["columns"] | further
    more = PreparedCorpus.open(tmp_path / "kept" / "more").documents
    assert more.set_index("writing_id")["a b"].to_dict() == kept.documents.set_index("writing_id")["a b"].to_dict()
    with pytest.raises(UserError, match=r"columns\.a b: prepared with a b, asked for None"):
        prepared(tmp_path / "kept", path)


# Splits given by the file ---------------------------------------------------------------------------------------------


def with_splits() -> list[dict[str, str]]:
    names = ["train"] * 7 + ["valid"] + ["test"] * 2
    return [{**row, "split": names[n % 10]} for n, row in enumerate(ROWS)]


def test_splits_of_the_file_are_taken_as_they_are(tmp_path):
    rows = with_splits()
    folder = prepared(tmp_path / "data", write_csv(tmp_path / "texts.csv", rows))
    corpus = PreparedCorpus.open(folder)
    assert dict(zip(corpus.documents["writing_id"], corpus.documents["split"], strict=True)) == {
        row["writing_id"]: row["split"] for row in rows
    }
    assert corpus.manifest["settings"]["split"] == {"seed": 0, "given": True}
    assert corpus.manifest["split"]["given"] is True


def test_a_text_on_two_sides_of_a_given_split_is_told_and_counted(tmp_path, caplog):
    rows = with_splits()
    rows[1]["text"] = rows[8]["text"]  # train and test
    with caplog.at_level("WARNING", "ilm"):
        corpus = built(tmp_path / "mine", write_csv(tmp_path / "texts.csv", rows))
    assert "splits given by the file: 1 values of text occur in several splits, for example 'A1-001'" in caplog.text
    assert corpus.manifest["leaks"]["texts"]["documents"] == 2


def test_a_given_split_and_test_on_contradict_each_other(tmp_path):
    path = write_csv(tmp_path / "texts.csv", [{**row, "topic": row["l1"]} for row in with_splits()])
    with pytest.raises(UserError, match=r"type split\.test_on=null"):
        built(tmp_path / "mine", path, TrainValidTest(0, ["text"], "topic"))
    assert not (tmp_path / "mine").exists()
    built(tmp_path / "mine", path, TrainValidTest(0, [], "topic"), split="")


def test_topics_for_the_test_alone(tmp_path):
    rows = [{**row, "topic": f"topic {n % 10}"} for n, row in enumerate(ROWS)]
    strategy = TrainValidTest(0, ["text"], "topic")
    documents = built(tmp_path / "mine", write_csv(tmp_path / "texts.csv", rows), strategy).documents
    tested = set(documents.loc[documents["split"] == "test", "topic"])
    assert tested
    assert not tested & set(documents.loc[documents["split"] != "test", "topic"])


# Learners -------------------------------------------------------------------------------------------------------------


def test_learners_that_nobody_names_are_warned_of(tmp_path):
    rows = [{**row, "writing_id": f"class{n // 10 % 3}_s{n // 2:02}_t{n % 2}"} for n, row in enumerate(ROWS)]
    path = write_csv(tmp_path / "texts.csv", rows)
    told = (prepared(tmp_path / "data", path) / "prepare.log").read_text()
    assert "no column identifies learners, so texts of one learner may end up in both train and test" in told
    assert "if text ids contain the learner, type for example \"corpus.learner_from_id='^[^_]+'\"" in told
    folder = prepared(tmp_path / "other", path, "corpus.learner_from_id='^(.+)[_-][^_-]+$'")
    corpus = PreparedCorpus.open(folder)
    assert "no column identifies learners" not in (folder / "prepare.log").read_text()
    assert corpus.documents["learner_id"].nunique() == 20
    assert corpus.manifest["leaks"]["learners"]["values"] == 0
    assert corpus.manifest["settings"]["learner_from_id"] == "^(.+)[_-][^_-]+$"
    with pytest.raises(UserError, match=r"corpus\.learner_from_id=\^\(: expected a regular expression"):
        prepared(tmp_path / "third", path, "corpus.learner_from_id='^('")


def test_a_file_name_that_is_no_utf_8(tmp_path, path):
    odd = path.rename(tmp_path / os.fsdecode(b"caf\xe9.csv"))
    typed = ["corpus=custom", "corpus.name=mine", f"paths.data={tmp_path / 'data'}", "masking.masks_per_document=1"]
    for _ in range(2):
        folder = prepare(compose("prepare", *typed, f"corpus.csv='{odd}'", "num_workers=1")[0])
    assert PreparedCorpus.open(folder).manifest["sources"][0]["path"] == str(odd)
    prepare(compose("prepare", *typed, "check=true")[0])


def test_several_files_from_the_command_line(tmp_path, path):
    other = write_csv(tmp_path / "other.csv", [{**row, "writing_id": f"x{row['writing_id']}"} for row in ROWS[:8]])
    folder = prepared(tmp_path / "data", path, f"corpus.csv=[{path},{other}]")
    corpus = PreparedCorpus.open(folder)
    assert len(corpus.documents) == 48
    assert [source["kept"] for source in corpus.manifest["sources"]] == [40, 8]
    assert len(corpus.manifest["settings"]["sources"]) == 2
    prepare(compose("prepare", "corpus=custom", "corpus.name=mine", f"paths.data={tmp_path / 'data'}", "check=true")[0])
    with pytest.raises(UserError, match=r"corpus\.csv"):
        prepared(tmp_path / "data", path, "corpus.csv=[]")


# Leaks ----------------------------------------------------------------------------------------------------------------


def test_a_split_that_leaks_stops_before_anything_is_put_in_place(tmp_path, path, monkeypatch):
    whole = division_module.assign_splits

    def leaking(documents, *args, **kwargs):
        splits, report = whole(documents, *args, **kwargs)
        splits.iloc[0] = "valid" if splits.iloc[0] == "train" else "train"
        return splits, report

    rows = [dict(row) for row in ROWS]
    rows[1]["text"] = rows[0]["text"]
    path = write_csv(tmp_path / "texts.csv", rows)
    monkeypatch.setattr(division_module, "assign_splits", leaking)
    with pytest.raises(RuntimeError, match=r"1 values of text occur in several splits"):
        built(tmp_path / "mine", path)
    assert list((tmp_path / "mine").iterdir()) == []


def test_the_leak_report_is_made_again_only_if_something_else_is_asked(tmp_path, path, monkeypatch):
    built(tmp_path / "mine", path)
    before = (tmp_path / "mine" / "manifest.json").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(division_module, "leak_report", lambda *_, **__: pytest.fail("made again"))
        built(tmp_path / "mine", path)
    assert (tmp_path / "mine" / "manifest.json").read_bytes() == before
    again = built(tmp_path / "mine", path, TrainValidTest(0, ["text", "learner_id"], None, 0.8))
    assert again.manifest["leaks"]["near_duplicates"]["similarity"] == 0.8
    assert again.manifest["versions"]["rensa"]
    # Near-duplicates that are only looked for change no document.
    assert again.manifest["documents_hash"] == json.loads(before)["documents_hash"]


# Test-only corpora ----------------------------------------------------------------------------------------------------


def extra_rows() -> list[dict[str, str]]:
    rows = [{"cefr": "C2", "essay": f"A quite masterly text, number {n}."} for n in range(4)]
    return [*rows, *({"cefr": "A1", "essay": row["text"]} for row in ROWS[:12])]


@pytest.fixture
def extra(tmp_path) -> Path:
    return write_csv(tmp_path / "other texts.csv", extra_rows())


def test_an_extra_corpus_is_test_data_alone(tmp_path, path, extra, capsys):
    folder = prepared(tmp_path / "data", path, f"corpus.extra=['{extra}']")
    main, corpus = PreparedCorpus.open(folder), PreparedCorpus.open(tmp_path / "data" / "other_texts")
    assert corpus.test_only
    assert set(corpus.documents["split"]) == {"test"}
    assert corpus.manifest["counts"]["levels"] == {
        "A1": {"train": 0, "valid": 0, "test": 12, "total": 12},
        "C2": {"train": 0, "valid": 0, "test": 4, "total": 4},
    }
    trained = set(main.documents.loc[main.documents["split"] == "train", "text"])
    shared = corpus.documents["text"].isin(trained).sum()
    leaks = corpus.manifest["leaks"]
    assert (leaks["asked"]["corpus"], leaks["asked"]["documents_hash"]) == ("mine", main.documents_hash)
    assert (leaks["texts"], leaks["documents"]) == (shared, 16)
    assert shared > 0
    assert "In the training data of mine" in capsys.readouterr().out
    names = [[p.name.rpartition("-")[0] for p in (c.folder / "masks").iterdir()] for c in (main, corpus)]
    assert names == [["hierarchical"], ["hierarchical"]]
    assert len(MaskStore.open(next((corpus.folder / "masks").iterdir())).splits["test"].documents) == 16


def test_extra_texts_that_models_were_trained_on_can_be_left_out(tmp_path, path, extra):
    described = f"{{csv: '{extra}', name: other, drop_trained_on: true}}"
    folder = prepared(tmp_path / "data", path, f"corpus.extra=[{described}]").with_name("other")
    main, corpus = PreparedCorpus.open(folder.with_name("mine")), PreparedCorpus.open(folder)
    trained = set(main.documents.loc[main.documents["split"] == "train", "text"])
    assert len(corpus.documents) == 16 - sum(row["essay"] in trained for row in extra_rows()) < 16
    assert (corpus.manifest["leaks"]["texts"], corpus.manifest["leaks"]["near_duplicates"]) == (0, 0)
    told = f"dropped {16 - len(corpus.documents)} of 16 texts that are in the training data of mine"
    assert told in (folder / "prepare.log").read_text()
    seen = write_csv(tmp_path / "seen.csv", [{"text": text, "cefr": "A1"} for text in sorted(trained)[:3]])
    with pytest.raises(UserError, match=r"drops 3 of 3 texts.*none are left"):
        prepared(tmp_path / "data", path, f"corpus.extra=[{{csv: '{seen}', drop_trained_on: true}}]")


def test_a_fault_of_an_extra_file_says_that_it_is_one(tmp_path, path):
    extra = write_csv(tmp_path / "extra.csv", [{"essays": "I am here.", "cefr": "A1"}])
    with pytest.raises(
        UserError, match=r"^corpus\.extra: .*extra\.csv: no column for text(?s:.*)columns: {text: HEADER}"
    ):
        prepared(tmp_path / "data", path, f"corpus.extra=[{extra}]")
    assert not (tmp_path / "data" / "extra").exists()


def test_nothing_is_trained_on_test_only_data(tmp_path, path, extra):
    prepared(tmp_path / "data", path, f"corpus.extra=['{extra}']")
    corpus = PreparedCorpus.open(tmp_path / "data" / "other_texts")
    with pytest.raises(UserError, match=r"test-only data.*task\.corpus=other_texts"):
        corpus.require_splits(["A1"])
    corpus.require_splits(["A1", "C2"], ["test"])


def test_a_corpus_and_test_only_data_do_not_replace_each_other(tmp_path, path, extra):
    data, mine2 = tmp_path / "data", write_csv(tmp_path / "mine2.csv", ROWS)
    prepared(data, mine2, "corpus.name=mine2")
    before = contents(data)
    with pytest.raises(UserError, match=r"mine2 holds documents(?s:.*)Give the file another name"):
        prepared(data, path, f"corpus.extra=[{mine2}]")
    after = contents(data)
    assert {name: after[name] for name in before} == before


def test_a_new_main_corpus_brings_the_shared_texts_up_to_date(tmp_path, path, extra):
    data = tmp_path / "data"
    prepared(data, path, f"corpus.extra=['{extra}']")
    first = PreparedCorpus.open(data / "other_texts").manifest
    prepared(data, path, f"corpus.extra=['{extra}']", "overwrite=true", "corpus.sample_size=20")
    second = PreparedCorpus.open(data / "other_texts").manifest
    assert first["documents_hash"] == second["documents_hash"]
    assert second["leaks"]["asked"]["documents_hash"] == PreparedCorpus.open(data / "mine").documents_hash
    assert second["leaks"]["texts"] <= first["leaks"]["texts"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["nope.csv"], "no such file"),
        (["mine.csv"], "which the main corpus already uses"),
        (["a b.csv", "a_b.csv"], "a b.csv already uses"),
    ],
)
def test_names_of_extra_corpora(tmp_path, names, message):
    for name in names:
        if name != "nope.csv":
            (tmp_path / name).write_text("x")
    with pytest.raises(UserError, match=message):
        extra_folders([extra_file(tmp_path / name) for name in names], tmp_path / "data" / "mine")


def test_folders_of_extra_corpora(tmp_path):
    names = {"wi+locness.jsonl.gz": "wi+locness", ".hidden.csv": "hidden", "été 1.csv": "été_1", "x.y.xlsx": "x.y"}
    for name in names:
        (tmp_path / name).write_text("x")
    found = extra_folders([extra_file(tmp_path / name) for name in names], tmp_path / "data" / "mine")
    assert {Path(extra.csv).name: folder.name for folder, extra in found.items()} == names
    (folder,) = extra_folders(
        [extra_file(tmp_path / "x.y.xlsx").model_copy(update={"name": "mine"})], tmp_path / "data" / "other"
    )
    assert folder == tmp_path / "data" / "mine"


def extra_file(path: Path) -> Extra:
    return Extra(csv=str(path))


def test_an_extra_file_with_columns_of_its_own(tmp_path, path):
    """As KUPA-KEYS has them: several markers' levels, none of a usual name."""
    rows = [{"userid": n, "essay_text": f"Text {n}: café.", "cefr_h1": "B1", "cefr_h2": "C2"} for n in range(4)]
    extra = write_csv(tmp_path / "meta.csv", rows, encoding="cp1252")
    described = f"{{csv: '{extra}', name: kupa, encoding: cp1252, columns: {{text: essay_text, cefr_level: cefr_h2}}}}"
    folder = prepared(tmp_path / "data", path, f"corpus.extra=[{described}]").with_name("kupa")
    documents = PreparedCorpus.open(folder).documents
    assert documents["text"].tolist() == [row["essay_text"] for row in rows]
    assert set(documents["cefr_level"]) == {"C2"}
    assert documents["learner_id"].tolist() == ["0", "1", "2", "3"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("[{csv: x.csv, colums: {text: y}}]", "colums"),
        ("[{name: x}]", r"corpus\.extra\[0\]\.csv is missing"),
        ("[3]", "corpus.extra"),
    ],
)
def test_mistakes_in_extra_files_are_told_at_the_door(tmp_path, path, given, message):
    with pytest.raises(UserError, match=message):
        prepared(tmp_path / "data", path, f"corpus.extra={given}")
    assert not (tmp_path / "data").exists()


def test_held_out_documents_have_levels_up_to_c2(tmp_path):
    fields = dict.fromkeys(Corpus.model_fields) | {"name": "mine", "extra": [], "encoding": "utf-8", "max_dropped": 0.0}
    extra, columns = extra_file(tmp_path), {"columns": Columns(), "keep_columns": []}
    for levels, known in ((LEVELS, ["A1", "B1", "C2"]), (["C2"], ["C2"])):
        assert extra_source(extra, Corpus(**fields | columns | {"levels": list(levels)})).reading.levels == known
    assert HeldOut.test_only
    assert not TrainValidTest.test_only


# One process at a time, and what a killed one leaves ------------------------------------------------------------------


def test_two_processes_do_not_prepare_one_corpus(tmp_path, path):
    (tmp_path / "data").mkdir()
    with FileLock(tmp_path / "data" / ".mine.lock"), pytest.raises(UserError, match="prepared by another process"):
        prepared(tmp_path / "data", path)
    prepared(tmp_path / "data", path)
    assert sorted(p.name for p in (tmp_path / "data").iterdir()) == ["mine"]


def test_the_lock_of_a_process_that_is_gone_holds_nobody_up(tmp_path):
    (tmp_path / ".mine.lock").touch()
    with locked_folder(tmp_path / "mine"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_strays_of_a_killed_run_are_cleared_away_and_nothing_else(tmp_path, path):
    folder = prepared(tmp_path / "data", path)
    before = contents(folder)
    (folder / ".documents.parquet.tmp-here-12-0123abcd").write_bytes(b"PAR1")
    (folder / "masks" / ".hierarchical-0.tmp-here-12-0123abcd").mkdir()
    (folder / "masks" / ".hierarchical-0.tmp-here-12-0123abcd" / "train.arrow").write_bytes(b"half")
    (folder / "masks" / ".hierarchical-0.old-here-12-0123abcd").mkdir()
    (folder / "tokens").mkdir(exist_ok=True)
    (folder / "tokens" / ".gpt2-0.tmp-here-12-0123abcd").mkdir()  # perhaps of a run that trains at this moment
    prepared(tmp_path / "data", path)
    after = contents(folder)
    assert set(after) == set(before)
    assert (folder / "tokens" / ".gpt2-0.tmp-here-12-0123abcd").exists()
    assert not list((folder / "masks").glob(".*"))


def test_a_folder_that_cannot_be_written_to(tmp_path, path):
    (tmp_path / "data").write_text("a file")
    with pytest.raises(UserError, match=r"type paths\.data="):
        prepared(tmp_path / "data", path)


def test_a_killed_run_leaves_nothing_broken_and_the_next_one_is_as_if_it_had_not_been(tmp_path):
    """Killed while it reads, splits, writes the documents, has written them, and draws masks."""
    path = write_csv(tmp_path / "texts.csv", rows_of_small_corpus({"A1": 150, "B1": 150}))
    whole = prepared(tmp_path / "whole", path, "masking.masks_per_document=16")
    data = tmp_path / "data"
    command = ["corpus=custom", "corpus.name=mine", f"corpus.csv={path}", f"paths.data={data}"]
    moments = {
        ".mine.lock": signal.SIGKILL,
        "mine/.documents.parquet.tmp-*": signal.SIGINT,
        "mine/manifest.json": signal.SIGKILL,
        "mine/masks/.hierarchical-*.tmp-*": signal.SIGKILL,
    }
    for pattern, number in moments.items():
        code = kill_at([*command, "num_workers=2"], data, pattern, number)
        assert code == (-signal.SIGKILL if number == signal.SIGKILL else 130), pattern
        if (data / "mine" / "manifest.json").exists():
            assert len(PreparedCorpus.open(data / "mine").documents) == 300
        else:
            with pytest.raises(UserError, match=r"half-written|holds no prepared corpus"):
                PreparedCorpus.open(data / "mine")
        for masks in (data / "mine" / "masks").glob("[!.]*"):
            MaskStore.open(masks)
    prepared(data, path, "masking.masks_per_document=16")
    assert not [*data.rglob(".*")]
    ours, theirs = contents(data / "mine"), contents(whole)
    for files in (ours, theirs):
        del files["prepare.log"]
    assert ours == theirs


def kill_at(arguments: list[str], data: Path, pattern: str, number: signal.Signals) -> int:
    """Start prepare.py, and stop it as soon as a file of this pattern is there; returns its exit code."""
    seen = {path for path in data.glob(pattern) if ".tmp-" in path.name}
    command = Forked(data.parent, "prepare.py", *arguments)
    deadline = time.monotonic() + 60
    while command.returncode is None and time.monotonic() < deadline and not {*data.glob(pattern)} - seen:
        time.sleep(0.001)
    # Ctrl-C in a terminal reaches the whole group, SIGKILL one process: its workers must end by themselves.
    (os.killpg if number == signal.SIGINT else os.kill)(command.pid, number)
    code = command.wait(60).returncode
    while time.monotonic() < deadline and _group_lives(command.pid):
        time.sleep(0.01)
    assert not _group_lives(command.pid), "workers live on"
    return code


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_masks_whose_settings_were_deleted_are_made_again(tmp_path, path):
    folder = prepared(tmp_path / "data", path)
    (masks,) = (folder / "masks").iterdir()
    before = {file.name: file.read_bytes() for file in masks.iterdir()}
    (masks / "settings.json").unlink()
    prepared(tmp_path / "data", path)
    assert {file.name: file.read_bytes() for file in masks.iterdir()} == before
    assert len(list((folder / "masks").iterdir())) == 1


def test_a_folder_that_no_export_may_replace_is_told_before_anything_is_prepared(tmp_path, path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(UserError, match=r"export=.*mine holds other files \(thesis\.tex\)"):
        prepared(tmp_path / "data", path, f"export={tmp_path / 'mine'}")
    assert not (tmp_path / "data").exists()
