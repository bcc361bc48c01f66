"""Kept scores: every target in the right blank for every objective, and what a store does when it is left half done."""

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from ilm.errors import UserError
from ilm.evaluation.scores import EXAMPLE, Scores, ScoreStore, score_batches
from ilm.examples.dataset import InfillingDataset
from ilm.examples.layout import TargetType
from ilm.examples.token_store import TokenStore
from ilm.examples.tokenizers import gpt2_tokenizer
from ilm.examples.vocabulary import Vocabulary
from ilm.masking.functions import Hierarchical
from ilm.masking.generate import write_masks
from ilm.masking.sampling import MaskSettings
from ilm.masking.store import MaskStore
from tests.reference_data import MASK_TYPES

TEXTS = [
    "She ate leftover pasta for lunch.",
    "I’m writing “you” from Łódź 😀. It is cold here!\nYesterday we has seen two film.",
    "Hi",
    "My brother have a dog. The dog is call Rex and he like to run in the park every day.",
]


class Corpus:
    documents_hash = "0123456789ab"
    documents = pd.DataFrame({"writing_id": ["d", "b", "a", "c"], "text": TEXTS, "split": "train"})


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A random model, and a function that opens the examples of an objective."""
    folder = tmp_path_factory.mktemp("corpus")
    # Half of all words masked: blanks beside blanks.
    settings = MaskSettings(Corpus.documents_hash, "hierarchical", {"p": 0.5}, count=8, tries=16, seed=0)
    write_masks(settings.folder(folder), Corpus.documents, Hierarchical(p=0.5), settings, 1)
    masks = MaskStore.open(settings.folder(folder)).splits["train"]
    vocabulary = Vocabulary(gpt2_tokenizer(), MASK_TYPES)
    tokens = TokenStore.open_or_make(folder / "tokens", Corpus, vocabulary, "gpt2")
    torch.manual_seed(0)
    size = vocabulary.base_size + 2 + len(MASK_TYPES)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=size, n_positions=256, n_embd=16, n_layer=1, n_head=2)).eval()

    def examples(objective: str, max_length: int = 256) -> InfillingDataset:
        return InfillingDataset(
            np.arange(len(TEXTS)), masks, tokens, vocabulary, objective=objective, max_length=max_length
        )

    return model, examples, masks


def scored(model, dataset: InfillingDataset, numbers=None, batch_size: int = 5) -> list[Scores]:
    numbers = np.arange(len(dataset)) if numbers is None else numbers
    device = torch.device("cpu")
    return list(
        score_batches(model, dataset, numbers, Corpus.documents, batch_size=batch_size, row_tokens=300, device=device)
    )


def has_answers(example) -> bool:
    """Whether the cut left more than context."""
    return TargetType.CONTEXT_INFILL_SEP in example.target_types


def by_hand(model, dataset: InfillingDataset, number: int) -> tuple[dict, list[dict]]:
    """An example's sums, token by token, with the blanks found by where a token stands in the document."""
    example = dataset[number]
    spans = dataset.token_spans(np.array([number]))
    (row,), _ = dataset.keys(np.array([number]))
    n_document = int(np.diff(dataset._tokens.offsets)[row])
    with torch.inference_mode():
        logits = model(torch.tensor(example.input_ids[None].astype(np.int64))).logits[0].double()
    nll = [-logits[t - 1].log_softmax(0)[example.input_ids[t]].item() for t in range(1, len(example.input_ids))]
    context, blanks = [0.0, 0], [{"nll": 0.0, "targets": 0, "end_nll": 0.0, "end_targets": 0} for _ in spans.types]
    separator = example.target_types.tolist().index(TargetType.CONTEXT_INFILL_SEP) if has_answers(example) else 0
    answered = 0
    for t in range(1, len(example.input_ids)):
        kind = example.target_types[t]
        if kind == TargetType.CONTEXT:
            context = [context[0] + nll[t - 1], context[1] + 1]
        if kind not in (TargetType.INFILL, TargetType.INFILL_SPECIAL):
            continue
        if dataset.objective in ("ilm", "no_context_ilm"):
            blank = answered
            answered += kind == TargetType.INFILL_SPECIAL
        else:
            place = t - separator - 1
            if dataset.objective == "reverse_lm":
                place = n_document - 1 - place
                after = spans.firsts - 1
            else:
                after = spans.lasts
            inside = (spans.firsts <= place) & (place < spans.lasts)
            (blank,) = np.flatnonzero(inside if kind == TargetType.INFILL else after == place)
        prefix = "" if kind == TargetType.INFILL else "end_"
        blanks[blank][f"{prefix}nll"] += nll[t - 1]
        blanks[blank][f"{prefix}targets"] += 1
    about = {"context_nll": context[0], "context_targets": context[1], "tokens": example.full_length}
    return about | {"cut": example.full_length > dataset.max_length}, blanks


@pytest.mark.parametrize("max_length", [256, 20])
@pytest.mark.parametrize("objective", ["ilm", "no_context_ilm", "naive", "lm", "reverse_lm"])
def test_every_target_counts_in_its_blank(world, objective, max_length):
    model, examples, _ = world
    dataset = examples(objective, max_length)
    found = scored(model, dataset)
    got_examples = pd.concat([part.examples for part in found], ignore_index=True)
    got_blanks = pd.concat([part.blanks for part in found], ignore_index=True)
    expected = [by_hand(model, dataset, number) for number in range(len(dataset))]
    about = pd.DataFrame([example for example, _ in expected])
    sums = pd.DataFrame([blank for _, blanks in expected for blank in blanks])
    for column in ("context_targets", "tokens", "cut"):
        assert got_examples[column].tolist() == about[column].tolist()
    assert np.allclose(got_examples["context_nll"], about["context_nll"], rtol=1e-5)
    for column in ("targets", "end_targets"):
        assert got_blanks[column].tolist() == sums[column].tolist()
    for column in ("nll", "end_nll"):
        assert np.allclose(got_blanks[column], sums[column], rtol=1e-5)
    assert sums["targets"].sum() > 50
    assert about["cut"].any() == (max_length == 20)


def test_blanks_say_what_was_cut_out(world):
    model, examples, masks = world
    dataset = examples("ilm")
    (all_scores,) = scored(model, dataset, batch_size=1000)
    blanks = all_scores.blanks
    rows, numbers = dataset.keys()
    for row, number in zip(rows, numbers, strict=True):
        types, starts, lengths = masks.spans(masks.mask_offsets[row] + number)
        there = blanks[(blanks["writing_id"] == Corpus.documents["writing_id"][row]) & (blanks["example"] == number)]
        assert there["blank"].tolist() == list(range(len(types)))
        assert there["mask_type"].tolist() == [MASK_TYPES[t] for t in types]
        assert there["start"].tolist() == starts.tolist()
        assert there["characters"].tolist() == lengths.tolist()
        cut_out = [TEXTS[row][s : s + n] for s, n in zip(starts, lengths, strict=True)]
        assert there["words"].tolist() == [len(part.split()) for part in cut_out]


def keys(dataset: InfillingDataset) -> pd.MultiIndex:
    rows, masks = dataset.keys()
    return pd.MultiIndex.from_arrays([Corpus.documents["writing_id"].to_numpy()[rows], masks], names=EXAMPLE)


class TestStore:
    @pytest.fixture
    def batches(self, world) -> list[Scores]:
        model, examples, _ = world
        return scored(model, examples("ilm"))

    def test_what_is_written_is_read(self, tmp_path, batches):
        store = ScoreStore(tmp_path, "run", {"a": 1})
        store.add(batches)
        found, expected = ScoreStore(tmp_path, "run", {"a": 1}).read(), Scores.joined(batches)
        pd.testing.assert_frame_equal(found.examples, expected.examples)
        pd.testing.assert_frame_equal(found.blanks, expected.blanks)
        assert found.examples["writing_id"].is_monotonic_increasing
        assert sorted(path.name for path in store.folder.iterdir()) == [
            "blanks.parquet",
            "examples.parquet",
            "settings.json",
        ]

    def test_nothing_is_there_at_first(self, world, tmp_path):
        dataset = world[1]("ilm")
        store = ScoreStore(tmp_path, "run", {})
        assert store.read() is None
        assert store.missing(keys(dataset)).all()

    def test_a_killed_evaluation_goes_on(self, world, tmp_path, batches, monkeypatch):
        monkeypatch.setattr("ilm.evaluation.scores.SECONDS_PER_PART", 0)
        dataset, store = world[1]("ilm"), ScoreStore(tmp_path, "run", {})

        def killed():
            yield from batches[:2]
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            store.add(killed())
        assert store.missing(keys(dataset)).tolist() == [number >= 10 for number in range(len(dataset))]
        store.add(batches[2:])
        again = ScoreStore(tmp_path, "run", {})
        pd.testing.assert_frame_equal(again.read().blanks, Scores.joined(batches).blanks)
        assert not again.missing(keys(dataset)).any()

    def test_killed_while_parts_are_joined(self, world, tmp_path, batches, monkeypatch):
        store = ScoreStore(tmp_path, "run", {})
        store.add(batches[:2])

        def killed(*_, **__):
            raise KeyboardInterrupt

        monkeypatch.setattr("ilm.evaluation.scores.shutil.rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            store.add(batches[2:])
        monkeypatch.undo()
        # Parts and whole hold the same examples now: each counts once.
        found = ScoreStore(tmp_path, "run", {}).read()
        pd.testing.assert_frame_equal(found.examples, Scores.joined(batches).examples)
        pd.testing.assert_frame_equal(found.blanks, Scores.joined(batches).blanks)

    def test_other_settings_are_other_scores(self, tmp_path, batches):
        ScoreStore(tmp_path, "run", {"max_length": 256}).add(batches)
        assert ScoreStore(tmp_path, "run", {"max_length": 512}).read() is None
        assert ScoreStore(tmp_path, "other", {"max_length": 256}).read() is None

    def test_some_examples(self, tmp_path, world, batches):
        chosen = keys(world[1]("ilm"))[[3, 7]]
        found = Scores.joined(batches).of(chosen)
        assert pd.MultiIndex.from_frame(found.examples[EXAMPLE]).sort_values().equals(chosen.sort_values())
        assert set(map(tuple, found.blanks[EXAMPLE].to_numpy())) <= set(chosen)

    def test_only_what_is_missing_is_scored(self, world, tmp_path, batches):
        wanted, store, asked = keys(world[1]("ilm")), ScoreStore(tmp_path, "run", {}), []
        store.add(batches[:2])

        def score(missing: np.ndarray) -> list[Scores]:
            asked.extend(missing)
            return batches[2:]

        for _ in range(2):
            pd.testing.assert_frame_equal(store.complete(wanted, score, "run").blanks, Scores.joined(batches).blanks)
        assert asked == list(range(10, len(wanted)))

    def test_two_do_not_score_the_same_at_once(self, world, tmp_path):
        wanted = keys(world[1]("ilm"))

        def score(missing: np.ndarray) -> Scores:
            return ScoreStore(tmp_path, "run", {}).complete(wanted, score, "run")

        with pytest.raises(UserError, match="another evaluation"):
            score(np.arange(1))

    def test_a_damaged_file_is_told(self, tmp_path, batches):
        store = ScoreStore(tmp_path, "run", {})
        store.add(batches)
        (store.folder / "blanks.parquet").write_bytes(b"PAR1")
        with pytest.raises(UserError, match=r"damaged.*Delete it"):
            ScoreStore(tmp_path, "run", {}).read()
