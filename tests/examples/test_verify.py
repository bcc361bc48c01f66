from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from ilm.examples.token_store import TokenStore
from ilm.examples.tokenizers import gpt2_tokenizer
from ilm.examples.verify import verify_tokens
from ilm.examples.vocabulary import Vocabulary
from ilm.files import read_json, write_json
from ilm.hashing import file_sha256
from tests.reference_data import DOCUMENTS as REFERENCE

VOCABULARY = Vocabulary(gpt2_tokenizer(), ("word",))
DOCUMENTS = pd.DataFrame({"text": pd.Series([document["text"] for document in REFERENCE], dtype="str")})


@pytest.fixture
def folder(tmp_path):
    corpus = SimpleNamespace(documents=DOCUMENTS, documents_hash="0123456789ab")
    return TokenStore.open_or_make(tmp_path, corpus, VOCABULARY, "gpt2").folder


def test_tokens_as_they_were_written_have_no_faults(folder):
    assert verify_tokens(folder, DOCUMENTS) == []


@pytest.mark.parametrize("name", ["ids.npy", "advances.npy", "offsets.npy", "settings.json"])
def test_a_missing_or_cut_file_is_found(folder, name):
    path = folder / name
    path.write_bytes(path.read_bytes()[:40])
    assert len(verify_tokens(folder, DOCUMENTS)) == 1
    path.unlink()
    assert len(verify_tokens(folder, DOCUMENTS)) == 1


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("ids", 50257, "id 50257 is none of the 50257"),
        ("advances", 200, "the tokens of 1 documents do not reach"),
        ("offsets", -1, "the offsets do not rise"),
    ],
)
@pytest.mark.parametrize("checksum", ["as written", "as changed"])
def test_a_changed_value_is_found(folder, name, value, fault, checksum):
    path = folder / f"{name}.npy"
    values = np.load(path)
    values[5] = value
    np.save(path, values)
    if checksum == "as changed":
        settings = read_json(folder / "settings.json")
        settings["files"][path.name]["sha256"] = file_sha256(path)
        write_json(folder / "settings.json", settings)
    faults = verify_tokens(folder, DOCUMENTS)
    assert any(fault in found for found in faults)
    assert any("SHA-256" in found for found in faults) == (checksum == "as written")


def test_tokens_of_other_documents_are_found(folder):
    assert verify_tokens(folder, DOCUMENTS[:-1]) == [
        f"tokens of {len(REFERENCE)} documents, expected {len(REFERENCE) - 1}"
    ]
    assert verify_tokens(folder.rename(folder.with_name("gpt2-0123456789ab")), DOCUMENTS)
