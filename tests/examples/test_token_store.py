from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from ilm.corpus.verify import verify_cache
from ilm.examples.token_store import TokenStore, verify_tokens
from ilm.examples.tokenizers import gpt2_tokenizer
from ilm.examples.vocabulary import Vocabulary
from tests.reference_data import DOCUMENTS as REFERENCE

VOCABULARY = Vocabulary(gpt2_tokenizer(), ("word",))
DOCUMENTS = pd.DataFrame({"text": pd.Series([document["text"] for document in REFERENCE], dtype="str")})


def corpus(documents):
    return SimpleNamespace(documents=documents, documents_hash="0123456789ab")


def faults(folder, documents=DOCUMENTS):
    return verify_cache(folder, corpus(documents), verify_tokens).faults


@pytest.fixture
def folder(tmp_path):
    return TokenStore.open_or_make(tmp_path, corpus(DOCUMENTS), VOCABULARY, "gpt2").folder


def test_tokens_as_they_were_written_have_no_faults(folder):
    assert faults(folder) == []


@pytest.mark.parametrize("name", ["ids.npy", "advances.npy", "offsets.npy", "settings.json"])
def test_a_missing_or_cut_file_is_found(folder, name):
    path = folder / name
    path.write_bytes(path.read_bytes()[:40])
    assert len(faults(folder)) == 1
    path.unlink()
    assert len(faults(folder)) == 1


@pytest.mark.parametrize("name", ["ids", "advances", "offsets"])
def test_a_changed_value_is_found(folder, name):
    path = folder / f"{name}.npy"
    values = np.load(path)
    values[5] += 1
    np.save(path, values)
    assert faults(folder) == [f"{path.name} has changed since it was written (SHA-256)"]


def test_tokens_of_other_documents_are_found(folder):
    assert faults(folder, DOCUMENTS[:-1]) == [f"tokens of {len(REFERENCE)} documents, expected {len(REFERENCE) - 1}"]
    (fault,) = faults(folder, DOCUMENTS.assign(text=DOCUMENTS["text"] + "."))
    assert "do not cover" in fault
    assert faults(folder.rename(folder.with_name("gpt2-0123456789ab")))
