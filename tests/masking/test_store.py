from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ilm.corpus.verify import verify_cache
from ilm.errors import UserError
from ilm.files import read_json
from ilm.hashing import digest
from ilm.masking.functions import Hierarchical
from ilm.masking.generate import write_masks
from ilm.masking.sampling import (
    DRAWS_VERSION,
    MaskSettings,
    draw_masks,
    example_generator,
)
from ilm.masking.store import MaskStore, verify_masks
from tests.conftest import REPOSITORY

CORPORA = REPOSITORY.parent / "shared" / "corpora"  # real learner texts, where they are at hand

NODE = {"_target_": "ilm.masking.functions.Hierarchical", "p": 0.1}
SETTINGS = MaskSettings("0123456789ab", "hierarchical", NODE, count=6, tries=4, seed=0)

TEXTS = [
    "Hi! My name's Anna.\nI'm 23 years old and I live in Milan.",
    "Hello",
    "I met José at the café. “It’s 李明's 😀,” she said.",
    "He told ''hello'' to me and went.",
    "Dear Sir or Madam,\n\nI am writing to apply for the job!!!\nYours faithfully",
    "Well... I don't know... Really?!! Yes!!! :)",
    ".",
]
DOCUMENTS = pd.DataFrame(
    {
        "writing_id": [f"w{number}" for number in range(len(TEXTS))],
        "text": TEXTS,
        "split": ["train", "test", "train", "valid", "train", "train", "train"],
    }
)


def write(root, documents=DOCUMENTS, function=None, settings=SETTINGS, workers=0):
    folder = settings.folder(root / "toy")
    write_masks(folder, documents, function or Hierarchical(p=0.1), settings, workers)
    return folder


def stored_masks(folder, documents) -> dict[str, list]:
    """writing_id: its masks, read through the arrays that training reads."""
    opened = MaskStore.open(folder)
    masks = {}
    for split, stored in opened.splits.items():
        for k, row in enumerate(stored.documents):
            assert documents["split"].iloc[row] == split
            numbers = range(stored.mask_offsets[k], stored.mask_offsets[k + 1])
            masks[documents["writing_id"].iloc[row]] = [
                tuple((opened.mask_types[t], int(s), int(n)) for t, s, n in zip(*stored.spans(m), strict=True))
                for m in numbers
            ]
    return masks


def test_what_is_drawn_is_what_is_read(tmp_path):
    stored = stored_masks(write(tmp_path), DOCUMENTS)
    assert stored == {
        writing_id: draw_masks(
            text, Hierarchical(p=0.1), 6, 4, example_generator(0, digest(NODE, DRAWS_VERSION), writing_id)
        )
        for writing_id, text in zip(DOCUMENTS["writing_id"], TEXTS, strict=True)
    }
    assert sum(len(mask) for masks in stored.values() for mask in masks) > 40


def test_arrays_are_views_of_the_mapped_file(tmp_path):
    train = MaskStore.open(write(tmp_path)).splits["train"]
    assert train.documents.tolist() == [0, 2, 4, 5, 6]
    types = {name: array.dtype.name for name, array in vars(train).items()}
    assert types == {
        "documents": "int32",
        "mask_offsets": "int32",
        "span_offsets": "int32",
        "types": "uint8",
        "starts": "uint16",
        "lengths": "uint16",
    }
    for array in vars(train).values():
        assert not array.flags.owndata
        assert not array.flags.writeable
    assert len(train.mask_offsets) == 6
    assert len(train.span_offsets) == train.mask_offsets[-1] + 1
    assert len(train.types) == len(train.starts) == len(train.lengths) == train.span_offsets[-1]


def test_any_arrow_reader_can_read_the_file(tmp_path):
    folder = write(tmp_path)
    with pa.ipc.open_file(folder / "valid.arrow") as reader:
        assert reader.num_record_batches == 1
        (row,) = reader.read_all().to_pylist()
        assert reader.schema.metadata == {
            b"mask_types": b'["document", "paragraph", "sentence", "ngram", "word"]',
        }
    names = Hierarchical.mask_types
    spans = [tuple((names[span["type"]], span["start"], span["length"]) for span in mask) for mask in row["masks"]]
    assert (row["document"], spans) == (3, stored_masks(folder, DOCUMENTS)["w3"])


def test_positions_in_longer_texts_take_more_bytes(tmp_path):
    text = "All work and no play. " * 3000
    documents = pd.DataFrame({"writing_id": ["long", "short"], "text": [text, "Hi Bo!"], "split": ["train", "train"]})
    folder = write(tmp_path, documents)
    train = MaskStore.open(folder).splits["train"]
    assert train.starts.dtype == train.lengths.dtype == np.uint32
    assert train.starts.max() > 2**16
    generator = example_generator(0, digest(NODE, DRAWS_VERSION), "long")
    assert stored_masks(folder, documents)["long"] == draw_masks(text, Hierarchical(p=0.1), 6, 4, generator)


def test_a_split_may_be_empty(tmp_path):
    folder = write(tmp_path, DOCUMENTS[DOCUMENTS["split"] == "train"].reset_index(drop=True))
    empty = MaskStore.open(folder).splits["test"]
    assert {name: array.tolist() for name, array in vars(empty).items()} == {
        "documents": [],
        "mask_offsets": [0],
        "span_offsets": [0],
        "types": [],
        "starts": [],
        "lengths": [],
    }
    assert read_json(folder / "statistics.json")["test"]["mask_rate_characters"] == 0


def test_missing_masks_name_the_command_that_makes_them(tmp_path):
    folder = tmp_path / "efcamdat" / "masks" / "words-0123456789ab"
    with pytest.raises(UserError, match=r"python prepare.py corpus=efcamdat corpus.csv=PATH masking=words"):
        MaskStore.open(folder)


def test_masks_of_another_hash_are_refused(tmp_path):
    folder = write(tmp_path)
    renamed = folder.rename(folder.with_name("hierarchical-0123456789ab"))
    with pytest.raises(UserError, match=rf"hash {digest(SETTINGS.identity)}, expected the one in its name"):
        MaskStore.open(renamed)


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "bytes", "other arrow"])
def test_damaged_files_are_refused(tmp_path, damage):
    folder = write(tmp_path)
    path = folder / "train.arrow"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_text("no masks " * 100)
    elif damage == "bytes":  # of the same size
        path.write_bytes(b"x" * path.stat().st_size)
    else:
        table = pa.table({"a": [1]})
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    with pytest.raises(UserError, match=r"train\.arrow is missing or"):
        MaskStore.open(folder)


def test_masks_as_they_were_written_have_no_faults(tmp_path):
    assert faults(write(tmp_path), DOCUMENTS) == []


def faults(folder, documents):
    corpus = SimpleNamespace(documents=documents, documents_hash=SETTINGS.documents)
    return verify_cache(folder, corpus, verify_masks).faults


@pytest.mark.parametrize("name", ["train.arrow", "statistics.json", "settings.json"])
def test_any_changed_byte_is_found(tmp_path, name):
    folder = write(tmp_path)
    whole = (folder / name).read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 30)):
        content = bytearray(whole)
        content[place] ^= 4
        (folder / name).write_bytes(content)
        assert faults(folder, DOCUMENTS), place


@pytest.mark.parametrize("name", ["settings.json", "statistics.json", "test.arrow"])
def test_a_missing_file_is_found(tmp_path, name):
    folder = write(tmp_path)
    (folder / name).unlink()
    assert len(faults(folder, DOCUMENTS)) == 1


def test_masks_of_other_documents_are_found(tmp_path):
    folder = write(tmp_path)
    moved = DOCUMENTS.assign(split=["train", "test", "train", "train", "train", "train", "valid"])
    assert [fault.partition(":")[0] for fault in faults(folder, moved)] == ["train", "valid"]
    shorter = DOCUMENTS.assign(text=DOCUMENTS["text"].str.slice(0, 3))
    assert any("end outside their text" in fault for fault in faults(folder, shorter))
