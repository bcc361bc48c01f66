import random
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from ilm.config.sections import Masking
from ilm.errors import UserError
from ilm.masking import generate
from ilm.masking.preview import cut
from ilm.masking.store import MaskStore
from tests.conftest import REPOSITORY
from tests.masking.test_store import DOCUMENTS, SETTINGS, stored_masks, write
from tests.masking.user_functions import Overlapping, Vowels

CORPORA = REPOSITORY.parent / "shared" / "corpora"  # real learner texts, where they are at hand
CORPUS = SimpleNamespace(documents_hash="0123456789ab")
MASKING = Masking(
    name="hierarchical",
    function={"_target_": "ilm.masking.functions.Hierarchical", "p": 0.03},
    masks_per_document=16,
    tries=16,
    seed=0,
    resample_each_epoch=False,
)


class Interrupted:
    mask_types = ("word",)

    def __call__(self, text, rng):
        if text == "Hello":
            raise KeyboardInterrupt
        return []


def test_masks_depend_neither_on_neighbours_nor_on_order(tmp_path):
    other = DOCUMENTS.iloc[[5, 0, 3]].assign(split=["valid", "train", "train"]).reset_index(drop=True)
    whole = stored_masks(write(tmp_path / "whole"), DOCUMENTS)
    part = stored_masks(write(tmp_path / "part", other), other)
    assert part == {writing_id: whole[writing_id] for writing_id in ("w0", "w3", "w5")}


def test_files_are_the_same_for_any_number_of_workers(tmp_path, monkeypatch):
    folders, function = [], Vowels()
    for workers, chunk_documents in [(0, 512), (1, 1), (2, 2)]:
        monkeypatch.setattr(generate, "_CHUNK_DOCUMENTS", chunk_documents)
        folders.append(write(tmp_path / str(workers), function=function, workers=workers))
    names = ["settings.json", "statistics.json", "test.arrow", "train.arrow", "valid.arrow"]
    contents = [[(folder / name).read_bytes() for name in names] for folder in folders]
    assert contents[0] == contents[1] == contents[2]
    assert sorted(path.name for path in folders[0].iterdir()) == names
    assert MaskStore.open(folders[0]).mask_types == function.mask_types


def test_the_same_masks_give_the_same_bytes_under_another_hash(tmp_path):
    """The hash of the documents changes with the order of the rows in the file, the masks do not."""
    other = write(tmp_path, settings=replace(SETTINGS, documents="ba9876543210"))
    assert other != (folder := write(tmp_path))
    for split in ("train", "valid", "test"):
        assert (other / f"{split}.arrow").read_bytes() == (folder / f"{split}.arrow").read_bytes()


def test_a_fault_of_a_users_function_names_the_document_and_leaves_nothing(tmp_path):
    with pytest.raises(UserError, match="Document w2: Mask function Overlapping: span 1 of 2"):
        write(tmp_path, function=Overlapping(), workers=2)
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


def test_editing_a_users_function_makes_other_masks(tmp_path, monkeypatch):
    file = tmp_path / "my_masks.py"
    monkeypatch.syspath_prepend(tmp_path)
    masking = MASKING.model_copy(update={"function": {"_target_": "my_masks.Mine"}})
    file.write_text("class Mine: ...\n")
    before = generate.mask_settings(CORPUS, masking)
    file.write_text("class Mine: ...\n\n")
    after = generate.mask_settings(CORPUS, masking)
    assert before.function_file != after.function_file is not None
    assert generate.mask_settings(CORPUS, MASKING).function_file is None


def test_each_epoch_has_masks_of_its_own_beside_the_prepared_ones():
    prepared, first, second = (generate.mask_settings(CORPUS, MASKING, epoch) for epoch in range(3))
    assert (prepared.name, prepared.seed, prepared.splits) == ("hierarchical", 0, None)
    assert (second.name, second.splits) == ("hierarchical-epoch2", ("train",))
    assert len({prepared.seed, first.seed, second.seed}) == 3
    assert second.folder(Path("toy")).name.startswith("hierarchical-epoch2-")


def test_a_function_that_cannot_be_imported_is_told():
    with pytest.raises(UserError, match="cannot be imported"):
        generate.mask_settings(CORPUS, MASKING.model_copy(update={"function": {"_target_": "no_such_module.Mine"}}))
