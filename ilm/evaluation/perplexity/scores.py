"""Perplexities of trained models on the documents of each level, by mask type, with counts and standard errors.

1. Lay out the examples of the chosen documents, the same masks and the same length for every model.
2. Score every target, and sum NLL and counts per document, kind and mask type; nothing is averaged before the end.
3. Divide once: perplexity = exp(sum of NLL / number of targets).

Legend: D documents, K kinds (context, infill, infill_textonly), M mask types; column 0 of the mask types is "all".
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedModel

from ilm.evaluation.statistics import ratio_standard_error
from ilm.examples.dataset import InfillingDataset
from ilm.models.scoring import KINDS, TargetScores, of_kind, perplexity, score
from ilm.progress import ProgressLog


@dataclass
class DocumentScores:
    """Sums per document: `nll` (nats) and `counts` (targets), float64 and int64 (D, K, 1 + M).

    `documents` (D,) are rows of documents.parquet, `examples` and `cut` (D,) the examples scored and those that were
    longer than the maximal length; the first column of the last axis is over all mask types.
    """

    documents: np.ndarray
    mask_types: tuple[str, ...]
    nll: np.ndarray
    counts: np.ndarray
    examples: np.ndarray
    cut: np.ndarray

    def frame(self, writing_ids: pd.Series, levels: pd.Series) -> pd.DataFrame:
        """One row per document: writing_id, level, examples, and NLL and targets of every kind over all mask types."""
        columns = {"writing_id": writing_ids.iloc[self.documents].array, "level": levels.iloc[self.documents].array}
        columns |= {"examples": self.examples}
        for k, kind in enumerate(KINDS):
            columns |= {f"{kind}_nll": self.nll[:, k, 0], f"{kind}_targets": self.counts[:, k, 0]}
        return pd.DataFrame(columns)

    def results(self, chosen: np.ndarray) -> Iterator[dict[str, Any]]:
        """One result per kind and mask type over the `chosen` documents (boolean, (D,)); context has no mask type."""
        for k, kind in enumerate(KINDS):
            for m, mask_type in enumerate(("all", *self.mask_types)):
                if kind == "context" and mask_type != "all":
                    continue
                nll, counts = self.nll[chosen, k, m], self.counts[chosen, k, m]
                targets = int(counts.sum())
                loss = float(nll.sum() / targets) if targets else None
                error = ratio_standard_error(nll, counts) if targets else None
                yield {
                    "kind": kind,
                    "mask_type": mask_type,
                    "perplexity": perplexity(loss) if targets else None,
                    "loss": loss,
                    "loss_standard_error": error,
                    "targets": targets,
                    "documents": int((counts > 0).sum()),
                    "examples": int(self.examples[chosen].sum()),
                    "cut_examples": int(self.cut[chosen].sum()),
                }


def score_documents(
    model: PreTrainedModel,
    store: InfillingDataset,
    numbers: Sequence[int],
    *,
    batch_size: int,
    row_tokens: int,
    device: torch.device,
    description: str,
) -> DocumentScores:
    """Score the examples `numbers` of `store`, `batch_size` at a time, and sum by document."""
    documents = np.unique(store.keys(np.asarray(numbers))[0])
    n_types = len(store.vocabulary.mask_types)
    shape = (len(documents), len(KINDS), 1 + n_types)
    sums = DocumentScores(
        documents,
        store.vocabulary.mask_types,
        np.zeros(shape),
        np.zeros(shape, dtype=np.int64),
        np.zeros(len(documents), dtype=np.int64),
        np.zeros(len(documents), dtype=np.int64),
    )
    model.to(device)
    with ProgressLog(len(numbers), description, "examples") as progress:
        for begin in range(0, len(numbers), batch_size):
            batch = np.asarray(numbers[begin : begin + batch_size])
            examples = store.lay_out(batch)
            owners = np.searchsorted(documents, store.keys(batch)[0])
            np.add.at(sums.examples, owners, 1)
            np.add.at(sums.cut, owners, examples.full_lengths > store.max_length)
            _add(sums, score(model, examples, row_tokens, device), owners)
            progress.update(len(batch))
    return sums


def _add(sums: DocumentScores, scores: TargetScores, owners: np.ndarray) -> None:
    documents = owners[scores.examples]
    for k, kind in enumerate(KINDS):
        counted = of_kind(scores.target_types, kind)
        np.add.at(sums.nll, (documents[counted], k, 0), scores.nll[counted])
        np.add.at(sums.counts, (documents[counted], k, 0), 1)
        typed = counted & (scores.answer_types >= 0)
        columns = 1 + scores.answer_types[typed]
        np.add.at(sums.nll, (documents[typed], k, columns), scores.nll[typed])
        np.add.at(sums.counts, (documents[typed], k, columns), 1)
