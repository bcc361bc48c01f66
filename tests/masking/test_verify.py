import json
from dataclasses import replace

import numpy as np
import pytest

from ilm.files import read_json, write_json
from ilm.hashing import file_sha256
from ilm.masking.masks import Masks
from ilm.masking.verify import verify_masks
from tests.masking.test_store import DOCUMENTS, write


def test_masks_as_they_were_written_have_no_faults(tmp_path):
    assert verify_masks(write(tmp_path), DOCUMENTS) == []


def test_a_changed_byte_is_found(tmp_path):
    folder = write(tmp_path)
    content = bytearray((folder / "train.arrow").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "train.arrow").write_bytes(content)
    assert verify_masks(folder, DOCUMENTS) == ["train.arrow has changed since it was written (SHA-256)"]


@pytest.mark.parametrize("name", ["train.arrow", "statistics.json", "settings.json"])
def test_any_changed_byte_is_found(tmp_path, name):
    folder = write(tmp_path)
    whole = (folder / name).read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 60)):
        content = bytearray(whole)
        content[place] ^= 4
        (folder / name).write_bytes(content)
        unchanged = name == "settings.json" and json.loads(whole) == tried(content)
        assert unchanged or verify_masks(folder, DOCUMENTS), place


def tried(content: bytes) -> object:
    try:
        return json.loads(content)
    except ValueError:
        return None


@pytest.mark.parametrize("name", ["settings.json", "statistics.json", "test.arrow"])
def test_a_missing_file_is_found(tmp_path, name):
    folder = write(tmp_path)
    (folder / name).unlink()
    assert len(verify_masks(folder, DOCUMENTS)) == 1


def test_masks_of_other_documents_are_found(tmp_path):
    folder = write(tmp_path)
    moved = DOCUMENTS.assign(split=["train", "test", "train", "train", "train", "train", "valid"])
    assert [fault.partition(":")[0] for fault in verify_masks(folder, moved)] == ["train", "valid"]
    shorter = DOCUMENTS.assign(text=DOCUMENTS["text"].str.slice(0, 3))
    assert any("end outside of their text" in fault for fault in verify_masks(folder, shorter))


def test_wrong_counts_are_found_even_under_a_right_checksum(tmp_path):
    folder = write(tmp_path)
    statistics, settings = read_json(folder / "statistics.json"), read_json(folder / "settings.json")
    statistics["valid"]["examples"] += 1
    write_json(folder / "statistics.json", statistics)
    assert verify_masks(folder, DOCUMENTS) == ["statistics.json has changed since it was written (SHA-256)"]
    settings["files"]["statistics.json"]["sha256"] = file_sha256(folder / "statistics.json")
    write_json(folder / "settings.json", settings)
    (fault,) = verify_masks(folder, DOCUMENTS)
    assert fault.startswith("valid: ")


@pytest.mark.parametrize(
    ("column", "value", "fault"),
    [
        ("starts", 1, "overlap"),
        ("lengths", 0, "empty"),
        ("lengths", 60_000, "end outside"),
        ("types", 9, "type number 9"),
    ],
)
def test_wrong_values_are_found_even_under_a_right_checksum(tmp_path, monkeypatch, column, value, fault):
    original = Masks.write

    def write_changed(masks, path, mask_types):
        values = np.array(getattr(masks, column))
        if len(values) > 3:
            values[1:3] = value
        original(replace(masks, **{column: values}), path, mask_types)

    monkeypatch.setattr(Masks, "write", write_changed)
    folder = write(tmp_path)
    about = json.loads((folder / "settings.json").read_text())
    assert about["files"]["train.arrow"]["sha256"] == file_sha256(folder / "train.arrow")
    assert any(fault in found for found in verify_masks(folder, DOCUMENTS))
