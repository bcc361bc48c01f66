"""The examples of one split as a dataset: documents x masks, laid out on demand.

1. Select documents (rows of documents.parquet) and take their masks from the mask store.
2. Align all spans with tokens. Examples with two spans that share a token are dropped and counted. Lengths and targets
   are counted from the spans, without laying examples out.
3. `dataset.lay_out(numbers)` aligns the requested masks again and lays them out (`ilm.examples.layout`).

Four numbers per example (10 bytes) stay in memory; texts, tokens and masks are memory-mapped.

Legend: E examples, D documents.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from ilm.examples.alignment import TokenSpans, align
from ilm.examples.conditions import Conditions
from ilm.examples.cuts import document_cuts
from ilm.examples.layout import Example, Examples, add_prefixes, lay_out_all
from ilm.examples.lengths import ExampleCounts, count_answers, count_examples, full_lengths
from ilm.examples.token_store import TokenStore
from ilm.examples.vocabulary import Vocabulary
from ilm.hashing import order_keys
from ilm.masking.masks import Masks, offsets, ranges

# Documents per chunk, few enough for the processor's cache.
DOCUMENTS_PER_CHUNK = 2_000
EXAMPLES_PER_CHUNK = 10_000


class InfillingDataset:
    """E examples of the given documents of one split.

    `documents`: sorted row numbers, all in the split of `masks`. `masks_per_document`: keep only the first masks of
    each document, counting dropped ones (None: all). `fitting`: an objective; keep only examples whose row under it
    fits `max_length` (with `naive`, the reference's `skip_naive_incomplete`, which makes its five objectives
    comparable). `conditions`: prefixes, not counted in `max_length`.

    `counts`: tokens and targets of each example. `dropped`: number of examples with two spans that share a token.
    `unfitting`: number left out by `fitting`. `cuts`: what truncation removes (`document_cuts`). `n_tokens`: tokens of
    all examples after truncation.
    """

    def __init__(
        self,
        documents: np.ndarray,
        masks: Masks,
        tokens: TokenStore,
        vocabulary: Vocabulary,
        *,
        objective: str,
        max_length: int,
        masks_per_document: int | None = None,
        fitting: str | None = None,
        conditions: Conditions | None = None,
    ):
        self.documents = np.asarray(documents)
        self.vocabulary, self.objective, self.max_length = vocabulary, objective, max_length
        self._masks, self._tokens, self._conditions = masks, tokens, conditions
        if not np.isin(self.documents, masks.documents).all():
            raise ValueError("documents and masks come from different splits")
        entries = np.searchsorted(masks.documents, self.documents)
        begins, ends = masks.mask_offsets[entries], masks.mask_offsets[entries + 1]
        if masks_per_document is not None:
            ends = np.minimum(ends, begins + masks_per_document)
        self.masks_per_document = int((ends - begins).max(initial=0))
        self.dropped = self.unfitting = self.n_tokens = 0
        self._mask_numbers, self.counts, self.cuts = self._survey(begins, ends, fitting)

    def __len__(self) -> int:
        return len(self._mask_numbers)

    @property
    def max_tokens(self) -> int:
        """Maximum tokens of an example: `max_length` plus the longest prefix."""
        return self.max_length + (self._conditions.longest if self._conditions else 0)

    def __getitem__(self, number: int) -> Example:
        return self.lay_out(np.array([number]))[0]

    def lay_out(self, numbers: np.ndarray) -> Examples:
        """Lay out some examples, concatenated."""
        documents, masks = self.keys(numbers)
        begins = self._tokens.offsets[documents]
        sizes, spans = self._aligned(documents, self._mask_numbers[numbers], 1)
        ids, length = self._tokens.all_ids, self.max_length
        examples = lay_out_all(ids, begins, sizes, spans, self.vocabulary, self.objective, length)
        if self._conditions is None:
            return examples
        return add_prefixes(
            examples, [self._conditions.prefixes[n] for n in self._conditions.of_examples(documents, masks)]
        )

    def keys(self, numbers: np.ndarray | slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
        """The document row of each of some examples (by default of all), and which of its masks."""
        masks = self._mask_numbers[numbers]
        entries = np.searchsorted(self._masks.mask_offsets, masks, side="right") - 1
        return self._masks.documents[entries], masks - self._masks.mask_offsets[entries]

    def counts_of(self, numbers: np.ndarray) -> ExampleCounts:
        """`counts` of some examples as int64, since its own columns would overflow in sums."""
        return ExampleCounts(*(column[numbers].astype(np.int64) for column in self.counts))

    def document_tokens(self, rows: np.ndarray) -> list[np.ndarray]:
        """The token ids of the documents at `rows`."""
        return [self._tokens.ids(row) for row in rows]

    def token_spans(self, numbers: np.ndarray) -> TokenSpans:
        """The masked spans of some examples."""
        return self._aligned(self.keys(numbers)[0], self._mask_numbers[numbers], 1)[1]

    def character_spans(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Starts and lengths in characters of the masked spans of some examples, int64, ordered as `token_spans`."""
        masks = self._mask_numbers[numbers]
        spans = ranges(self._masks.span_offsets[masks], self._masks.span_offsets[masks + 1])
        return self._masks.starts[spans].astype(np.int64), self._masks.lengths[spans].astype(np.int64)

    def cuts_of(self, numbers: np.ndarray) -> pd.DataFrame:
        """As `cuts`, of some examples."""
        documents, parts = self.keys(numbers)[0], []
        for begin in range(0, len(numbers), EXAMPLES_PER_CHUNK):
            chunk = slice(begin, begin + EXAMPLES_PER_CHUNK)
            sizes, spans = self._aligned(documents[chunk], self._mask_numbers[numbers[chunk]], 1)
            parts.append(self._truncated(sizes, spans))
        return document_cuts(documents, np.concatenate(parts, axis=1), self.max_length)

    def _truncated(self, sizes: np.ndarray, spans: TokenSpans) -> np.ndarray:
        """(3, E): the tokens and the answer tokens of E examples before truncation, and the answer tokens after it."""
        whole = full_lengths(self.objective, sizes, spans)
        return np.stack([whole, *count_answers(self.objective, sizes, spans, self.max_length)])

    def _aligned(
        self, documents: np.ndarray, mask_numbers: np.ndarray, masks_of_each: int | np.ndarray
    ) -> tuple[np.ndarray, TokenSpans]:
        """The documents' sizes in tokens, and their masks in tokens: of each, the next `masks_of_each`.

        All documents are aligned at once, as if concatenated.
        """
        masks, tokens = self._masks, self._tokens
        sizes = tokens.offsets[documents + 1] - tokens.offsets[documents]
        positions, origins = tokens.positions(documents), np.cumsum(sizes) - sizes
        begins, ends = masks.span_offsets[mask_numbers], masks.span_offsets[mask_numbers + 1]
        spans, counts = ranges(begins, ends), ends - begins
        origin_of_each = np.repeat(np.repeat(origins, masks_of_each), counts)
        starts = masks.starts[spans] + positions[origin_of_each]
        first, last = align(positions, starts, masks.lengths[spans].astype(np.int64))
        first -= origin_of_each
        last -= origin_of_each
        return sizes, TokenSpans(offsets(counts), masks.types[spans].astype(np.int64), first, last)

    def _survey(
        self, begins: np.ndarray, ends: np.ndarray, fitting: str | None
    ) -> tuple[np.ndarray, ExampleCounts, pd.DataFrame]:
        """The valid examples among masks begins[k]..ends[k]-1 of document k: mask numbers, counts and cuts."""
        n_candidates = int((ends - begins).sum())
        mask_numbers, cuts = np.empty(n_candidates, dtype=np.int32), []
        count_type = np.uint16 if self.max_tokens < 2**16 else np.uint32
        counts = ExampleCounts(*(np.empty(n_candidates, dtype=count_type) for _ in ExampleCounts._fields))
        done = 0
        for begin in range(0, max(1, len(self.documents)), DOCUMENTS_PER_CHUNK):  # without documents, one empty chunk
            chunk = slice(begin, begin + DOCUMENTS_PER_CHUNK)
            masks_of_each, numbers = ends[chunk] - begins[chunk], ranges(begins[chunk], ends[chunk])
            sizes, spans = self._aligned(self.documents[chunk], numbers, masks_of_each)
            sizes, overlapping = np.repeat(sizes, masks_of_each), spans.overlapping()
            kept = ~overlapping
            self.dropped += int(overlapping.sum())
            if fitting:
                fits = full_lengths(fitting, sizes, spans) <= self.max_length
                self.unfitting += int((kept & ~fits).sum())
                kept &= fits
            found = count_examples(self.objective, sizes, spans, self.max_length)
            documents = np.repeat(self.documents[chunk], masks_of_each)
            if self._conditions is not None:
                added = self._conditions.lengths(documents, numbers - np.repeat(begins[chunk], masks_of_each))
                found = found._replace(lengths=found.lengths + added)
            cuts.append(document_cuts(documents[kept], self._truncated(sizes, spans)[:, kept], self.max_length))
            self.n_tokens += int(found.lengths[kept].sum())
            here = slice(done, done + int(kept.sum()))
            for column, values in zip((mask_numbers, *counts), (numbers, *found), strict=True):
                column[here] = values[kept]
            done = here.stop
        return mask_numbers[:done], ExampleCounts(*(column[:done] for column in counts)), pd.concat(cuts)


class ResampledDataset:
    """Examples with new masks each epoch; epoch e has the example numbers `numbers(e)`, which follow those of e - 1.

    `open_epoch(e)` opens the dataset of an epoch on first use, drawing its masks unless an earlier run has; only epochs
    with planned steps are opened. Epochs may differ in length, since other examples are dropped. A drop-in replacement
    for `InfillingDataset` in training, except that a request must stay within one epoch (else ValueError).
    """

    def __init__(self, open_epoch: Callable[[int], InfillingDataset]):
        self._open_epoch = open_epoch
        self._epochs: list[InfillingDataset] = []
        self._ends = [0]
        self.max_tokens = self.epoch(0).max_tokens

    def epoch(self, epoch: int) -> InfillingDataset:
        """The dataset of an epoch (from 0)."""
        while len(self._epochs) <= epoch:
            self._epochs.append(self._open_epoch(len(self._epochs)))
            self._ends.append(self._ends[-1] + len(self._epochs[-1]))
        return self._epochs[epoch]

    def numbers(self, epoch: int) -> range:
        """The example numbers of an epoch."""
        self.epoch(epoch)
        return range(self._ends[epoch], self._ends[epoch + 1])

    def lay_out(self, numbers: np.ndarray) -> Examples:
        """As `InfillingDataset.lay_out`."""
        dataset, within = self._place(numbers)
        return dataset.lay_out(within)

    def keys(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As `InfillingDataset.keys`; the masks are those of the epoch."""
        dataset, within = self._place(numbers)
        return dataset.keys(within)

    def counts_of(self, numbers: np.ndarray) -> ExampleCounts:
        """As `InfillingDataset.counts_of`."""
        dataset, within = self._place(numbers)
        return dataset.counts_of(within)

    def _place(self, numbers: np.ndarray) -> tuple[InfillingDataset, np.ndarray]:
        """The dataset of some examples, and their numbers in it."""
        if not len(numbers):
            return self.epoch(0), numbers
        epochs = np.searchsorted(self._ends, (numbers.min(), numbers.max()), side="right") - 1
        if epochs[0] != epochs[1]:
            raise ValueError("examples from several epochs, expected one")
        return self._epochs[epochs[0]], numbers - self._ends[epochs[0]]


def first_by_hash(dataset: InfillingDataset, writing_ids: np.ndarray, seed: int, count: int) -> np.ndarray:
    """The numbers of the first `count` examples by hash(seed, writing_id, mask): a fixed, representative sample.

    Takes one example per document while documents last, then a second one, and so on. `writing_ids[row]`: the id of a
    document row. The sample does not depend on the order of the corpus.
    """
    documents, masks = dataset.keys()
    rows, begins = np.unique(documents, return_index=True)
    keys = (order_keys(seed, "validation", writing_id) for writing_id in writing_ids[rows])
    masks_of_each = np.split(masks, begins)[1:]
    values = [value for key, own in zip(keys, masks_of_each, strict=True) for value in map(key, own.tolist())]
    # All first examples of documents by hash, then all second ones, and so on.
    examples = pd.DataFrame({"document": documents, "value": np.array(values, dtype=np.uint64)}).sort_values("value")
    examples["turn"] = examples.groupby("document").cumcount()
    return examples.sort_values(["turn", "value"]).index.to_numpy()[:count]
