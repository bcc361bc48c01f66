import logging
import pickle
import shutil

import numpy as np
import pytest

from ilm.corpus.columns import Reading
from ilm.corpus.row_validation import NO_TEXT, UNKNOWN_L1
from ilm.corpus.verify import verify_cache
from ilm.errors import UserError
from ilm.files import read_json
from ilm.masking.functions import Documents, Punctuation, Sentences
from ilm.masking.statistics import statistics_table
from ilm.masking.store import MaskStore, verify_masks
from ilm.reference import exporter as exporting
from ilm.reference import importer as importing
from ilm.reference import masks
from ilm.reference.exporter import EXPORT_REPORT, export_corpus
from ilm.reference.importer import ReferenceSource, import_masks
from ilm.reference.texts import EDGES, RETURNS, SEPARATED
from tests.conftest import contents as files_of
from tests.reference.exchanged import TEXTS, UNWRITABLE, contents, corpus

LEVELS = ("A1", "B2")


def imported(folder, levels=LEVELS, place=None, **options):
    """A stand-in for the corpus made from a folder of the reference."""
    origin = ReferenceSource([folder], Reading(levels, **options))
    documents, report = origin.read()
    stand_in, _ = corpus(folder=place or folder.with_name("data"))
    stand_in.documents, stand_in.manifest = documents, {"sources": [{"sha256": report.sha256}]}
    return stand_in, origin, report


@pytest.mark.parametrize("function", [None, Documents(p=0.5), Sentences(p=0.4), Punctuation()])
def test_documents_and_masks_come_back(function, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "_CHUNK_DOCUMENTS", 4)
    monkeypatch.setattr(importing, "_CHUNK_DOCUMENTS", 3)
    texts = TEXTS + UNWRITABLE
    small, store = corpus(texts, masks=function)
    export_corpus(small, store, tmp_path / "export")
    back, origin, report = imported(tmp_path / "export")
    assert back.documents["writing_id"].is_monotonic_increasing
    assert back.documents.dtypes.eq("str").all()
    assert set(back.documents["l1"]) == {UNKNOWN_L1}
    assert (report.rows, report.kept, report.dropped, report.notes) == (60, 60, {}, {})
    folder = import_masks(back, origin)
    assert read_json(folder / importing.IMPORT_REPORT) == {"kept": 240, "kept_after_sorting": 0, "left_out": {}}
    again = MaskStore.open(folder)
    assert contents(back.documents, again) == contents(small.documents, store)
    assert statistics_table(read_json(folder / "statistics.json")).rows
    assert import_masks(back, origin) == folder


def test_texts_alone_come_back_where_they_can_be_written(tmp_path, caplog):
    small, store = corpus(TEXTS + UNWRITABLE)
    with caplog.at_level(logging.WARNING, logger="ilm"):
        report = export_corpus(small, store, tmp_path / "export")
    assert report == read_json(tmp_path / "export" / EXPORT_REPORT)
    left_out = report["left_out_of_text_files"]
    assert {cause: found["count"] for cause, found in left_out.items()} == {EDGES: 18, SEPARATED: 6, RETURNS: 6}
    for cause, found in left_out.items():
        for writing_id in found["writing_ids"]:
            text = small.documents["text"][small.documents["writing_id"] == writing_id].item()
            assert exporting.unwritable(text) == cause
        assert f"{found['count']} texts are left out of the .txt files" in caplog.text
    assert report["levels"]["B2"]["valid"] == {"documents": 10, "texts_in_txt": 5, "masks": 40}
    assert report["levels"]["all"]["valid"] == {"documents": 20, "texts_in_txt": 10, "masks": 80}
    for pickled in (tmp_path / "export").rglob("*.pkl"):
        pickled.unlink()
    back, origin, _ = imported(tmp_path / "export")
    assert sorted(back.documents["text"]) == sorted(TEXTS * 6)
    assert import_masks(back, origin) is None


def test_ids_tell_level_split_and_place(tmp_path):
    small, store = corpus(("first", "second"), levels=("A1",))
    export_corpus(small, store, tmp_path / "export")
    back, _, _ = imported(tmp_path / "export")
    expected = [f"A1:{split}:000000{k}" for split in ("test", "train", "valid") for k in (1, 2)]
    assert back.documents["writing_id"].tolist() == expected
    assert back.documents["text"].tolist() == ["first", "second"] * 3


def test_all_holds_every_level(tmp_path):
    small, store = corpus()
    export_corpus(small, store, tmp_path)
    documents = {level: list(masks.iter_masked(tmp_path / level / "train.pkl")) for level in ("A1", "B2", "all")}
    assert documents["all"] == documents["A1"] + documents["B2"]


def test_a_split_without_documents_has_no_files(tmp_path):
    small, store = corpus(levels=("A1",))
    small.documents = small.documents[small.documents["split"] == "test"].reset_index(drop=True)
    none = store.splits["train"]
    none = type(none)(none.documents[:0], np.zeros(1, int), np.zeros(1, int), *(a[:0] for a in (none.types,) * 3))
    test = store.splits["test"]
    test = type(test)(
        np.arange(len(TEXTS)), test.mask_offsets, test.span_offsets, *(test.types, test.starts, test.lengths)
    )
    report = export_corpus(
        small, MaskStore("words", store.mask_types, {"train": none, "valid": none, "test": test}), tmp_path
    )
    assert sorted(files_of(tmp_path)) == sorted(
        [EXPORT_REPORT, *(f"{level}/test.{kind}" for level in ("A1", "all") for kind in ("txt", "pkl"))]
    )
    assert report["levels"]["A1"]["train"]["documents"] == 0
    back, _, _ = imported(tmp_path, place=tmp_path / "data")
    assert set(back.documents["split"]) == {"test"}


def test_an_export_replaces_nothing_but_an_export(tmp_path):
    small, store = corpus()
    folder = tmp_path / "export"
    folder.mkdir()
    export_corpus(small, store, folder)
    before = files_of(folder)
    (folder / "A1" / "train.txt").write_text("changed", encoding="utf-8")
    export_corpus(small, store, folder)
    assert files_of(folder) == before
    (folder / "A1" / "thesis.doc").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match=r"thesis\.doc"):
        export_corpus(small, store, folder)
    (folder / "A1" / "thesis.doc").unlink()
    (folder / "A1" / "mine").mkdir()
    (folder / "A1" / "mine" / "train.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match=r"train\.txt"):
        export_corpus(small, store, folder)
    (folder / "A1" / "mine" / "train.txt").unlink()
    (folder / EXPORT_REPORT).unlink()
    with pytest.raises(UserError, match="Give a new folder"):
        export_corpus(small, store, folder)
    with pytest.raises(UserError, match="Give a new folder"):
        export_corpus(small, store, folder / "A1" / "train.txt")


def test_masks_and_levels_that_cannot_be_exported(tmp_path):
    small, store = corpus()
    with pytest.raises(UserError, match="cannot be exported"):
        export_corpus(small, MaskStore("words", ("verb", "noun"), store.splits), tmp_path / "export")
    for name in ("all", "A/1", ".."):
        small.documents["cefr_level"] = name
        with pytest.raises(UserError, match="cannot name export folders"):
            export_corpus(small, store, tmp_path / "export")
    assert not list(tmp_path.iterdir())


def put(folder, **files) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        if isinstance(content, str):
            (folder / f"{name}.txt").write_text(content, encoding="utf-8")
        else:
            (folder / f"{name}.pkl").write_bytes(pickle.dumps(content))


def test_the_level_of_files_without_folders(tmp_path):
    put(tmp_path / "texts", train="a\n\n\nb", test="c")
    with pytest.raises(UserError, match=r"corpus\.levels=\[B1\]"):
        ReferenceSource([tmp_path / "texts"], Reading(LEVELS)).read()
    documents, _ = ReferenceSource([tmp_path / "texts"], Reading(("stories",))).read()
    assert documents["writing_id"].tolist() == [
        "stories:test:0000001",
        "stories:train:0000001",
        "stories:train:0000002",
    ]
    shutil.move(tmp_path / "texts", tmp_path / "B2")
    documents, _ = ReferenceSource([tmp_path / "B2"], Reading(LEVELS)).read()
    assert set(documents["cefr_level"]) == {"B2"}


def test_folders_that_cannot_be_read(tmp_path, caplog):
    with pytest.raises(UserError, match="no such folder"):
        ReferenceSource([tmp_path / "missing"], Reading(LEVELS)).read()
    with pytest.raises(UserError, match=r"train\.txt or train\.pkl"):
        ReferenceSource([tmp_path], Reading(LEVELS)).read()
    put(tmp_path / "C9", train="a")
    with pytest.raises(UserError, match="found C9"):
        ReferenceSource([tmp_path], Reading(LEVELS)).read()
    put(tmp_path / "A1", train="a")
    with caplog.at_level(logging.WARNING, logger="ilm"):
        assert len(ReferenceSource([tmp_path], Reading(LEVELS)).read()[0]) == 1
    assert "C9: its name is not in corpus.levels" in caplog.text
    put(tmp_path, valid="a")
    with caplog.at_level(logging.WARNING, logger="ilm"):
        assert len(ReferenceSource([tmp_path], Reading(LEVELS)).read()[0]) == 1
    assert f"ignored {tmp_path}: its name is not in corpus.levels" in caplog.text


def test_ids_are_sorted_whatever_the_names_of_levels(tmp_path):
    for level in ("A", "A1", "A-"):
        put(tmp_path / level, train="a", test="b")
    documents, _ = ReferenceSource([tmp_path], Reading(("A", "A1", "A-"))).read()
    assert documents["writing_id"].is_monotonic_increasing


def test_what_is_dropped_is_counted_and_stops_above_a_share(tmp_path):
    put(tmp_path / "A1", train="a \n\n\n \n\n\nc", valid=[("\ud800", []), ("\0", []), (" \n", []), ("d", [])])
    with pytest.raises(UserError, match=r"4 of 7 rows cannot be used, more than corpus\.max_dropped=0\.01"):
        ReferenceSource([tmp_path], Reading(LEVELS)).read()
    documents, report = ReferenceSource([tmp_path], Reading(LEVELS, max_dropped=0.6)).read()
    assert documents["writing_id"].tolist() == ["A1:train:0000001", "A1:train:0000003", "A1:valid:0000004"]
    assert report.dropped[f"{NO_TEXT} (A1/train.txt)"] == {"count": 1, "rows": [2]}
    assert report.dropped[f"{NO_TEXT} (A1/valid.pkl)"] == {"count": 1, "rows": [3]}
    assert sum(found["count"] for found in report.dropped.values()) == 4
    put(tmp_path / "empty" / "A1", train="", test="\n")
    with pytest.raises(UserError, match="no rows"):
        ReferenceSource([tmp_path / "empty"], Reading(LEVELS, max_dropped=1)).read()


def test_the_hash_changes_with_any_file(tmp_path):
    put(tmp_path / "A1", train="a", test="b")
    first = ReferenceSource([tmp_path], Reading(LEVELS)).read()[1].sha256
    put(tmp_path / "A1", test="c")
    second = ReferenceSource([tmp_path], Reading(LEVELS)).read()[1].sha256
    (tmp_path / "A1" / "train.txt").rename(tmp_path / "A1" / "valid.txt")
    assert len({first, second, ReferenceSource([tmp_path], Reading(LEVELS)).read()[1].sha256}) == 3


def pickled(folder, monkeypatch, *documents) -> None:
    """Write a train.pkl of spans given as (type, start, length), with members of the reference's enumerations."""
    enumerations = {"word": ("ilm.mask.hierarchical", "MaskHierarchicalType", 4)}
    enumerations |= {"other": ("ilm.mask.custom", "MaskPunctuationType", 1)}

    class Reduced:
        def __init__(self, mask_type):
            self.module, self.name, self.value = enumerations[mask_type]

        def __reduce__(self):
            return make(self.module, self.name), (self.value,)

    import sys
    import types

    def make(module, name):
        known = sys.modules.get(module) or types.ModuleType(module)
        monkeypatch.setitem(sys.modules, module, known)
        if not hasattr(known, name):
            setattr(known, name, type(name, (int,), {"__module__": module}))
        return getattr(known, name)

    put(
        folder,
        train=[(text, [[(Reduced(t), a, n) for t, a, n in mask] for mask in found]) for text, found in documents],
    )


def test_faulty_masks_are_sorted_or_left_out_and_counted(tmp_path, monkeypatch, caplog):
    right, unsorted = [("word", 0, 3), ("word", 4, 3)], [("word", 4, 3), ("word", 0, 3)]
    overlapping, outside = [("word", 0, 3), ("word", 2, 3)], [("word", 5, 9)]
    pickled(
        tmp_path / "A1",
        monkeypatch,
        ("She ate.", [right, unsorted, overlapping]),
        ("  ", [right]),
        ("He slept", [outside, []]),
    )
    small, origin, _ = imported(tmp_path, place=tmp_path / "data", max_dropped=0.5)
    with caplog.at_level(logging.INFO, logger="ilm"):
        folder = import_masks(small, origin)
    assert "1 masks of the reference dropped: spans that overlap" in caplog.text
    assert read_json(folder / importing.IMPORT_REPORT) == {
        "kept": 3,
        "kept_after_sorting": 1,
        "left_out": {masks.OUTSIDE: 1, masks.OVERLAPPING: 1},
    }
    store = MaskStore.open(folder)
    assert contents(small.documents, store) == [
        ("A1", "train", "He slept", [[]]),
        ("A1", "train", "She ate.", [right, right]),
    ]
    assert store.mask_types == masks.ENUMERATIONS[masks.HIERARCHICAL]


def test_masks_of_a_sample_of_the_documents(tmp_path):
    small, store = corpus()
    export_corpus(small, store, tmp_path / "export")
    back, origin, _ = imported(tmp_path / "export")
    back.documents = back.documents.iloc[[0, 3, 4, 11, 17, 29]].reset_index(drop=True)
    again = MaskStore.open(import_masks(back, origin))
    found, every = contents(back.documents, again), contents(small.documents, store)
    assert len(found) == 6
    assert all(document in every for document in found)


def test_masks_of_some_of_the_files(tmp_path):
    small, store = corpus()
    export_corpus(small, store, tmp_path / "export")
    for name in ("A1/train.pkl", "A1/valid.pkl", "B2/valid.pkl"):
        (tmp_path / "export" / name).unlink()
    back, origin, _ = imported(tmp_path / "export")
    folder = import_masks(back, origin)
    assert verify_cache(folder, back, verify_masks).faults == []
    expected = [
        (level, split, text, [] if (level, split) == ("A1", "train") or split == "valid" else spans)
        for level, split, text, spans in contents(small.documents, store)
    ]
    assert contents(back.documents, MaskStore.open(folder)) == expected


def test_masks_of_two_mask_functions_are_refused(tmp_path, monkeypatch):
    pickled(tmp_path / "A1", monkeypatch, ("She ate.", [[("word", 0, 3)], [("other", 7, 1)]]))
    small, origin, _ = imported(tmp_path, place=tmp_path / "data")
    with pytest.raises(UserError, match=r"they come from two mask functions"):
        import_masks(small, origin)
    assert not (tmp_path / "data").exists() or not list((tmp_path / "data").rglob("*.arrow"))


def test_a_file_that_changed_since(tmp_path):
    put(tmp_path / "A1", train=[("a", []), ("b", []), ("c", [])])
    small, origin, _ = imported(tmp_path, place=tmp_path / "data")
    put(tmp_path / "A1", train=[("b", []), ("c", []), ("a", [])])
    with pytest.raises(UserError, match=r"Prepare the corpus again"):
        import_masks(small, origin)
