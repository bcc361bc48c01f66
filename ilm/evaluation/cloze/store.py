"""A cloze test's items and each model's predictions, written batch by batch, so that a killed run resumes.

    results/<name>/items.jsonl              an item a line
    results/<name>/answers/<model>-<fingerprint>.json     identity of a model, and how it was used
    results/<name>/answers/<model>-<fingerprint>.jsonl    predictions, an item a line, the longest texts first

Items and batch size determine the batches. A batch that a killed run wrote only in part is predicted again as a whole:
because of padding, the last digits of a prediction depend on the rest of its batch.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ilm.evaluation.cloze.base import ClozeModel, Prediction
from ilm.evaluation.cloze.items import Item
from ilm.files import atomic_file, read_json, read_object, write_json
from ilm.progress import ProgressLog


def write_items(folder: Path, items: Sequence[Item]) -> None:
    with atomic_file(folder / "items.jsonl") as temporary:
        temporary.write_text("".join(map(_line, (item.to_dict() for item in items))), encoding="utf-8")


@dataclass(frozen=True)
class PredictionFile:
    """The predictions of one model; `name` names its files, `identity` identifies the model."""

    folder: Path
    name: str
    identity: Mapping[str, Any]

    @property
    def _record(self) -> Path:
        return self.folder / "answers" / f"{self.name}.json"

    @property
    def _file(self) -> Path:
        return self.folder / "answers" / f"{self.name}.jsonl"

    def missing(self, items: Sequence[Item], batch_size: int) -> list[Item]:
        """The items without a prediction of this very model, longest first; incomplete batches are cut off the file.

        The longest texts come first, so that texts that do not fit in memory fail at once.
        """
        order = sorted(items, key=lambda item: (-len(item.text), item.key))
        before = read_object(self._record, "identity", "usage") if self._record.is_file() else None
        if before is None or before["identity"] != dict(self.identity):
            self._file.unlink(missing_ok=True)
        if not self._file.is_file():
            return order
        kept, size = _whole_batches(self._file, [item.key for item in order], batch_size)
        os.truncate(self._file, size)
        return order[kept:]

    def add(self, model: ClozeModel, items: Sequence[Item], batch_size: int, progress: ProgressLog) -> None:
        """Append the predictions for `items`."""
        write_json(self._record, {"identity": dict(self.identity), "usage": model.info()})
        with open(self._file, "a", encoding="utf-8") as out, progress:
            for begin in range(0, len(items), batch_size):
                batch = items[begin : begin + batch_size]
                for item, blanks in zip(batch, model.predict(batch), strict=True):
                    out.write(_line(_stored(item, blanks)))
                out.flush()
                os.fsync(out.fileno())
                progress.update(len(batch))

    def read(self) -> dict[str, list[dict[str, Any]]]:
        """Predictions by item key: a dictionary per blank, with the fields of `Prediction` and `word`."""
        with open(self._file, encoding="utf-8") as file:
            return {stored["item"]: stored["blanks"] for stored in map(json.loads, file)}

    def info(self) -> dict[str, Any]:
        """How the model was used (`ClozeModel.info`)."""
        return read_json(self._record)["usage"]


def _whole_batches(file: Path, keys: Sequence[str], batch_size: int) -> tuple[int, int]:
    """(The number of predictions in whole batches; where they end in the file, in bytes)."""
    ends = [0]
    for line, key in zip(file.read_bytes().splitlines(keepends=True), keys, strict=False):
        if not line.endswith(b"\n") or _key_of(line) != key:
            break
        ends.append(ends[-1] + len(line))
    kept = len(ends) - 1
    if kept < len(keys):
        kept -= kept % batch_size
    return kept, ends[kept]


def _key_of(line: bytes) -> str | None:
    """The item of a line; None for a damaged line, which is predicted again with all that follow."""
    try:
        return json.loads(line)["item"]
    except (ValueError, KeyError, TypeError):
        return None


def _stored(item: Item, predictions: Sequence[Prediction]) -> dict[str, Any]:
    about = {"item": item.key, "writing_id": item.writing_id, "cefr_level": item.cefr_level, "l1": item.l1}
    blanks = zip(item.words, predictions, strict=True)
    return {**about, "blanks": [{"word": word, **asdict(prediction)} for word, prediction in blanks]}


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n"
