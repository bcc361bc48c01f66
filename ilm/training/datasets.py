"""The training, validation and test examples of a run.

1. Texts: those of its level, optionally filtered (`data.only`), or a random subset of all levels (`data.like`).
2. The conditioning prefix of each text (`data.condition`).
3. Examples under the prepared masks, or for training under different masks in each epoch.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from ilm.config.train import Train
from ilm.corpus.store import PreparedCorpus
from ilm.examples.conditions import Conditions
from ilm.examples.dataset import InfillingDataset, ResampledDataset
from ilm.examples.token_store import TokenStore
from ilm.examples.vocabulary import Vocabulary
from ilm.files import remove_strays
from ilm.hashing import order_keys
from ilm.masking.generate import train_masks_of_epoch
from ilm.masking.masks import Masks
from ilm.masking.store import MaskStore
from ilm.training.sampling import drawn_until


def open_datasets(
    settings: Train, corpus: PreparedCorpus, masks: MaskStore, vocabulary: Vocabulary, token_store: str, caches: Path
) -> tuple[InfillingDataset | ResampledDataset, InfillingDataset, Callable[[], InfillingDataset]]:
    """The training examples, the validation examples, and a function that opens the test examples."""
    remove_strays(corpus.folder / "tokens")  # left by runs killed while writing them
    tokens = TokenStore.open_or_make(corpus.folder / "tokens", corpus, vocabulary, token_store, caches / "tokens")
    level, data = settings.cefr_level, settings.data
    documents, conditions = corpus.documents, None
    dataset = partial(
        InfillingDataset,
        tokens=tokens,
        vocabulary=vocabulary,
        objective=settings.objective,
        max_length=data.max_length,
    )

    def infill_targets(rows: np.ndarray) -> np.ndarray:
        examples = dataset(np.sort(rows), masks.splits["train"])
        return np.bincount(examples.keys()[0], examples.counts.infill_targets, len(documents))[rows]

    rows, of_valid = (corpus.rows(split, level.chosen, data.only) for split in ("train", "valid"))
    if data.like is not None:
        ids, key = documents["writing_id"].array, order_keys(corpus.seed, "subset", data.like, data.draw)
        wanted = int(infill_targets(corpus.rows("train", [data.like])).sum())
        rows = drawn_until(rows, lambda row: key(ids[row]), wanted, infill_targets)
    if data.condition is not None:
        conditions = Conditions.of(data.condition, documents, vocabulary)
    in_training = conditions and conditions.left_out(documents["writing_id"], settings.seed)
    dataset_of = partial(dataset, rows, conditions=in_training)
    train, valid = dataset_of(masks.splits["train"]), dataset(of_valid, masks.splits["valid"], conditions=conditions)

    def test() -> InfillingDataset:
        return dataset(corpus.rows("test", level.chosen, data.only), masks.splits["test"], conditions=conditions)

    if not settings.masking.resample_each_epoch:
        return train, valid, test
    masks_of = partial(train_masks_of_epoch, corpus, settings.masking, instead=caches / "masks")
    return ResampledDataset(partial(_of_epoch, train, dataset_of, masks_of)), valid, test


def _of_epoch(
    first: InfillingDataset,
    dataset_of: Callable[[Masks], InfillingDataset],
    masks_of: Callable[[int], Masks],
    epoch: int,
) -> InfillingDataset:
    """The dataset of an epoch (from 0), which data loaders started by spawning can pickle."""
    return dataset_of(masks_of(epoch)) if epoch else first
