"""The longest stretch of tokens of each answer that occurs word for word in a training text.

1. Every run of 1, 2, 3, ... tokens of an answer is hashed: h(t_1..t_n) = h(t_1..t_{n-1}) * B + r(t_n) mod 2^64, with
   an odd B and random r(t) (Karp and Rabin 1987).
2. The training texts are read in chunks of whole texts. In a chunk, only the places are kept whose first token is a
   run of an answer, then only those whose first two tokens are one, and so on until none is left.

Memory is bounded by a chunk and the runs of a group of answers, however many training texts there are. No stretch
crosses the end of a text. Different runs have equal hashes with a probability below 2^-50.

Legend: A answers, Q tokens of a group of them, K distinct runs of one length, T training tokens of a chunk.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ilm.masking.masks import offsets, ranges

CHUNK_TOKENS = 2_000_000
# B, which is 3 modulo 8, so that the differences of its powers have few factors of 2.
_BASE = np.uint64(0x9E3779B97F4A7C13)
# Runs of all lengths in a group of answers, 24 bytes each. The training texts are read once per group.
RUNS_AT_ONCE = 20_000_000
# A table of the first bits of hashes excludes most places: worth it while many are left.
_LONGEST_IN_TABLE = 8


@dataclass(frozen=True)
class Stretches:
    """The longest stretch of each of A answers, all int64 (A,): `lengths` in tokens, 0 for none; `starts`, its first
    token in the answer; `texts`, the number of a training text that contains it, -1 for none."""

    lengths: np.ndarray
    starts: np.ndarray
    texts: np.ndarray


def longest_stretches(
    answers: Sequence[np.ndarray],
    ids: np.ndarray,
    begins: np.ndarray,
    ends: np.ndarray,
    progress: Callable[[int], None] = lambda tokens: None,
) -> Stretches:
    """The longest stretches of `answers`, arrays of token ids, in the texts ids[begins[k] : ends[k]].

    `ids` may be mapped from disk. `progress` is called with the number of tokens read; they are read `readings` times.
    """
    found = Stretches(*(np.full(len(answers), value, dtype=np.int64) for value in (0, 0, -1)))
    sizes = (ends - begins).astype(np.int64)
    before = offsets(sizes + 1)  # as read, every text ends with a token that no answer has
    highest = max(int(part.max(initial=0)) for part in (ids, *answers))
    # r(t) of every token id, and of one more, which ends each text as read.
    values = np.random.default_rng(0).integers(2**64, size=highest + 2, dtype=np.uint64)
    for group in _groups(answers):
        sizes_of_group = np.array([len(answers[number]) for number in group])
        runs = list(_runs_by_length([answers[number] for number in group], values))
        first = 0
        while first < len(sizes) and runs and len(ids):
            reached = np.searchsorted(before, before[first] + CHUNK_TOKENS, side="right") - 1
            last = max(first + 1, int(reached))
            chunk = ids[np.minimum(ranges(begins[first:last], ends[first:last] + 1), len(ids) - 1)].astype(np.int64)
            chunk[before[first + 1 : last + 1] - before[first] - 1] = highest + 1
            _look_up(chunk, int(before[first]), runs, values)
            progress(int(sizes[first:last].sum()))
            first = last
        _take(found, group, sizes_of_group, runs, before)
    return found


def readings(answers: Sequence[np.ndarray]) -> int:
    """How many times the training texts must be read for these answers."""
    return sum(1 for _ in _groups(answers))


class _Runs:
    """The runs of one length `n`: their sorted hashes `keys` (K,), and the first place of each in all texts, `found`
    (K,), -1 if not found yet. `at` are the places in the answers where runs begin, `key_of_each` their keys' numbers.
    """

    def __init__(self, n: int, hashes: np.ndarray, at: np.ndarray):
        self.n, self.at = n, at.astype(np.int32)
        self.keys, key_of_each = np.unique(hashes, return_inverse=True)
        self.key_of_each = key_of_each.astype(np.int32)
        self.found = np.full(len(self.keys), -1, dtype=np.int64)
        self._table = None
        if n <= _LONGEST_IN_TABLE:
            # About 32 entries per key, within a processor's cache.
            bits = min(22, max(8, 5 + len(self.keys).bit_length()))
            self._shift, self._table = np.uint64(64 - bits), np.zeros(1 << bits, dtype=bool)
            self._table[self.keys >> self._shift] = True

    def matching(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(The indices of the hashes that belong to a run; the numbers of their keys)."""
        likely = np.arange(len(hashes)) if self._table is None else np.flatnonzero(self._table[hashes >> self._shift])
        numbers = np.searchsorted(self.keys, hashes[likely])
        numbers[numbers == len(self.keys)] = 0
        same = self.keys[numbers] == hashes[likely]
        return likely[same], numbers[same]


def _groups(answers: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """The numbers of the answers in groups of at most `RUNS_AT_ONCE` runs, or one answer."""
    sizes = np.array([len(answer) for answer in answers], dtype=np.int64)
    group = np.cumsum(sizes * (sizes + 1) // 2) // RUNS_AT_ONCE
    yield from np.split(np.arange(len(answers)), np.flatnonzero(np.diff(group)) + 1) if len(answers) else ()


def _runs_by_length(answers: Sequence[np.ndarray], values: np.ndarray) -> Iterator[_Runs]:
    """The runs of 1, 2, ... tokens."""
    sizes = np.array([len(answer) for answer in answers])
    tokens = np.concatenate([np.asarray(answer, dtype=np.int64) for answer in answers])
    left = np.repeat(np.cumsum(sizes), sizes) - np.arange(len(tokens))  # tokens of the answer from each place on
    hashes, at = np.zeros(len(tokens), dtype=np.uint64), np.arange(len(tokens))
    for n in range(1, int(sizes.max(initial=0)) + 1):
        kept = left[at] >= n
        at = at[kept]
        hashes = hashes[kept] * _BASE + values[tokens[at + n - 1]]
        yield _Runs(n, hashes, at)


def _look_up(chunk: np.ndarray, begin: int, runs: Sequence[_Runs], values: np.ndarray) -> None:
    """Record which runs occur in a chunk of T token ids that begins at place `begin` of all texts read."""
    places, hashes = np.arange(len(chunk)), np.zeros(len(chunk), dtype=np.uint64)
    for of_length in runs:
        # A run found so far does not contain the end of a text, so another token follows it.
        hashes = hashes * _BASE + values[chunk[places + of_length.n - 1]]
        matching, numbers = of_length.matching(hashes)
        if not len(matching):
            return
        places, hashes = places[matching], hashes[matching]
        new = of_length.found[numbers] < 0
        of_length.found[numbers[new]] = begin + places[new]


def _take(found: Stretches, group: np.ndarray, sizes: np.ndarray, runs: Sequence[_Runs], before: np.ndarray) -> None:
    """Record the longest runs found in a group of answers, which have `sizes` tokens."""
    answer_of, first_token = np.repeat(group, sizes), np.repeat(np.cumsum(sizes) - sizes, sizes)
    for of_length in runs:  # longer ones replace shorter ones
        place = of_length.found[of_length.key_of_each]
        # The first of an answer is written last.
        there = np.flatnonzero(place >= 0)[::-1]
        at, place = of_length.at[there], place[there]
        found.lengths[answer_of[at]] = of_length.n
        found.starts[answer_of[at]] = at - first_token[at]
        found.texts[answer_of[at]] = np.searchsorted(before, place, side="right") - 1
