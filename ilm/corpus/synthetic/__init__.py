"""The sample corpus: synthetic learner texts in the project's CSV schema, as many as asked for.

It stands in for EFCAMDAT where that cannot be had: the same shares of levels and first languages, similar lengths,
writing tasks that grow with the level, errors typical of the writer's first language, and what breaks pipelines. No
sentence is taken from a real corpus. How: `composition` (a text), `grammar` and `data/topics_*` (what is said),
`writers` (who says it), `errors` (how it goes wrong), `oddities`.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from random import Random

from ilm.corpus.sampling import apportion
from ilm.corpus.synthetic.composition import compose
from ilm.files import atomic_file
from ilm.hashing import order_key

LEVEL_SHARES: dict[str, float] = {"A1": 0.4717, "A2": 0.2977, "B1": 0.1611, "B2": 0.0556, "C1": 0.0138}
"""Shares of texts by CEFR level, as in EFCAMDAT; they are normalised before use."""

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
"""Shares of texts by the writer's first language, as in EFCAMDAT; they are normalised before use."""

COLUMNS = ("writing_id", "l1", "cefr_level", "text")
_GOLDEN = 0.6180339887498949


def level_counts(size: int, floor: int = 500) -> dict[str, int]:
    """Texts per level: `floor` each, the rest by `LEVEL_SHARES` (largest remainder, ties by name); the sum is `size`.

    Where `size` does not allow the floor, `size // 5` takes its place.
    """
    floor = min(floor, size // len(LEVEL_SHARES))
    rest = size - floor * len(LEVEL_SHARES)
    counts = apportion(rest, {level: round(share * 10_000) for level, share in LEVEL_SHARES.items()})
    return {level: floor + count for level, count in counts.items()}


def generate(size: int, seed: int, floor: int = 500) -> Iterator[dict[str, str]]:
    """Yield `size` rows with the keys `COLUMNS`, levels mixed at random.

    A row depends on (`seed`, `writing_id`) alone: "A1-000017" is the same text in a corpus of any size.
    """
    levels = [level for level, count in level_counts(size, floor).items() for _ in range(count)]
    Random(order_key("order of levels", seed)).shuffle(levels)
    written = dict.fromkeys(LEVEL_SHARES, 0)
    for level in levels:
        written[level] += 1
        writing_id = f"{level}-{written[level]:06d}"
        l1 = _l1_of(written[level])
        text = compose(level, l1, Random(order_key(seed, writing_id)))
        yield {"writing_id": writing_id, "l1": l1, "cefr_level": level, "text": text}


def _l1_of(number: int) -> str:
    """The first language of a level's text by its number.

    Multiples of the golden section fill the interval evenly, so even a few hundred texts have the shares that
    independent draws have only on average.
    """
    point = number * _GOLDEN % 1 * sum(L1_SHARES.values())
    for l1, share in L1_SHARES.items():
        point -= share
        if point < 0:
            return l1
    return l1


def write_csv(path: Path, size: int, seed: int, floor: int = 500) -> None:
    """Write `generate(size, seed, floor)` to `path` as UTF-8 CSV with a header; the file is whole or absent."""
    rows = generate(size, seed, floor)
    with atomic_file(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
