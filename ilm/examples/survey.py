"""Shows what truncation removes from the examples of a prepared corpus, before any training."""

import logging
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ilm.corpus.store import PreparedCorpus
from ilm.examples.cuts import Cuts, advice, cuts_table
from ilm.masking.store import MaskStore
from ilm.tables import show

if TYPE_CHECKING:
    from ilm.examples.vocabulary import Vocabulary

log = logging.getLogger("ilm")


def show_cuts(corpus: PreparedCorpus, masks: MaskStore, max_length: int) -> None:
    """Print and log a table of truncation at `max_length` tokens by level, over all splits.

    Uses GPT-2's tokens, stored for later use in training, and the objective ilm.
    """
    # Imported late: transformers takes seconds, and typing mistakes should show at once.
    from ilm.examples.dataset import InfillingDataset
    from ilm.examples.token_store import TokenStore

    vocabulary = _gpt2_vocabulary(tuple(masks.mask_types))
    tokens = TokenStore.open_or_make(corpus.folder / "tokens", corpus, vocabulary, "gpt2")
    datasets = [
        InfillingDataset(split.documents, split, tokens, vocabulary, objective="ilm", max_length=max_length)
        for split in masks.splits.values()
    ]
    cuts = Cuts.joined([dataset.cuts for dataset in datasets])
    documents = np.concatenate([split.documents for split in masks.splits.values()])
    of_document = corpus.documents["cefr_level"].to_numpy(dtype=object)[documents]
    rows = cuts.by_level(of_document, corpus.manifest["settings"]["levels"])
    caption = f"Tokens are GPT-2's, the objective is ilm; the longest example has {cuts.longest:,} tokens."
    if dropped := sum(dataset.dropped for dataset in datasets):
        caption += f" {dropped:,} masks make no example: two of their spans share a token."
    if found := advice(rows, cuts.longest, "data.max_length"):
        caption += f" {found[0].upper()}{found[1:]}."
    if corpus.text_note is not None:
        caption += f"\n{corpus.text_note}"
    table = cuts_table(rows, f"{corpus.name}: examples cut at {max_length} tokens", caption)
    log.info("%s\n%s\n\n%s", table.title, table.markdown(), caption, extra={"file_only": True})
    show(table)


@lru_cache(maxsize=1)
def _gpt2_vocabulary(mask_types: tuple[str, ...]) -> "Vocabulary":
    """GPT-2's vocabulary, made once for all corpora of a command."""
    from ilm.examples.tokenizers import gpt2_tokenizer
    from ilm.examples.vocabulary import Vocabulary

    return Vocabulary(gpt2_tokenizer(), mask_types)
