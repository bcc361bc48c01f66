"""Near-duplicate texts: MinHash finds candidates, exact Jaccard similarity decides.

1. Shingles: a folded text is represented by the set of its character 5-grams, and the similarity of two texts is the
   Jaccard similarity of their sets (Broder 1997, On the resemblance and containment of documents, with word shingles).
   Character n-grams suit learner texts, which are short (about 60 words) and vary in spelling: at 0.8, two texts of 330
   characters may differ in about four words or seven letters; word 3-grams would allow two words. They also work for
   scripts without spaces.
2. Sketches: 126 MinHash values per text (R-MinHash of the library `rensa`, fixed seed); each agrees between two texts
   with a probability equal to their similarity.
3. Candidates: the values are divided into bands; texts that agree on a whole band share a bucket (locality-sensitive
   hashing; Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, chapter 3).
4. Candidates whose sketches agree too little are skipped; the others are compared by their shingles.

Guaranteed: every pair that is found is at least as similar as the threshold (shingles are compared by 48 bits of their
hash: one wrong comparison in 10^9). Not guaranteed: full recall. A pair exactly at the threshold shares a bucket with
a probability of at least 99 %, a more similar pair with a higher one. In buckets of more than `LEADERS` + 1 texts, each
text is compared with the first `LEADERS` only, so that time grows linearly even if thousands copy one model answer: of
30,000 texts filled into one template, 98 % of the pairs above 0.8 were found. Buckets are ordered by text key, so the
order of rows and threads does not matter.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from rensa import RMinHash
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from tqdm import tqdm

from ilm.corpus.text_keys import BLOCK, Picked, folded

SHINGLE = 5  # characters
VALUES = 126  # MinHash values per text: 21 bands of 6 at a similarity of 0.8
SEED = 1
RECALL = 0.99  # for pairs exactly at the threshold
LEADERS = 64
REMEMBERED = 1_000_000  # pairs, about 100 MB

# Batch sizes that fit the processor's cache; larger ones take several times as long.
_CHARACTERS = 200_000
_PAIRS = 1 << 12

_QUIET: dict[str, Any] = {"disable": None, "leave": False}  # progress on a terminal only

# Callbacks on pairs a, b of distinct texts: a mask of those to compare, and what to do with similar ones.
Wanted = Callable[[np.ndarray, np.ndarray], np.ndarray]
Found = Callable[[np.ndarray, np.ndarray], None]


def near_duplicate_clusters(texts: pd.Series, keys: np.ndarray, similarity: float) -> np.ndarray:
    """The cluster of each text, (D,) int64: similar texts share one, directly or through others.

    `keys`: `text_keys(texts)`.
    """
    index = _Index(texts, keys, similarity)
    label = np.arange(len(index.rows))

    def connect(a: np.ndarray, b: np.ndarray) -> None:
        joined, ends = np.unique(label[np.concatenate((a, b))], return_inverse=True)
        renamed = np.arange(len(label))
        renamed[joined] = joined[connected(len(joined), ends.reshape(2, -1).T)]
        label[:] = renamed[label]

    # Texts that are already connected are not compared.
    index.search(lambda a, b: label[a] != label[b], connect)
    return label[index.distinct]


def connected(size: int, pairs: np.ndarray) -> np.ndarray:
    """The connected components of `size` nodes with edges `pairs` (P, 2): each node's smallest connected node, (N,)."""
    one, other = np.asarray(pairs, dtype=np.int64).reshape(-1, 2).T
    edges = coo_array((np.ones(len(one), dtype=bool), (one, other)), shape=(size, size))
    _, component = connected_components(edges, directed=False)
    _, least = np.unique(component, return_index=True)
    return least[component]


def near_duplicates_among(
    texts: pd.Series, keys: np.ndarray, queries: np.ndarray, reference: np.ndarray, similarity: float
) -> np.ndarray:
    """For each query row, a reference row with an equal or similar text, (D,) int64; -1: none.

    `keys`: `text_keys(texts)`. `queries`, `reference`: masks (D,) bool, disjoint. Similarity is direct, not transitive.
    Pairs that `near_duplicate_clusters` misses are not found here either.
    """
    index = _Index(texts, keys, similarity)
    # For each distinct text: its first reference row, whether it is a query, and its match.
    row_in = np.full(len(index.rows), -1, dtype=np.int64)
    rows = np.flatnonzero(reference)[::-1]
    row_in[index.distinct[rows]] = rows
    is_query = np.zeros(len(index.rows), dtype=bool)
    is_query[index.distinct[queries]] = True
    partner = row_in.copy()

    def open_(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return is_query[a] & (partner[a] < 0) & (row_in[b] >= 0)

    def match(a: np.ndarray, b: np.ndarray) -> None:
        for one, other in ((a, b), (b, a)):
            new = open_(one, other)
            partner[one[new]] = row_in[other[new]]

    index.search(lambda a, b: open_(a, b) | open_(b, a), match)
    return np.where(queries, partner[index.distinct], -1)


class _Index:
    """The T distinct texts, ordered by key, and their sketches."""

    def __init__(self, texts: pd.Series, keys: np.ndarray, similarity: float) -> None:
        self.texts, self.similarity = Picked(texts), similarity
        # `rows`: (T,) a row of `texts` with each text; `distinct`: (D,) the text of each row.
        _, self.rows, self.distinct = np.unique(keys, return_index=True, return_inverse=True)
        width = band_width(similarity)
        self.bands = np.empty((VALUES // width, len(self.rows)), dtype=np.uint32)
        # The low bits of the values (b-bit minwise hashing, Li and König 2010).
        self.sketches = np.empty((len(self.rows), VALUES), dtype=np.uint8)
        # In row order, which is memory order.
        in_order, at = np.argsort(self.rows), 0
        with tqdm(desc="Near-duplicates: sketching", total=len(in_order), unit=" texts", **_QUIET) as progress:
            for values in _sketched(self.texts, self.rows[in_order]):
                place = in_order[at : at + len(values)]
                at += len(values)
                self.sketches[place] = values
                for band, key in enumerate(self.bands):
                    key[place] = _mixed(values[:, band * width : (band + 1) * width])
                progress.update(len(values))

    def search(self, wanted: Wanted, found: Found) -> None:
        """Compare texts that share a bucket, and pass similar pairs to `found`."""
        different: set[int] = set()  # dissimilar pairs, each as one integer; they may meet again in another bucket
        for keys in tqdm(self.bands, "Near-duplicates: comparing", unit=" bands", **_QUIET):
            order = np.argsort(keys, kind="stable")
            starts = np.flatnonzero(np.diff(keys[order], prepend=keys[order[:1]] + 1))
            sizes = np.diff(starts, append=len(order))
            starts, sizes = starts[sizes > 1], sizes[sizes > 1]
            for leader in range(LEADERS):
                starts, sizes = starts[sizes > leader + 1], sizes[sizes > leader + 1]
                if not len(starts):
                    break
                others = sizes - leader - 1
                a = np.repeat(order[starts + leader], others)
                b = order[np.repeat(starts + leader + 1, others) + _counting(others)]
                chosen = wanted(a, b)
                a, b = self._agreeing(a[chosen], b[chosen])
                pairs = a * len(order) + b
                fresh = np.array([pair not in different for pair in pairs.tolist()], dtype=bool)
                a, b, pairs = a[fresh], b[fresh], pairs[fresh]
                for part, similar in self._compared(a, b):
                    if len(different) < REMEMBERED:
                        different.update(pairs[part][~similar].tolist())
                    if similar.any():
                        found(a[part][similar], b[part][similar])

    def _agreeing(self, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The pairs whose similarity as estimated from sketches is at most three standard deviations too low."""
        deviation = (self.similarity * (1 - self.similarity) / VALUES) ** 0.5
        least = (self.similarity - 3 * deviation) * VALUES
        parts = [slice(at, at + _PAIRS) for at in range(0, len(a), _PAIRS)]
        agreeing = [(self.sketches[a[part]] == self.sketches[b[part]]).sum(axis=1) >= least for part in parts]
        kept = np.concatenate([np.empty(0, dtype=bool), *agreeing])
        return a[kept], b[kept]

    def _compared(self, a: np.ndarray, b: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield slices of the pairs with a mask of those whose shingles are similar enough."""
        at = 0
        while at < len(a):
            part = slice(at, at + _PAIRS)
            texts, place = np.unique(np.concatenate((a[part], b[part])), return_inverse=True)
            strings = [folded(text) for text in self.texts.at(self.rows[texts])]
            one, other = place.reshape(2, -1)
            lengths = np.array([len(string) for string in strings])
            fits = max(1, int(np.searchsorted(np.cumsum(lengths[one] + lengths[other]), _CHARACTERS)))
            yield slice(at, at + fits), jaccard(strings, one[:fits], other[:fits]) >= self.similarity
            at += fits


def band_width(similarity: float) -> int:
    """MinHash values per band: the largest number that finds a pair at the threshold with probability `RECALL`."""
    widths = range(VALUES, 0, -1)
    return next((w for w in widths if 1 - (1 - similarity**w) ** (VALUES // w) >= RECALL), 1)


def jaccard(strings: list[str], one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Jaccard similarity of the shingle sets of folded texts, (P,) float, for pairs of positions in `strings`.

    At most 2^16 strings and pairs: a shingle is one integer of 16 bits of position and 48 of hash.
    """
    hashes, offsets = _shingles(strings)
    position = np.repeat(np.arange(len(strings), dtype=np.uint64), np.diff(offsets))
    # Sort by hand: numpy.unique hashes, which is far slower for millions of values.
    tagged = np.sort((position << np.uint64(48)) | (hashes >> np.uint64(16)))
    tagged = tagged[np.diff(tagged, prepend=tagged[:1] + 1) != 0]
    sizes = np.bincount((tagged >> np.uint64(48)).astype(np.int64), minlength=len(strings))
    starts = np.cumsum(sizes) - sizes
    both = np.concatenate((one, other))
    gathered = tagged[np.repeat(starts[both], sizes[both]) + _counting(sizes[both])] << np.uint64(16)
    pair = np.repeat(np.tile(np.arange(len(one)), 2), sizes[both]).astype(np.uint64) << np.uint64(48)
    merged = np.sort(pair | (gathered >> np.uint64(16)))
    shared = merged[1:][merged[1:] == merged[:-1]] >> np.uint64(48)
    common = np.bincount(shared.astype(np.int64), minlength=len(one))
    return common / (sizes[one] + sizes[other] - common)


def _shingles(strings: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of the character 5-grams of folded texts, uint64, and the offset of each text's first, (S + 1,).

    A shorter text is a single shingle, so it is similar only to itself.
    """
    padded = [string if len(string) >= SHINGLE else string.ljust(SHINGLE, "\0") for string in strings]
    ends = np.cumsum([len(string) for string in padded], dtype=np.int64)
    raw = "".join(padded).encode("utf-32-le", "surrogatepass")
    one = np.frombuffer(raw, dtype=np.uint32).astype(np.uint64)
    two = one[:-1] * np.uint64(0x9E3779B97F4A7C15) + one[1:]
    hashes = two[:-3] * np.uint64(0xC2B2AE3D27D4EB4F) + two[2:-1]
    hashes *= np.uint64(0x165667B19E3779F9)
    hashes += one[4:]
    # Multiplying mixes towards high bits only; sketches and comparisons use both ends.
    hashes ^= hashes >> np.uint64(32)
    hashes *= np.uint64(0xD6E8FEB86659FD93)
    hashes ^= hashes >> np.uint64(32)
    inside = np.ones(len(hashes), dtype=bool)
    for back in range(1, SHINGLE):
        inside[ends[:-1] - back] = False
    return hashes[inside], np.concatenate(([0], ends - (SHINGLE - 1) * np.arange(1, len(ends) + 1)))


def _sketched(texts: Picked, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the MinHash values of the texts at `rows`, in blocks of (B, VALUES) uint32."""
    for first in range(0, len(rows), BLOCK):
        strings = [folded(text) for text in texts.at(rows[first : first + BLOCK])]
        parts = np.cumsum([len(string) for string in strings]) // _CHARACTERS
        bounds = [0, *(np.flatnonzero(np.diff(parts)) + 1).tolist(), len(strings)]
        for start, end in pairwise(bounds):
            hashes, offsets = _shingles(strings[start:end])
            matrix = RMinHash.digest_matrix_from_flat_token_hashes(hashes, offsets.astype(np.uint64), VALUES, SEED)
            yield np.array(matrix.to_rows(), dtype=np.uint32)


def _mixed(values: np.ndarray) -> np.ndarray:
    """One 32-bit key per row of (B, W) uint32. A collision only costs a comparison."""
    key = np.zeros(len(values), dtype=np.uint64)
    for column in values.T:
        key = (key ^ column) * np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(29)
    return (key >> np.uint64(32)).astype(np.uint32)


def _counting(counts: np.ndarray) -> np.ndarray:
    """Concatenated 0, 1, ..., c - 1 for each count c."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
