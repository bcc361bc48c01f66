import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ilm.errors import UserError
from ilm.files import read_json
from ilm.hashing import digest
from ilm.masking import generate as making
from ilm.masking.functions import Hierarchical, Span
from ilm.masking.generate import write_masks
from ilm.masking.preview import cut
from ilm.masking.sampling import (
    DRAWS_VERSION,
    draw_masks,
    example_generator,
    masks_folder_name,
    masks_settings,
)
from ilm.masking.store import MaskStore
from tests.conftest import REPOSITORY, environment

CORPORA = REPOSITORY.parent / "shared" / "corpora"  # real learner texts, where they are at hand

NODE = {"_target_": "ilm.masking.functions.Hierarchical", "p": 0.1}
SETTINGS = masks_settings("0123456789ab", "hierarchical", NODE, count=6, tries=4, seed=0)

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


class Vowels:
    """A user's function, which worker processes import by its name."""

    mask_types = ("lower", "upper")

    def __call__(self, text, rng):
        return [
            Span("lower" if letter.islower() else "upper", start, 1)
            for start, letter in enumerate(text)
            if letter in "aeiouAEIOU" and rng.random() < 0.5
        ]


class Overlapping:
    mask_types = ("word",)

    def __call__(self, text, rng):
        return [Span("word", 0, 2), Span("word", 1, 1)] if "José" in text else []


class Interrupted:
    mask_types = ("word",)

    def __call__(self, text, rng):
        if text == "Hello":
            raise KeyboardInterrupt
        return []


def write(root, documents=DOCUMENTS, function=None, settings=SETTINGS, workers=0):
    folder = root / "toy" / "masks" / masks_folder_name(settings)
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


def test_masks_depend_neither_on_neighbours_nor_on_order(tmp_path):
    other = DOCUMENTS.iloc[[5, 0, 3]].assign(split=["valid", "train", "train"]).reset_index(drop=True)
    whole = stored_masks(write(tmp_path / "whole"), DOCUMENTS)
    part = stored_masks(write(tmp_path / "part", other), other)
    assert part == {writing_id: whole[writing_id] for writing_id in ("w0", "w3", "w5")}


@pytest.mark.parametrize("function", [Hierarchical(p=0.1), Vowels()])
def test_files_are_the_same_for_any_number_of_workers(tmp_path, monkeypatch, function):
    folders = []
    for workers, chunk_documents in [(0, 512), (1, 1), (2, 2)]:
        monkeypatch.setattr(making, "_CHUNK_DOCUMENTS", chunk_documents)
        folders.append(write(tmp_path / str(workers), function=function, workers=workers))
    names = ["settings.json", "statistics.json", "test.arrow", "train.arrow", "valid.arrow"]
    contents = [[(folder / name).read_bytes() for name in names] for folder in folders]
    assert contents[0] == contents[1] == contents[2]
    assert sorted(path.name for path in folders[0].iterdir()) == names
    assert MaskStore.open(folders[0]).mask_types == function.mask_types


def test_the_same_masks_give_the_same_bytes_under_another_hash(tmp_path):
    """The hash of the documents changes with the order of the rows in the file, the masks do not."""
    other = write(tmp_path, settings={**SETTINGS, "documents": "ba9876543210"})
    assert other != (folder := write(tmp_path))
    for split in ("train", "valid", "test"):
        assert (other / f"{split}.arrow").read_bytes() == (folder / f"{split}.arrow").read_bytes()


def test_positions_in_longer_texts_take_more_bytes(tmp_path):
    text = "All work and no play. " * 3000
    documents = pd.DataFrame({"writing_id": ["long", "short"], "text": [text, "Hi Bo!"], "split": ["train", "train"]})
    folder = write(tmp_path, documents)
    train = MaskStore.open(folder).splits["train"]
    assert train.starts.dtype == train.lengths.dtype == np.uint32
    assert train.starts.max() > 2**16
    generator = example_generator(0, digest(NODE, DRAWS_VERSION), "long")
    assert stored_masks(folder, documents)["long"] == draw_masks(text, Hierarchical(p=0.1), 6, 4, generator)


KILLED = """
import os, signal
from ilm.masking import generate as making

def work(number):
    return os.getpid()

if __name__ == "__main__":
    with making._ordered_map(2) as ordered_map:
        print(*set(ordered_map(work, range(8))), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_end_with_a_killed_parent(tmp_path):
    (tmp_path / "killed.py").write_text(KILLED)
    done = subprocess.run(
        [sys.executable, tmp_path / "killed.py"], stdout=subprocess.PIPE, env=environment(), text=True, timeout=60
    )
    workers = [int(word) for word in done.stdout.split()]
    assert workers
    for _ in range(100):
        if not any(map(is_alive, workers)):
            return
        time.sleep(0.1)
    pytest.fail(f"of the workers {workers} some are alive")


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # A process that nobody has waited for is still listed.
    return "Z" not in Path(f"/proc/{process}/stat").read_text().split()[2]


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


@pytest.mark.parametrize("workers", [0, 2])
def test_a_fault_of_a_users_function_names_the_document_and_leaves_nothing(tmp_path, workers):
    with pytest.raises(UserError, match="Document w2: Mask function Overlapping: span 1 of 2"):
        write(tmp_path, function=Overlapping(), workers=workers)
    assert list((tmp_path / "toy" / "masks").iterdir()) == []


def test_an_interrupted_run_leaves_the_old_masks(tmp_path):
    folder = write(tmp_path)
    before = (folder / "train.arrow").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, function=Interrupted())
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert (folder / "train.arrow").read_bytes() == before


def test_a_function_that_workers_cannot_import_is_refused(tmp_path):
    class Local(Vowels):
        pass

    with pytest.raises(UserError, match="cannot be sent to worker processes"):
        write(tmp_path, function=Local(), workers=2)


def test_missing_masks_name_the_command_that_makes_them(tmp_path):
    folder = tmp_path / "efcamdat" / "masks" / "words-0123456789ab"
    with pytest.raises(UserError, match=r"python prepare.py corpus=efcamdat corpus.csv=PATH masking=words"):
        MaskStore.open(folder)


def test_masks_of_another_hash_are_refused(tmp_path):
    folder = write(tmp_path)
    renamed = folder.rename(folder.with_name("hierarchical-0123456789ab"))
    with pytest.raises(UserError, match=rf"hash {digest(SETTINGS)}, expected that in its name"):
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


@pytest.mark.parametrize("name", ["cefr_asag.csv", "seeflex.csv"])
def test_real_learner_texts_get_masks_and_reassemble(tmp_path, name):
    path = CORPORA / name
    if not path.exists():
        pytest.skip(f"{name} is not at hand")
    documents = pd.read_csv(path, dtype=str)[::8].reset_index(drop=True)
    documents["split"] = random.Random(0).choices(["train", "valid", "test"], k=len(documents))
    masks = stored_masks(write(tmp_path, documents), documents)
    for writing_id, text in zip(documents["writing_id"], documents["text"], strict=True):
        assert len(masks[writing_id]) >= 2
        for mask in masks[writing_id]:
            pieces, answers = cut(text, mask)
            assert all(answers)
            assert pieces[0] + "".join(a + p for a, p in zip(answers, pieces[1:], strict=True)) == text
            assert np.sum([length for _, _, length in mask]) == sum(map(len, answers))
