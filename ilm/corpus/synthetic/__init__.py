"""The sample corpus: synthetic learner texts in the project's CSV schema, as many as asked for.

It stands in for EFCAMDAT where that cannot be had: the same shares of levels and first languages, similar lengths,
writing tasks that grow with the level, errors typical of the writer's first language, and what breaks pipelines. No
sentence is taken from a real corpus. How: `learners` (whose texts), `composition` (a text), `grammar` and
`data/topics_*` (what is said), `writers` (who says it), `errors` (how it goes wrong), `oddities`.
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
"""Texts that every level has at least, for 80 effective clusters in its test split; at 2,900 C1 has 80.0, no margin."""

COLUMNS = ("writing_id", "learner_id", "l1", "cefr_level", "topic", "text", "text_corrected")


def level_counts(size: int, floor: int = FLOOR) -> dict[str, int]:
    """Texts per level: `floor` each, the rest by `LEVEL_SHARES` (largest remainder, ties by name); the sum is `size`.

    Where `size` does not allow the floor, `size // 5` takes its place.
    """
    floor = min(floor, size // len(LEVEL_SHARES))
    rest = size - floor * len(LEVEL_SHARES)
    counts = apportion(rest, {level: round(share * 10_000) for level, share in LEVEL_SHARES.items()})
    return {level: floor + count for level, count in counts.items()}


def generate(size: int, seed: int, floor: int = FLOOR) -> Iterator[dict[str, str]]:
    """Yield `size` rows with the keys `COLUMNS`, levels mixed at random.

    A row depends on (`seed`, `writing_id`) alone: "A1-000017" is the same text of the same learner in a corpus of any
    size. The learners of a level are numbered, and a hash of the number says how many texts each has there: so the
    17th text is by the learner whose texts reach to it. A learner of two levels has the same number in both.
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
