"""A cloze test's items and each model's predictions, kept batch by batch, so that a killed run resumes.

results/<name>/items.jsonl                            an item a line
results/<name>/answers/<model>-<fingerprint>.jsonl    predictions, an item a line, the longest texts first
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import takewhile
from pathlib import Path

from ilm.evaluation.cloze.base import ClozeModel
from ilm.evaluation.cloze.items import Item
from ilm.evaluation.kept_lines import KeptLines, Record
from ilm.evaluation.report import write_text

KEY = ("item",)


def write_items(folder: Path, items: Sequence[Item]) -> None:
    lines = (json.dumps(item.to_dict(), ensure_ascii=False) + "\n" for item in items)
    write_text(folder / "items.jsonl", "".join(lines))


def missing_items(kept: KeptLines, items: Sequence[Item], batch_size: int) -> list[Item]:
    """The items without a prediction, the longest first, so that texts that do not fit in memory fail at once.

    A batch of which only a part was written is cut off, and predicted again as a whole: because of padding, the last
    digits of a prediction depend on the rest of its batch.
    """
    order = sorted(items, key=lambda item: (-len(item.text), item.key))
    there = kept.read()
    done = sum(1 for _ in takewhile(lambda item: (item.key,) in there, order))
    if done < len(order):
        done -= done % batch_size
    kept.truncate(done)
    return order[done:]


def predictions(model: ClozeModel, items: Sequence[Item], batch_size: int) -> Iterator[list[Record]]:
    """A record per item: its key, and for each blank the learner's `word` and the fields of `Prediction`."""
    for begin in range(0, len(items), batch_size):
        batch = items[begin : begin + batch_size]
        yield [
            {
                "item": item.key,
                "writing_id": item.writing_id,
                "cefr_level": item.cefr_level,
                "l1": item.l1,
                "blanks": [{"word": word, **asdict(found)} for word, found in zip(item.words, blanks, strict=True)],
            }
            for item, blanks in zip(batch, model.predict(batch), strict=True)
        ]
