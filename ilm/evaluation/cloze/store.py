"""A cloze test on disk: what it is, its items, and each model's predictions, written batch by batch.

    results/<name>/cloze.json               identity: what decides the predictions
    results/<name>/items.jsonl              an item a line
    results/<name>/answers/<model>-<fingerprint>.json     identity of a model, and how it was used
    results/<name>/answers/<model>-<fingerprint>.jsonl    predictions, an item a line, the longest texts first
    results/<name>/cloze.log                the log

The composition of batches follows from items and batch size. A batch of which a killed run wrote a part is predicted
again whole: padding makes the last digits of a model's arithmetic depend on what else is in the batch.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ilm.config.keys import flat
from ilm.errors import UserError
from ilm.evaluation.cloze.base import ClozeModel, Prediction
from ilm.evaluation.cloze.items import Item
from ilm.files import DISK_FULL, atomic_file, locked, read_json, read_object, remove_strays, write_json
from ilm.progress import ProgressLog
from ilm.runs.identity import identity_differences

IDENTITY = "cloze.json"
ITEMS = "items.jsonl"
ANSWERS = "answers"


@contextmanager
def open_results(folder: Path, identity: Mapping[str, Any], items: Sequence[Item]) -> Iterator[None]:
    """Lock the folder of the cloze test with this identity (nested, plain) for this process; begin or resume it.

    Raises: UserError if another process works in it, it holds another test (the differences are listed) or something
    else, or the disk is full.
    """
    refusal = f"Another process works on {folder}. Wait until it has ended, or type name=... for another folder."
    with locked(folder.parent / f".{folder.name}.lock", refusal):
        _require_same(folder, dict(flat(identity)))
        try:
            # First, since a folder without it is not taken for a cloze test's.
            write_json(folder / IDENTITY, dict(flat(identity)))
            remove_strays(folder, all_of_them=True)  # the folder is locked: nobody is still writing
            with atomic_file(folder / ITEMS) as temporary:
                temporary.write_text("".join(f"{_line(item.to_dict())}\n" for item in items), encoding="utf-8")
            yield
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise
            raise UserError(
                f"{DISK_FULL[error.errno]}: {folder} cannot be written. Make room and type the same command: it goes "
                "on where it stopped. Or type paths.results=... for another place."
            ) from error


def _require_same(folder: Path, identity: dict[str, Any]) -> None:
    if (folder / IDENTITY).is_file():
        before = read_object(folder / IDENTITY)
        if before is None:
            raise UserError(
                f"{folder / IDENTITY} is damaged. Type name=... for another cloze test, or delete that folder."
            )
        if differences := identity_differences(before, identity):
            lines = "\n".join(f"  - {difference}" for difference in differences)
            raise UserError(
                f"{folder} holds another cloze test:\n{lines}\nType name=... for one of its own, or delete that folder."
            )
    elif folder.exists() and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise UserError(f"{folder} exists and holds no cloze test. Type name=... for another name.")


@dataclass(frozen=True)
class PredictionFile:
    """The predictions of one model: `name` is that of its files, `identity` that of the model."""

    folder: Path
    name: str
    identity: Mapping[str, Any]

    @property
    def _record(self) -> Path:
        return self.folder / ANSWERS / f"{self.name}.json"

    @property
    def _file(self) -> Path:
        return self.folder / ANSWERS / f"{self.name}.jsonl"

    def is_complete(self, items: Sequence[Item], batch_size: int) -> bool:
        """Whether this very model's predictions for all items are there."""
        keys = [item.key for item in longest_first(items)]
        if not (self._is_of_this_model() and self._file.is_file()):
            return False
        return _whole_batches(self._file, keys, batch_size) == (len(keys), self._file.stat().st_size)

    def complete(self, model: ClozeModel, items: Sequence[Item], batch_size: int, description: str) -> None:
        """Add what is missing; predictions of another model, or of an unknown one, are replaced."""
        self._file.parent.mkdir(exist_ok=True)
        order = longest_first(items)
        if not self._is_of_this_model():
            self._file.unlink(missing_ok=True)
        done = _resume(self._file, [item.key for item in order], batch_size)
        write_json(self._record, {"identity": dict(self.identity), "asked": model.info()})
        with (
            open(self._file, "a", encoding="utf-8") as out,
            ProgressLog(len(order), description, "items", initial=done) as progress,
        ):
            for begin in range(done, len(order), batch_size):
                batch = order[begin : begin + batch_size]
                for item, blanks in zip(batch, model.predict(batch), strict=True):
                    out.write(_line(_stored(item, blanks)) + "\n")
                out.flush()
                os.fsync(out.fileno())
                progress.update(len(batch))

    def read(self) -> dict[str, list[dict[str, Any]]]:
        """Predictions by item key: a dictionary per blank, with the fields of `Prediction` and `word`."""
        with open(self._file, encoding="utf-8") as file:
            return {stored["item"]: stored["blanks"] for stored in map(json.loads, file)}

    def info(self) -> dict[str, Any]:
        """How the model was used (`ClozeModel.info`)."""
        return read_json(self._record)["asked"]

    def _is_of_this_model(self) -> bool:
        before = read_object(self._record, "identity", "asked") if self._record.is_file() else None
        return before is not None and before["identity"] == dict(self.identity)


def longest_first(items: Sequence[Item]) -> list[Item]:
    """Items in the order in which they are predicted: what does not fit in memory fails at once."""
    return sorted(items, key=lambda item: (-len(item.text), item.key))


def _resume(file: Path, keys: Sequence[str], batch_size: int) -> int:
    """How many predictions can stay; what follows them is cut off."""
    if not file.is_file():
        return 0
    kept, size = _whole_batches(file, keys, batch_size)
    os.truncate(file, size)
    return kept


def _whole_batches(file: Path, keys: Sequence[str], batch_size: int) -> tuple[int, int]:
    """The predictions in whole batches: their number, and where they end in the file, in bytes."""
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
    """The item of a line; None for a damaged one, which is predicted again with all behind it."""
    try:
        return json.loads(line)["item"]
    except (ValueError, KeyError, TypeError):
        return None


def _stored(item: Item, predictions: Sequence[Prediction]) -> dict[str, Any]:
    about = {"item": item.key, "writing_id": item.writing_id, "cefr_level": item.cefr_level, "l1": item.l1}
    blanks = zip(item.words, predictions, strict=True)
    return {**about, "blanks": [{"word": word, **asdict(prediction)} for word, prediction in blanks]}


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
