"""Scores of words against plain passes of a model, an Infiller, and a model with a table of its own."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from ilm.evaluation.surprisal.scoring import Reader
from ilm.evaluation.surprisal.words import bounds_of_words, word_beginnings
from ilm.evaluation.texts import tokens_of_texts
from ilm.infilling.blanks import NO_LIMITS
from ilm.infilling.infiller import Infiller
from tests.infilling.small_models import Bigrams, random_model, vocabulary

TEXTS = pd.DataFrame(
    {
        "writing_id": ["a", "b", "c"],
        "text": ["She ate leftover “pasta” for\nlunch. ", "I like it.", "My family plays tennis  and I eat an apple."],
    }
)
NOTHING = [np.zeros(0, dtype=np.int32)] * len(TEXTS)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def reader() -> Reader:
    words = vocabulary()
    return Reader(random_model("gpt2", words.size + 3), words, 96, CPU)


def words_of(scores, writing_id: str) -> pd.DataFrame:
    own = pd.concat([batch.blanks for batch in scores])
    return own[own["writing_id"] == writing_id].reset_index(drop=True)


def plain_logs(reader: Reader, ids: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return reader.model(torch.tensor(ids)[None]).logits[0].double().log_softmax(-1).numpy()


@pytest.mark.parametrize("renormalise", [False, True])
def test_a_word_is_the_sum_of_its_tokens(reader, renormalise):
    found = [*reader.read(TEXTS, NOTHING, renormalise=renormalise)]
    for writing_id, text in TEXTS.itertuples(index=False):
        words = words_of(found, writing_id)
        ((ids, _),) = tokens_of_texts(pd.Series([text]), reader.vocabulary)
        logs = plain_logs(reader, ids)
        kept = logs[:, : reader.vocabulary.base_size] if renormalise else logs
        all_kept = np.log(np.exp(kept).sum(axis=1))
        nll = np.concatenate([[np.nan], all_kept[:-1] - logs[np.arange(len(ids) - 1), ids[1:]]])
        begins = np.log(np.exp(kept[:, word_beginnings(reader.vocabulary)]).sum(axis=1)) - all_kept
        # A word's tokens from the space before it: joined they are the text.
        ends = np.cumsum(words["targets"].to_numpy())
        pieces = np.split(nll, ends)[: len(words)]
        assert words["nll"].to_numpy() == pytest.approx([piece.sum() for piece in pieces], abs=1e-5, nan_ok=True)
        assert words["ends"].to_numpy() == pytest.approx(begins[ends - 1], abs=1e-5)
        assert words["begins"].to_numpy()[1:] == pytest.approx(begins[ends[:-1] - 1], abs=1e-5)
        assert np.isnan(words["nll"][0])
        assert words["nll"][1:].notna().all()


def test_corrected_values_sum_to_the_total_up_to_the_boundaries(reader):
    words = words_of(reader.read(TEXTS, NOTHING, renormalise=True), "c")
    corrected = words["nll"] + words["begins"] - words["ends"]
    total = words["nll"].sum() + words["begins"][1] - words["ends"].iloc[-1]
    assert corrected.sum() == pytest.approx(total)
    assert abs(corrected - words["nll"])[1:].max() > 0.1


def test_the_probability_taken_is_that_of_the_tokens_left_out(reader):
    (batch,) = reader.read(TEXTS, NOTHING, renormalise=True)
    for (_, text), (_, about) in zip(TEXTS.itertuples(index=False), batch.examples.iterrows(), strict=True):
        ((ids, _),) = tokens_of_texts(pd.Series([text]), reader.vocabulary)
        taken = np.exp(plain_logs(reader, ids)[:-1, reader.vocabulary.base_size :]).sum()
        assert about["targets"] == len(ids) - 1
        assert about["taken"] == pytest.approx(taken, abs=1e-5)
    (batch,) = reader.read(TEXTS, NOTHING, renormalise=False)
    assert (batch.examples["taken"] == 0).all()


def test_a_model_with_a_table_of_its_own(monkeypatch):
    words = vocabulary()
    eat, comma, space = (words.encode(text)[0] for text in (" eat", ",", " "))
    model = Bigrams(words.size)
    model.table[eat, eat] = math.log(3)  # e.g. p(eat | eat) = 3 / (V + 2)
    monkeypatch.setattr("ilm.models.scoring.plain_head", lambda model: None)
    reader = Reader(model.eval(), words, 96, CPU)
    texts = pd.DataFrame({"writing_id": ["a"], "text": ["eat eat eat, eat"]})
    ((ids, _),) = tokens_of_texts(texts["text"], words)
    assert ids[-4:].tolist() == [eat, eat, comma, eat]
    found = words_of(reader.read(texts, NOTHING, renormalise=True), "a")
    size, begins = words.base_size, len(word_beginnings(words))
    uniform, after_eat = math.log(size), math.log(size + 2)
    assert found["nll"].tolist()[1:] == pytest.approx([uniform, after_eat - math.log(3) + after_eat, uniform])
    of_uniform, of_eat = math.log(begins / size), math.log((begins + 2) / (size + 2))
    assert found["begins"].tolist()[1:] == pytest.approx([of_uniform, of_eat, of_uniform])
    assert found["ends"].tolist() == pytest.approx([of_uniform, of_eat, of_uniform, of_eat])
    assert space in word_beginnings(words)


@pytest.mark.parametrize("told", [(), (7, 9)])
def test_a_masked_word_is_what_the_infiller_makes_of_its_blank(reader, told):
    infiller = Infiller(random_model("gpt2", reader.vocabulary.size + 3), reader.vocabulary)
    found = [*reader.mask(TEXTS, [np.array(told, dtype=np.int32)] * len(TEXTS))]
    assert not pd.concat([batch.examples for batch in found])["cut"].any()
    blank = reader.vocabulary.mask_types.index("word")
    for writing_id, text in TEXTS.itertuples(index=False):
        words = words_of(found, writing_id)
        assert words["example"].tolist() == [*range(len(words))]
        for (start, end), (_, word) in zip(bounds_of_words(text), words.iterrows(), strict=True):
            pieces = (text[:start], text[end:])
            context = infiller.context(f"{pieces[0]}[word]{pieces[1]}").after(told)
            assert (context.pieces, context.types, context.limits) == (pieces, (blank,), (NO_LIMITS,))
            (expected,) = infiller.answer_scores(context, [text[start:end]])
            assert word["nll"] + word["end_nll"] == pytest.approx(-expected, abs=1e-4)
            assert min(word["nll"], word["end_nll"]) > 0


def test_masked_words_are_the_same_in_smaller_batches(reader, monkeypatch):
    whole = pd.concat([batch.blanks for batch in reader.mask(TEXTS, NOTHING)])
    monkeypatch.setattr("ilm.evaluation.surprisal.scoring.MASKED_TOKENS_AT_ONCE", 40)
    batches = [*reader.mask(TEXTS, NOTHING)]
    assert len(batches) > len(TEXTS)
    found = pd.concat([batch.blanks for batch in batches])
    pd.testing.assert_frame_equal(found.reset_index(drop=True), whole.reset_index(drop=True), atol=1e-5)


def test_of_a_long_text_a_masked_word_has_what_is_nearest(reader):
    text = " ".join(["I like to eat an apple for lunch."] * 8)
    long = pd.DataFrame({"writing_id": ["a"], "text": [text]})
    ((ids, positions),) = tokens_of_texts(long["text"], reader.vocabulary)
    short = Reader(reader.model, reader.vocabulary, 32, CPU)
    words = words_of(short.mask(long, NOTHING[:1]), "a")
    (batch,) = short.mask(long, NOTHING[:1])
    assert batch.examples["cut"].all()
    bounds = bounds_of_words(text)
    for number in (0, 30, len(words) - 1):
        start, end = bounds[number]
        first = int(np.searchsorted(positions, start, side="right")) - 1
        last = int(np.searchsorted(positions, end, side="left"))
        begin = min(max(first - (29 - (last - first)) // 2, 0), len(ids) - 29)
        special = reader.vocabulary
        whole = [
            *(*ids[begin:first], special.blanks[special.mask_types.index("word")], *ids[last : begin + 29]),
            *(special.start_of_infill, *ids[first:last], special.end_of_infill),
        ]
        assert len(whole) == 32
        logs = plain_logs(short, np.array(whole, dtype=np.int64))
        n = last - first
        answer = [logs[len(whole) - n - 2 + k, whole[len(whole) - n - 1 + k]] for k in range(n)]
        assert words["nll"][number] == pytest.approx(-sum(answer), abs=1e-4)
        assert words["end_nll"][number] == pytest.approx(-logs[-2, special.end_of_infill], abs=1e-4)


def test_a_word_that_does_not_fit_has_no_value(reader):
    texts = pd.DataFrame({"writing_id": ["a"], "text": ["I like " + "xy" * 20 + " it"]})
    words = words_of(Reader(reader.model, reader.vocabulary, 32, CPU).mask(texts, NOTHING[:1]), "a")
    assert words["nll"].isna().tolist() == [False, False, True, False]
