"""The sample corpus: any number of synthetic learner texts in the project's CSV schema.

It replaces EFCAMDAT for users without access: the same shares of levels and first languages, similar lengths, writing
tasks that grow with the level, errors typical of the first language, and input that breaks pipelines. No sentence comes
from a real corpus. `learners` assigns texts to learners, `composition` writes a text, `grammar` and `data/topics_*`
supply its content, `writers` its author, `errors` and `oddities` what goes wrong.
"""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from ilm.corpus.sampling import apportion
from ilm.corpus.synthetic.composition import compose
from ilm.corpus.synthetic.learners import LEVEL_SHARES, learners
from ilm.files import atomic_file
from ilm.hashing import order_key

FLOOR = 3_000
"""Minimum texts per level, for 80 effective clusters in its test split; with 2,900, C1 has 80.0, without a margin."""

COLUMNS = ("writing_id", "learner_id", "l1", "cefr_level", "topic", "text", "text_corrected")


def level_counts(size: int, floor: int = FLOOR) -> dict[str, int]:
    """Texts per level: `floor` each, the rest by `LEVEL_SHARES` (largest remainder, ties by name); the sum is `size`.

    The floor is `size // 5` if `size` does not allow for `floor`.
    """
    floor = min(floor, size // len(LEVEL_SHARES))
    rest = size - floor * len(LEVEL_SHARES)
    counts = apportion(rest, {level: round(share * 10_000) for level, share in LEVEL_SHARES.items()})
    return {level: floor + count for level, count in counts.items()}


def generate(size: int, seed: int, floor: int = FLOOR) -> Iterator[dict[str, str]]:
    """Yield `size` rows with the keys `COLUMNS`, levels in random order.

    A row depends only on (`seed`, `writing_id`): "A1-000017" is the same text by the same learner in a corpus of any
    size. Learners of a level are numbered; a hash of the number gives their text count, and counting up to 17 gives the
    author of text 17. A learner at two levels has the same number at both.
    """
    levels = [level for level, count in level_counts(size, floor).items() for _ in range(count)]
    Random(order_key("order of levels", seed)).shuffle(levels)
    written = dict.fromkeys(LEVEL_SHARES, 0)
    learner_of = {level: learners(level, seed) for level in LEVEL_SHARES}
    for level in levels:
        written[level] += 1
        writing_id, learner = f"{level}-{written[level]:06d}", next(learner_of[level])
        composed = compose(level, learner.l1, learner.key, Random(order_key(seed, writing_id)))
        known = {"writing_id": writing_id, "learner_id": learner.id, "l1": learner.l1, "cefr_level": level}
        yield known | composed._asdict()


def write_csv(path: Path, size: int, seed: int, floor: int = FLOOR, columns: Sequence[str] = COLUMNS) -> None:
    """Write `columns` of `generate(size, seed, floor)` to `path` as UTF-8 CSV; the file is whole or absent."""
    rows = generate(size, seed, floor)
    with atomic_file(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
