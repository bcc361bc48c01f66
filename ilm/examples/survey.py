"""Shows what truncation removes from the examples of a prepared corpus, before any training."""

import logging

import pandas as pd

from ilm.corpus.store import PreparedCorpus
from ilm.examples.cuts import advice, cuts_by_level, cuts_table
from ilm.examples.dataset import InfillingDataset
from ilm.examples.token_store import TokenStore
from ilm.examples.tokenizers import gpt2_tokenizer
from ilm.examples.vocabulary import Vocabulary
from ilm.masking.store import MaskStore
from ilm.tables import show

log = logging.getLogger("ilm")


def show_cuts(corpus: PreparedCorpus, masks: MaskStore, max_length: int) -> None:
    """Print and log a table of truncation at `max_length` tokens by level, over all splits.

    Uses GPT-2's tokens, stored for later use in training, and the objective ilm.
    """
    vocabulary = Vocabulary(gpt2_tokenizer(), masks.mask_types)
    tokens = TokenStore.open_or_make(corpus.folder / "tokens", corpus, vocabulary, "gpt2")
    datasets = [
        InfillingDataset(split.documents, split, tokens, vocabulary, objective="ilm", max_length=max_length)
        for split in masks.splits.values()
    ]
    cuts = pd.concat([dataset.cuts for dataset in datasets])
    rows, longest = cuts_by_level(cuts, corpus.documents["cefr_level"], corpus.levels), cuts["longest"].max()
    caption = f"Tokens are GPT-2's, the objective is ilm; the longest example has {longest:,} tokens."
    if dropped := sum(dataset.dropped for dataset in datasets):
        caption += f" {dropped:,} masks make no example: two of their spans share a token."
    if found := advice(rows, longest, "data.max_length"):
        caption += f" {found[0].upper()}{found[1:]}."
    if corpus.text_note is not None:
        caption += f"\n{corpus.text_note}"
    table = cuts_table(rows, f"{corpus.name}: examples cut at {max_length} tokens", caption)
    log.info("%s\n%s\n\n%s", table.title, table.markdown(), caption, extra={"file_only": True})
    show(table)
