"""Documents, masks and tokens together: which examples there are, and that none is lost in silence."""

import pickle
import random
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from ilm.config.sections import OBJECTIVES
from ilm.examples.conditions import Conditions
from ilm.examples.cuts import advice, cut_lines, cuts_by_level
from ilm.examples.dataset import InfillingDataset, ResampledDataset, first_by_hash
from ilm.examples.layout import TargetType
from ilm.examples.token_store import TokenStore
from ilm.examples.tokenizers import gpt2_tokenizer
from ilm.examples.vocabulary import Vocabulary
from ilm.hashing import order_key
from ilm.masking.functions import Hierarchical
from ilm.masking.generate import write_masks
from ilm.masking.sampling import MaskSettings
from ilm.masking.store import MaskStore
from ilm.models.packing import pack
from ilm.training.sampling import Shuffled
from tests.reference_data import DOCUMENTS, MASK_TYPES

VOCABULARY = Vocabulary(gpt2_tokenizer(), MASK_TYPES)
TEXTS = [d["text"] for d in DOCUMENTS if d["text"].strip()] + ["", "x" * 2, "don't can't won't " * 40]


class Corpus:
    documents_hash = "0123456789ab"

    def __init__(self, texts):
        self.documents = pd.DataFrame({"writing_id": [f"w{i:03}" for i in range(len(texts))], "text": texts})
        self.documents["split"] = "train"


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    corpus = Corpus([text for text in TEXTS if text])
    # Half of all words masked: many masks in which two spans share a token ("ca|n't").
    settings = MaskSettings(corpus.documents_hash, "hierarchical", {"p": 0.5}, count=16, tries=16, seed=0)
    write_masks(settings.folder(folder), corpus.documents, Hierarchical(p=0.5), settings, 1)
    masks = MaskStore.open(settings.folder(folder)).splits["train"]
    tokens = TokenStore.open_or_make(folder / "tokens", corpus, VOCABULARY, "gpt2")
    return corpus, masks, tokens


def make_store(stored, **options) -> InfillingDataset:
    corpus, masks, tokens = stored
    options = {"objective": "ilm", "max_length": 256, **options}
    return InfillingDataset(np.arange(len(corpus.documents)), masks, tokens, VOCABULARY, **options)


def keys(store, numbers=slice(None)) -> list[tuple[int, int]]:
    """The document row and the mask of each of some examples."""
    return list(zip(*(column.tolist() for column in store.keys(numbers)), strict=True))


def test_the_token_store_holds_every_document(stored):
    corpus, _, tokens = stored
    for row, text in enumerate(corpus.documents["text"]):
        assert VOCABULARY.decode(tokens.ids(row)) == text
        assert tokens.positions(row)[-1] == len(text)
        assert len(tokens.positions(row)) == len(tokens.ids(row)) + 1


def test_a_token_store_is_made_once(stored):
    corpus, _, tokens = stored
    before = (tokens.folder / "ids.npy").stat().st_mtime_ns
    again = TokenStore.open_or_make(tokens.folder.parent, corpus, Vocabulary(gpt2_tokenizer(), ("word",)), "gpt2")
    assert again.folder == tokens.folder
    assert (tokens.folder / "ids.npy").stat().st_mtime_ns == before


def test_every_document_keeps_examples_and_every_answer_is_its_text(stored):
    corpus, masks, tokens = stored
    store = make_store(stored, max_length=100_000)
    assert set(store.keys()[0]) == set(range(len(corpus.documents)))
    assert len(store) + store.dropped == len(masks.span_offsets) - 1
    assert store.dropped > 0
    for number, (row, mask) in enumerate(keys(store)):
        text = corpus.documents["text"][row]
        _, starts, lengths = masks.spans(masks.mask_offsets[row] + mask)
        spans = store.token_spans(np.array([number]))
        columns = (spans.firsts, spans.lasts, starts, lengths)
        for first, last, start, length in zip(*(column.tolist() for column in columns), strict=True):
            answer = VOCABULARY.decode(tokens.ids(row)[first:last])
            positions = tokens.positions(row)
            assert answer == text[positions[first] : positions[last]]
            assert text[start : start + length] in answer


def test_dropped_examples_are_those_whose_spans_share_a_token(stored):
    """The vectorised survey agrees with looking at every mask alone."""
    _, masks, tokens = stored
    store = make_store(stored)
    kept = set(keys(store))
    for row in range(len(masks.documents)):
        positions = tokens.positions(row)
        for mask in range(masks.mask_offsets[row], masks.mask_offsets[row + 1]):
            _, starts, lengths = masks.spans(mask)
            runs = []
            for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
                runs.append(
                    [t for t in range(len(positions) - 1) if positions[t] < start + length and positions[t + 1] > start]
                )
            shares = any(set(a) & set(b) for a, b in pairwise(runs))
            assert ((row, mask - masks.mask_offsets[row]) in kept) == (not shares)


@pytest.mark.parametrize("objective", ["ilm", "no_context_ilm", "naive", "lm", "reverse_lm"])
def test_counts_are_those_of_the_examples(stored, objective):
    store = make_store(stored, objective=objective, max_length=60)
    examples = [store[number] for number in range(len(store))]
    assert store.n_tokens == sum(len(example.input_ids) for example in examples)
    assert store.counts.lengths.tolist() == [len(example.input_ids) for example in examples]
    targets = [example.target_types[1:] for example in examples]
    context = [int((types == TargetType.CONTEXT).sum()) for types in targets]
    assert store.counts.context_targets.tolist() == context
    assert store.counts.infill_targets.tolist() == [int((types >= TargetType.INFILL).sum()) for types in targets]
    # A few bytes for each of nine million.
    assert sum(column.itemsize for column in store.counts) == 6


@pytest.mark.parametrize("objective", ["ilm", "no_context_ilm", "naive", "lm", "reverse_lm"])
def test_cuts_are_those_of_the_examples(stored, objective):
    store, whole = (make_store(stored, objective=objective, max_length=length) for length in (40, 100_000))
    levels = [("A1", "B2", "C1")[row % 2] for row in range(len(store.documents))]
    answer = (TargetType.INFILL, TargetType.INFILL_SPECIAL)
    expected = {level: np.zeros(5, dtype=int) for level in ("A1", "B2", "all")}
    texts = {level: {} for level in expected}
    numbers = np.arange(len(store))
    for document, example, uncut in zip(
        store.keys()[0].tolist(), store.lay_out(numbers), whole.lay_out(numbers), strict=True
    ):
        kept, full = (int(np.isin(part.target_types, answer).sum()) for part in (example, uncut))
        for level in (levels[document], "all"):
            is_cut = example.full_length > 40
            expected[level] += [1, is_cut, full > 0 and kept == 0, full, full - kept]
            texts[level].setdefault(document, []).append((full, kept))
    found, longest = cuts_by_level(store.cuts, levels, ["A1", "B2", "C1"]), store.cuts["longest"].max()
    assert [row.level for row in found] == ["A1", "B2", "all"]
    for row in found:
        assert list(row[1:6]) == expected[row.level].tolist()
        without = [any(n for n, _ in masks) and not any(n for _, n in masks) for masks in texts[row.level].values()]
        assert (row.texts, row.texts_unanswered) == (len(texts[row.level]), sum(without))
    assert longest == store.lay_out(numbers).full_lengths.max()
    assert store.cuts_of(np.random.default_rng(0).permutation(len(store))).equals(store.cuts)
    assert cut_lines(found)
    assert f"data.max_length={longest} cuts none" in advice(found, longest, "data.max_length")
    rows = cuts_by_level(whole.cuts, levels, ["A1", "B2"])
    assert cut_lines(rows) == []
    assert advice(rows, longest, "data.max_length") is None


def test_examples_laid_out_together_are_those_of_each_number(stored):
    store = make_store(stored, max_length=60)
    numbers = np.random.default_rng(0).integers(0, len(store), 50)
    for number, example in zip(numbers, store.lay_out(numbers), strict=True):
        assert [column.tolist() for column in example[:2]] == [column.tolist() for column in store[number][:2]]
    assert len(store.lay_out(numbers[:0])) == 0


def test_a_store_reaches_another_process(stored):
    """As a DataLoader's worker gets it where processes are not forked."""
    store = make_store(stored)
    sent = pickle.dumps(store)
    again = pickle.loads(sent)
    assert store[5].input_ids.tolist() == again[5].input_ids.tolist()
    # Token ids are mapped again, not sent.
    assert len(pickle.dumps(store._tokens)) < 1_000


def test_the_first_by_hash_are_those_of_sorting_every_hash(stored):
    corpus, _, _ = stored
    store, ids = make_store(stored), corpus.documents["writing_id"].array
    hashed = sorted(
        (order_key(3, "validation", ids[document], mask), document, number)
        for number, (document, mask) in enumerate(keys(store))
    )
    turns = Counter()
    keyed = []
    for value, document, number in hashed:
        turns[document] += 1
        keyed.append((turns[document], value, number))
    for count in (1, 40, len(store) + 5):
        assert first_by_hash(store, ids, 3, count).tolist() == [number for *_, number in sorted(keyed)[:count]]


def test_the_first_masks_of_each_document(stored):
    few, many = make_store(stored, masks_per_document=3), make_store(stored)
    assert keys(few) == [(document, mask) for document, mask in keys(many) if mask < 3]


def test_some_documents_only(stored):
    _, masks, tokens = stored
    rows = np.array([3, 11, 17])
    store = InfillingDataset(rows, masks, tokens, VOCABULARY, objective="ilm", max_length=256)
    whole = make_store(stored)
    of_whole = {key: whole[n].input_ids.tolist() for n, key in enumerate(keys(whole))}
    assert set(store.keys()[0]) == {3, 11, 17}
    for number, key in enumerate(keys(store)):
        assert store[number].input_ids.tolist() == of_whole[key]


@pytest.mark.parametrize("row", [0, 10_000])
def test_documents_without_masks_are_refused(stored, row):
    _, masks, tokens = stored
    others = replace(masks, documents=masks.documents + 1)
    with pytest.raises(ValueError, match="different splits"):
        InfillingDataset(np.array([row]), others, tokens, VOCABULARY, objective="ilm", max_length=256)


def test_validation_examples_are_spread_over_documents_and_independent_of_the_rest(stored):
    corpus, _, _ = stored
    store, ids = make_store(stored), corpus.documents["writing_id"].array
    chosen = keys(store, first_by_hash(store, ids, 0, 40))
    n_documents = len(corpus.documents)
    assert len({document for document, _ in chosen[:n_documents]}) == n_documents
    assert max(sum(document == d for document, _ in chosen) for d in range(n_documents)) == 2
    assert keys(store, first_by_hash(store, ids, 0, 10)) == chosen[:10]
    assert keys(store, first_by_hash(store, ids, 1, 40)) != chosen
    # Other documents gone, those that stay keep their order.
    fewer = InfillingDataset(
        np.arange(0, n_documents, 2), store._masks, store._tokens, VOCABULARY, objective="ilm", max_length=9
    )
    kept = keys(fewer, first_by_hash(fewer, ids, 0, len(fewer.documents)))
    assert kept == [key for key in chosen[:n_documents] if key[0] % 2 == 0]


def test_target_types_of_a_stored_example(stored):
    store = make_store(stored, max_length=100_000)
    number = random.Random(0).choice(np.flatnonzero(store.token_spans(np.arange(len(store))).counts == 2))
    types = store[number].target_types
    assert (types == TargetType.CONTEXT_INFILL_SEP).sum() == 1
    assert (types == TargetType.CONTEXT_SPECIAL).sum() == (types == TargetType.INFILL_SPECIAL).sum() == 2


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_what_is_told_stands_before_the_same_example_with_the_same_targets(stored, objective):
    corpus, *_ = stored
    documents = corpus.documents.assign(cefr_level="B1")
    told = Conditions.of(["cefr_level"], documents, VOCABULARY).left_out(documents["writing_id"], seed=0)
    plain, conditioned = (make_store(stored, objective=objective, max_length=60, conditions=c) for c in (None, told))
    assert conditioned.keys()[0].tolist() == plain.keys()[0].tolist()
    numbers, line = np.arange(40), VOCABULARY.encode("level: B1\n")
    longer = 0
    for whole, example, counts in zip(
        conditioned.lay_out(numbers),
        plain.lay_out(numbers),
        zip(*conditioned.counts_of(numbers), strict=True),
        strict=True,
    ):
        added = len(whole.input_ids) - len(example.input_ids)
        longer += added > 0
        assert whole.input_ids.tolist() == line[:added] + example.input_ids.tolist()
        assert (whole.target_types[:added] == TargetType.CONTEXT_SPECIAL).all()
        assert whole.full_length == example.full_length
        types = [row.target_types.tolist() for e in (whole, example) for row in pack([e], 100)]
        assert types[: len(types) // 2] == types[len(types) // 2 :]
        assert counts[0] == len(whole.input_ids) <= conditioned.max_tokens == 60 + len(line)
    assert 30 < longer < 40
    assert [c.tolist() for c in conditioned.counts[1:]] == [c.tolist() for c in plain.counts[1:]]
    assert conditioned.n_tokens == conditioned.counts_of(slice(None)).lengths.sum()
    assert conditioned.cuts.equals(plain.cuts)


class Numbered:
    """Examples that tell which epoch and number they are."""

    max_tokens = 9

    def __init__(self, epoch: int, size: int):
        self.epoch, self.size = epoch, size

    def __len__(self):
        return self.size

    def tell(self, numbers):
        return [(self.epoch, int(number)) for number in numbers]

    lay_out = keys = counts_of = tell


def stores(*sizes: int) -> tuple[ResampledDataset, list[int]]:
    opened = []

    def open_epoch(epoch: int) -> Numbered:
        opened.append(epoch)
        return Numbered(epoch, sizes[epoch])

    return ResampledDataset(open_epoch), opened


def test_epochs_follow_each_other_and_are_opened_when_asked_for():
    found, opened = stores(5, 3, 4)
    assert opened == [0]
    assert found.numbers(0) == range(5)
    assert opened == [0]
    assert found.numbers(2) == range(8, 12)
    assert opened == [0, 1, 2]
    for read in (found.lay_out, found.keys, found.counts_of):
        assert read(np.array([4, 0])) == [(0, 4), (0, 0)]
        assert read(np.array([5, 7])) == [(1, 0), (1, 2)]
        assert read(np.array([8, 11])) == [(2, 0), (2, 3)]
    assert found.max_tokens == 9


def test_a_step_is_of_one_epoch():
    found, _ = stores(5, 3)
    found.numbers(1)
    with pytest.raises(ValueError, match="several epochs"):
        found.lay_out(np.array([4, 5]))
    assert found.lay_out(np.array([], dtype=int)) == []


def test_the_order_of_epochs_of_their_own():
    found, opened = stores(50, 30, 40)
    order = Shuffled(found.numbers, seed=3)
    assert np.array_equal(order.epoch(0), Shuffled(50, seed=3).epoch(0))
    assert order.examples_in(1) == 30
    assert opened == [0, 1]
    drawn = order.epoch(2)
    assert sorted(drawn) == list(range(80, 120))
    assert np.array_equal(drawn, Shuffled(found.numbers, seed=3).epoch(2))
    assert not np.array_equal(drawn, Shuffled(found.numbers, seed=4).epoch(2))
