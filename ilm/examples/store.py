"""The examples of one split as numbers 0..E-1: documents x masks, laid out on demand.

1. Choose the documents (rows of documents.parquet) and take all their masks from the mask store.
2. Align every span with the document's tokens; an example in which two spans share a token is dropped, counted.
3. `store[i]` aligns that one mask again and lays the example out (`ilm.examples.layout`).

Nothing is held but one number per example (4 bytes); texts, tokens and masks stay mapped from disk.
"""

from typing import NamedTuple

import numpy as np

from ilm.examples.layout import Example, TokenSpan, example_length, lay_out
from ilm.examples.tokens import TokenStore, align
from ilm.examples.vocabulary import Vocabulary
from ilm.hashing import order_key
from ilm.masking.store import SplitMasks

DOCUMENTS_PER_CHUNK = 20_000


class ExampleKey(NamedTuple):
    """Where an example comes from: the document's row in documents.parquet, and which of its masks."""

    document: int
    mask: int


class ExampleStore:
    """E examples of the given documents of one split.

    `documents` are sorted row numbers, all in the split of `masks`. `masks_per_document` keeps only the first masks
    of each document (None: all). `fitting` names an objective: only examples are kept whose row of that objective would
    fit `max_length` (the reference's `skip_naive_incomplete`, for `naive`, makes its five objectives comparable).

    Counted: `dropped`, examples left out because two spans share a token; `unfitting`, left out by `fitting`; `cut`,
    examples longer than `max_length` tokens; `n_tokens`, the tokens of all examples after the cut. At most
    `masks_per_document` of each document are there, counting those left out.
    """

    def __init__(
        self,
        documents: np.ndarray,
        masks: SplitMasks,
        tokens: TokenStore,
        vocabulary: Vocabulary,
        *,
        objective: str,
        max_length: int,
        masks_per_document: int | None = None,
        fitting: str | None = None,
    ):
        self.documents = np.asarray(documents)
        self.vocabulary, self.objective, self.max_length = vocabulary, objective, max_length
        self._masks, self._tokens = masks, tokens
        if not np.isin(self.documents, masks.documents).all():
            raise ValueError("documents and masks are of different splits")
        entries = np.searchsorted(masks.documents, self.documents)
        begins, ends = masks.mask_offsets[entries], masks.mask_offsets[entries + 1]
        if masks_per_document is not None:
            ends = np.minimum(ends, begins + masks_per_document)
        self.masks_per_document = int((ends - begins).max(initial=0))
        overlapping, full_lengths, fitting_lengths = self._survey(begins, ends, fitting or objective)
        unfitting = ~overlapping & (fitting_lengths > max_length) if fitting else np.zeros_like(overlapping)
        kept = ~overlapping & ~unfitting
        self._mask_numbers = _ranges(begins, ends)[kept].astype(np.int32)
        self.dropped, self.unfitting = int(overlapping.sum()), int(unfitting.sum())
        self.cut = int((full_lengths[kept] > max_length).sum())
        self.n_tokens = int(np.minimum(full_lengths[kept], max_length).sum())

    def __len__(self) -> int:
        return len(self._mask_numbers)

    def key(self, number: int) -> ExampleKey:
        """The document and mask of example `number`."""
        mask = self._mask_numbers[number]
        entry = int(np.searchsorted(self._masks.mask_offsets, mask, side="right")) - 1
        return ExampleKey(int(self._masks.documents[entry]), int(mask - self._masks.mask_offsets[entry]))

    def document_of_each(self) -> np.ndarray:
        """The document row of every example, (E,)."""
        entries = np.searchsorted(self._masks.mask_offsets, self._mask_numbers, side="right") - 1
        return self._masks.documents[entries]

    def __getitem__(self, number: int) -> Example:
        document, _ = self.key(number)
        spans = self.spans(number)
        ids = self._tokens.ids(document).tolist()
        return lay_out(ids, spans, self.vocabulary, self.objective, self.max_length)

    def spans(self, number: int) -> list[TokenSpan]:
        """The masked token spans of example `number`."""
        document, _ = self.key(number)
        types, starts, lengths = self._masks.spans(int(self._mask_numbers[number]))
        if not len(types):
            return []
        first, last = align(self._tokens.positions(document), starts.astype(np.int64), lengths.astype(np.int64))
        return [TokenSpan(*span) for span in zip(types.tolist(), first.tolist(), last.tolist(), strict=True)]

    def _survey(self, begins: np.ndarray, ends: np.ndarray, fitting: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For every candidate mask: whether two of its spans share a token, its example's full length in tokens, and
        the full length it would have under the objective `fitting`.

        Works on many documents at once: their tokens and spans are laid end to end in one line of characters.
        """
        masks, tokens = self._masks, self._tokens
        overlapping = [np.zeros(0, dtype=bool)]
        lengths, fitting_lengths = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        for begin in range(0, len(self.documents), DOCUMENTS_PER_CHUNK):
            chunk = slice(begin, begin + DOCUMENTS_PER_CHUNK)
            documents, masks_of_each = self.documents[chunk], ends[chunk] - begins[chunk]
            origin = int(documents[0])
            positions = tokens.positions(origin, int(documents[-1]) + 1)
            document_starts = positions[tokens.offsets[documents] - tokens.offsets[origin]]
            mask_numbers = _ranges(begins[chunk], ends[chunk])
            span_begins, span_ends = masks.span_offsets[mask_numbers], masks.span_offsets[mask_numbers + 1]
            spans, spans_of_each = _ranges(span_begins, span_ends), span_ends - span_begins
            starts = np.repeat(np.repeat(document_starts, masks_of_each), spans_of_each) + masks.starts[spans]
            first, last = align(positions, starts, masks.lengths[spans].astype(np.int64))
            mask_of_span = np.repeat(np.arange(len(mask_numbers)), spans_of_each)
            shared = (mask_of_span[1:] == mask_of_span[:-1]) & (first[1:] < last[:-1])
            sharing = np.zeros(len(mask_numbers), dtype=bool)
            sharing[mask_of_span[1:][shared]] = True
            overlapping.append(sharing)
            document_tokens = np.repeat(np.diff(tokens.offsets)[documents], masks_of_each)
            masked_tokens = np.bincount(mask_of_span, weights=last - first, minlength=len(mask_numbers)).astype(
                np.int64
            )
            lengths.append(example_length(self.objective, document_tokens, masked_tokens, spans_of_each))
            if fitting != self.objective:
                fitting_lengths.append(example_length(fitting, document_tokens, masked_tokens, spans_of_each))
        if fitting == self.objective:
            fitting_lengths = lengths
        return np.concatenate(overlapping), np.concatenate(lengths), np.concatenate(fitting_lengths)


def first_by_hash(store: ExampleStore, writing_ids, seed: int, count: int) -> np.ndarray:
    """The numbers of the first `count` examples by hash(seed, writing_id, mask): a fixed, representative sample.

    At most one example per document while documents last, then at most two, and so on; `writing_ids[row]` is the id
    of a document row. The choice does not depend on the order of the corpus or on `len(store)` beyond what is in it.
    """
    keyed = []
    seen: dict[int, int] = {}
    hashed = sorted(
        (order_key(seed, "validation", writing_ids[key.document], key.mask), key.document, number)
        for number, key in ((number, store.key(number)) for number in range(len(store)))
    )
    for value, document, number in hashed:
        turn = seen[document] = seen.get(document, 0) + 1
        keyed.append((turn, value, number))
    keyed.sort()
    return np.array([number for _, _, number in keyed[:count]], dtype=np.int64)


def _ranges(begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The ranges begins[k]..ends[k]-1 one after another, as one array."""
    lengths = (ends - begins).astype(np.int64)
    result = np.arange(lengths.sum(), dtype=np.int64)
    result += np.repeat(begins - (np.cumsum(lengths) - lengths), lengths)
    return result
