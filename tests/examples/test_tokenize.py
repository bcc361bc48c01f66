"""Tokens of a byte-level BPE, whose positions come from bytes, against the offsets that its library gives."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from ilm.examples import tokenize as tokenize_module
from ilm.examples.tokenize import is_byte_level, token_positions, tokenize
from ilm.examples.tokenizers import gpt2_tokenizer
from tests.reference_data import DOCUMENTS

GPT2 = gpt2_tokenizer()
TEXTS = [document["text"] for document in DOCUMENTS]
TRICKY = st.text(st.sampled_from("aé’ 李明😀\n\t\u200b\u0301.x<|>"), max_size=30)


def test_gpt2_is_byte_level():
    assert is_byte_level(GPT2)


def series(texts: list[str]) -> pd.Series:
    return pd.Series(texts, dtype="str")


def by_library(tokenizer, text: str) -> tuple[list[int], list[int]]:
    encoded = tokenizer(text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True)
    return encoded.input_ids, np.diff(token_positions(encoded.offset_mapping, len(text))).tolist()


def by_chunks(tokenizer, texts: list[str]) -> tuple[list[tuple[list[int], list[int]]], int]:
    """(ids, advances) of each text, and how many were changed."""
    result, changed = [], 0
    for chunk in tokenize(series(texts), tokenizer):
        bounds = np.concatenate([[0], np.cumsum(chunk.counts)])
        result += [(chunk.ids[a:b].tolist(), chunk.advances[a:b].tolist()) for a, b in pairwise(bounds)]
        changed += chunk.changed
    return result, changed


@settings(max_examples=30)  # a call takes a tenth of a second, a text next to nothing
@given(st.lists(TRICKY | st.text(max_size=40), max_size=30))
def test_any_texts_have_the_tokens_and_positions_of_the_library(texts):
    assert by_chunks(GPT2, texts) == ([by_library(GPT2, text) for text in texts], 0)


def test_the_texts_of_the_reference_over_several_chunks(monkeypatch):
    monkeypatch.setattr(tokenize_module, "DOCUMENTS_PER_CHUNK", 7)
    texts = [*TEXTS, "", "I write <|endoftext|> and <|endofinfill|>.", ""]
    assert by_chunks(GPT2, texts) == ([by_library(GPT2, text) for text in texts], 0)


def test_no_texts_have_no_chunks():
    assert list(tokenize(series([]), GPT2)) == []


def other_tokenizer(kind: str) -> PreTrainedTokenizerFast:
    """Tokenizers whose tokens are not the text's bytes: lower-cased, with a space in front, or of whole words."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {symbol: number for number, symbol in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=kind == "space in front")
    tokenizer.decoder = decoders.ByteLevel()
    if kind == "lower-cased":
        tokenizer.normalizer = normalizers.Lowercase()
    if kind == "words":
        tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "she": 1, "ate": 2}, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


@pytest.mark.parametrize(("kind", "changed"), [("lower-cased", 1), ("space in front", 3), ("words", 2)])
def test_other_tokenizers_are_asked_for_their_offsets(kind, changed):
    tokenizer = other_tokenizer(kind)
    assert not is_byte_level(tokenizer)
    texts = ["she ate", "She ATE it", "x"]
    found, found_changed = by_chunks(tokenizer, texts)
    assert found == [by_library(tokenizer, text) for text in texts]
    assert found_changed == changed
    assert all(sum(advances) == len(text) for (_, advances), text in zip(found, texts, strict=True))
