"""Corpora for the tests of interchange: documents with splits and drawn masks, without a file of either."""

import random
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd

from ilm.corpus.splitting.assign import SPLITS
from ilm.masking.functions import Hierarchical
from ilm.masking.masks import Masks
from ilm.masking.store import MaskStore

TEXTS = (
    "She ate leftover pasta for lunch.",
    "I’m 😀 happy!\nSecond “line” here. And 你好。",
    "Two.\n\nParagraphs, with a gap.",
    "<|endoftext|> and <|endofinfill|> are text.",
    "It is a — very — long text. " * 3 + "End.",
)
UNWRITABLE = (" space before", "space after\n", "three\n\n\nnewlines", "carriage\r\nreturn", "no-break space\u00a0")


def corpus(texts=TEXTS, levels=("A1", "B2"), folder=Path(), masks=None, count=4):
    """A stand-in for a prepared corpus, with every text in every level and split, and its masks."""
    rows = [
        (f"{level}-{split}-{number:03}", "German", level, text, split)
        for level in levels
        for split in sorted(SPLITS)
        for number, text in enumerate(texts)
    ]
    documents = pd.DataFrame(rows, columns=["writing_id", "l1", "cefr_level", "text", "split"], dtype="str")
    stand_in = SimpleNamespace(name="small", documents_hash="0123456789ab", documents=documents, folder=folder)
    return stand_in, store_of(documents, masks or Hierarchical(p=0.2), count)


def store_of(documents, function, count) -> MaskStore:
    splits = {}
    for split in SPLITS:
        rows = np.flatnonzero(documents["split"] == split).tolist()
        masks = [
            [function(documents["text"][row], random.Random(1000 * row + n)) for n in range(count)] for row in rows
        ]
        splits[split] = Masks.of(rows, masks, function.mask_types)
    return MaskStore("words", tuple(function.mask_types), splits)


def contents(documents, store) -> list:
    """Level, split, text and masks of every document, in no order."""
    found = []
    for split, masks in store.splits.items():
        for k, row in enumerate(masks.documents.tolist()):
            spans = [
                [
                    (store.mask_types[t], int(start), int(length))
                    for t, start, length in zip(*masks.spans(mask), strict=True)
                ]
                for mask in range(masks.mask_offsets[k], masks.mask_offsets[k + 1])
            ]
            found.append((documents["cefr_level"][row], split, documents["text"][row], spans))
    return sorted(found)
