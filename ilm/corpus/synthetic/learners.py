"""Assigns texts to learners: several texts each, most learners at one level, some at two adjacent ones."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from random import Random

from ilm.hashing import order_key

LEVEL_SHARES: dict[str, float] = {"A1": 0.4717, "A2": 0.2977, "B1": 0.1611, "B2": 0.0556, "C1": 0.0138}
"""Shares of texts by CEFR level, as in EFCAMDAT; normalised before use."""

L1_SHARES: dict[str, float] = {
    "Portuguese": 0.4335,
    "Mandarin": 0.1792,
    "Spanish": 0.0895,
    "Russian": 0.0682,
    "German": 0.0573,
    "Italian": 0.0490,
    "French": 0.0450,
    "Arabic": 0.0405,
    "Japanese": 0.0236,
    "Turkish": 0.0143,
}
"""Shares of learners by first language, as in EFCAMDAT; normalised before use."""

_TEXTS = (0.69, 0.4)  # mean and standard deviation of the log number of texts of a learner at a level
_MOST_TEXTS = 8
_GOING_ON = 0.15  # share of a level's learners who also write at the next one
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True, slots=True)
class Learner:
    """A writer of the corpus; `key` seeds everything that stays the same across the learner's texts."""

    id: str
    l1: str
    key: int


def learners(level: str, seed: int) -> Iterator[Learner]:
    """Yield the learner of each text of a level, in numerical order, without end.

    Learners are numbered within a level, and their texts are consecutive. For each number at most one level's learner
    goes on to the next level, so nobody writes at three levels.
    """
    levels = list(LEVEL_SHARES)
    before = levels.index(level) - 1
    for number in count(1):
        goes_on = int(Random(order_key(seed, "goes on", number)).random() / _GOING_ON) == before
        name = f"{levels[before] if goes_on else level}-L{number:05d}"
        learner = Learner(name, _l1_of(number), order_key(seed, name))
        texts = round(Random(order_key(seed, "texts", level, number)).lognormvariate(*_TEXTS))
        for _ in range(min(max(texts, 1), _MOST_TEXTS)):
            yield learner


def _l1_of(number: int) -> str:
    """The first language of the learners with this number.

    Multiples of the golden ratio fill the interval evenly, so even a few hundred learners match the shares that
    independent draws would reach only on average.
    """
    point = number * _GOLDEN % 1 * sum(L1_SHARES.values())
    for l1, share in L1_SHARES.items():
        point -= share
        if point < 0:
            return l1
    return l1
