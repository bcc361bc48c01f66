"""The loader of a run on a prepared corpus: totals of steps, and batches that depend on nothing but their number."""

import multiprocessing
import os
import signal
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch

from ilm.config.sections import OBJECTIVES
from ilm.corpus.store import PreparedCorpus
from ilm.examples.dataset import InfillingDataset
from ilm.examples.layout import TargetType
from ilm.examples.token_store import TokenStore
from ilm.examples.tokenizers import gpt2_tokenizer
from ilm.examples.vocabulary import Vocabulary
from ilm.masking.store import MaskStore
from ilm.training.batch_plan import StepPlan
from ilm.training.datamodule import RangeSampler, micro_batch_loader
from ilm.training.micro_batches import MicroBatch, MicroBatchDataset
from ilm.training.sampling import Shuffled
from tests.reference_data import MASK_TYPES

LEVELS = ("A1", "A2", "B1", "B2", "C1")
DIVISIONS = [{"batch_size": 4, "accumulate": 2}, {"max_tokens": 1024, "accumulate": 2}]


@lru_cache
def train_store(data: Path, tokens: Path, objective: str) -> tuple[InfillingDataset, np.ndarray]:
    corpus = PreparedCorpus.open(data / "small")
    masks = MaskStore.open(next((corpus.folder / "masks").glob("hierarchical-*")))
    vocabulary = Vocabulary(gpt2_tokenizer(), MASK_TYPES)
    token_store = TokenStore.open_or_make(tokens, corpus, vocabulary, "gpt2")
    rows = corpus.rows("train", LEVELS)
    # Cut at 40 tokens, so that many examples are.
    store = InfillingDataset(rows, masks.splits["train"], token_store, vocabulary, objective=objective, max_length=40)
    return store, corpus.documents["cefr_level"].map(LEVELS.index).to_numpy()


@pytest.fixture(scope="module")
def tokens(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("tokens")


def micro_batches(prepared, tokens, objective="ilm", rank=0, **division) -> MicroBatchDataset:
    store, levels = train_store(prepared, tokens, objective)
    plan = StepPlan(Shuffled(len(store), seed=1), store, **division)
    return MicroBatchDataset(store, plan, row_tokens=100, rank=rank, level_codes=levels, n_levels=len(LEVELS))


def contents(batch: MicroBatch) -> list:
    counts = [value.tolist() if isinstance(value, np.ndarray) else value for value in vars(batch.step).values()]
    values = [value for row in batch.rows for value in vars(row).values()]
    tensors = [value.tolist() if isinstance(value, torch.Tensor) else value for value in values]
    return [batch.index, batch.numbers.tolist(), counts, tensors]


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("division", DIVISIONS, ids=["examples", "tokens"])
def test_totals_are_those_of_laying_out_the_whole_step(prepared, tokens, objective, division):
    batches = micro_batches(prepared, tokens, objective, **division)
    store, steps = batches.dataset, batches.plan.steps_of_epochs(1)
    assert store.cuts["longest"].max() > 40
    for step in (0, 7, steps - 1):
        examples = [store[int(number)] for number in batches.plan.step(step)]
        types = np.concatenate([example.target_types[1:] for example in examples])
        levels = np.zeros((2, len(LEVELS)), dtype=int)
        for number, example in zip(batches.plan.step(step), examples, strict=True):
            of_example = example.target_types[1:]
            counts = ((of_example == TargetType.CONTEXT).sum(), (of_example >= TargetType.INFILL).sum())
            levels[:, batches.level_codes[store.keys(number)[0]]] += counts
        for micro_batch in range(2):
            batch = batches[2 * step + micro_batch]
            assert batch.step.examples == len(examples)
            assert batch.step.tokens == sum(len(example.input_ids) for example in examples)
            assert batch.step.context_targets == (types == TargetType.CONTEXT).sum()
            assert batch.step.infill_targets == (types >= TargetType.INFILL).sum()
            assert batch.step.level_targets.tolist() == levels.tolist()


@pytest.mark.parametrize("division", DIVISIONS, ids=["examples", "tokens"])
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_loader_that_starts_later_gives_what_would_have_come(prepared, tokens, division, workers):
    batches = micro_batches(prepared, tokens, **division)
    # Over the end of the first epoch.
    sampler = RangeSampler(range(2 * batches.plan.steps_of_epochs(2)), 2 * batches.plan.steps_of_epochs(1) - 9)
    loader = micro_batch_loader(batches, sampler, workers)
    for index, batch in zip(range(sampler.start, sampler.start + 20), loader, strict=False):
        assert contents(batch) == contents(batches[index])


@pytest.mark.parametrize(
    ("division", "divided"),
    [
        ({"batch_size": 24}, {"batch_size": 4, "accumulate": 3, "world_size": 2}),
        ({"max_tokens": 4096}, {"max_tokens": 1024, "accumulate": 2, "world_size": 2}),
    ],
    ids=["examples", "tokens"],
)
def test_ranks_and_micro_batches_together_are_the_step(prepared, tokens, division, divided):
    whole = micro_batches(prepared, tokens, **division)
    accumulate = divided["accumulate"]
    ranks = [micro_batches(prepared, tokens, rank=rank, **divided) for rank in range(2)]
    for step in range(0, whole.plan.steps_of_epochs(1), 5):
        parts = [ranks[rank][step * accumulate + part] for part in range(accumulate) for rank in range(2)]
        together = whole[step]
        assert np.concatenate([part.numbers for part in parts]).tolist() == together.numbers.tolist()
        for part in parts:
            assert contents(part)[2] == contents(together)[2]
            assert sum(row.input_ids.shape[1] for row in part.rows) <= divided.get("max_tokens", 4 * 40)


def test_workers_leave_signals_to_the_run(prepared, tokens):
    loader = iter(micro_batch_loader(micro_batches(prepared, tokens, batch_size=4), RangeSampler(range(1_000)), 1))
    next(loader)
    (worker,) = multiprocessing.active_children()
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(worker.pid, number)
    assert len([next(loader) for _ in range(100)]) == 100
    assert worker.is_alive()


def test_a_resumed_range_starts_where_it_was_left_every_time():
    sampler = RangeSampler(range(10), 7)
    assert list(sampler) == list(sampler) == [7, 8, 9]
    assert len(sampler) == 10
