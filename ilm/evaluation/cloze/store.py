"""A bench on disk while it runs: what it is, its items, and each model's answers, batch by batch.

    results/<name>/cloze.json               identity: what decides the answers
    results/<name>/items.jsonl              an item a line
    results/<name>/answers/<model>-<fingerprint>.json     identity of a model, and how it was asked
    results/<name>/answers/<model>-<fingerprint>.jsonl    an item a line, in the order they are asked
    results/<name>/cloze.log                what was said meanwhile

The items are asked in batches whose composition is fixed by items and batch size. A batch of which a killed run wrote a
part is asked again whole: padding makes the last digits of a model's arithmetic depend on what else is in the batch.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ilm.config.keys import flat
from ilm.errors import UserError
from ilm.evaluation.cloze.answerers import Answerer, BlankAnswer
from ilm.evaluation.cloze.items import Item
from ilm.files import DISK_FULL, atomic_file, locked, read_json, read_object, remove_strays, write_json
from ilm.progress import ProgressLog
from ilm.runs.identity import identity_differences

IDENTITY = "cloze.json"
ITEMS = "items.jsonl"
ANSWERS = "answers"


@contextmanager
def opened(folder: Path, identity: Mapping[str, Any], items: Sequence[Item]) -> Iterator[None]:
    """Hold the folder of a bench with this identity (nested, plain) for this process; begin it or go on with it.

    Raises: UserError if another process works in it, it holds another bench (the differences are listed) or something
    else, or the disk is full.
    """
    refusal = f"Another process works on {folder}. Wait until it has ended, or type name=... for another folder."
    with locked(folder.parent / f".{folder.name}.lock", refusal):
        _require_same(folder, dict(flat(identity)))
        try:
            # First, since a folder without it is not taken for a bench's.
            write_json(folder / IDENTITY, dict(flat(identity)))
            remove_strays(folder, all_of_them=True)  # the folder is held, so nobody is still at it
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
            raise UserError(f"{folder / IDENTITY} is damaged. Type name=... for another bench, or delete that folder.")
        if differences := identity_differences(before, identity):
            lines = "\n".join(f"  - {difference}" for difference in differences)
            raise UserError(
                f"{folder} holds another bench:\n{lines}\nType name=... for one of its own, or delete that folder."
            )
    elif folder.exists() and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise UserError(f"{folder} exists and holds no cloze bench. Type name=... for another name.")


def ask(
    answerer: Answerer,
    items: Sequence[Item],
    folder: Path,
    name: str,
    identity: Mapping[str, Any],
    batch_size: int,
    description: str,
) -> None:
    """Ask a model about all items that it has not answered yet; `name` is that of its files.

    What is there of another model, or of one that is not known, is asked anew.
    """
    answers = folder / ANSWERS
    answers.mkdir(exist_ok=True)
    record, file = answers / f"{name}.json", answers / f"{name}.jsonl"
    order = asking_order(items)
    if not _matches(folder, name, identity):
        file.unlink(missing_ok=True)
    done = _resume(file, [item.key for item in order], batch_size)
    write_json(record, {"identity": dict(identity), "asked": answerer.describe()})
    with (
        open(file, "a", encoding="utf-8") as out,
        ProgressLog(len(order), description, "items", initial=done) as progress,
    ):
        for begin in range(done, len(order), batch_size):
            batch = order[begin : begin + batch_size]
            for item, blanks in zip(batch, answerer.answer(batch), strict=True):
                out.write(_line(_record(item, blanks)) + "\n")
            out.flush()
            os.fsync(out.fileno())
            progress.update(len(batch))


def asking_order(items: Sequence[Item]) -> list[Item]:
    """Items by length, the longest first: what does not fit in memory is known at once."""
    return sorted(items, key=lambda item: (-len(item.text), item.key))


def is_answered(folder: Path, name: str, identity: Mapping[str, Any], items: Sequence[Item], batch_size: int) -> bool:
    """Whether this very model has answered all items already."""
    file = folder / ANSWERS / f"{name}.jsonl"
    keys = [item.key for item in asking_order(items)]
    if not (_matches(folder, name, identity) and file.is_file()):
        return False
    return _whole(file, keys, batch_size) == (len(keys), file.stat().st_size)


def _matches(folder: Path, name: str, identity: Mapping[str, Any]) -> bool:
    """Whether there are answers of this very model."""
    record = folder / ANSWERS / f"{name}.json"
    before = read_object(record, "identity", "asked") if record.is_file() else None
    return before is not None and before["identity"] == dict(identity)


def read_answers(folder: Path, name: str) -> dict[str, list[dict[str, Any]]]:
    """The answers of a model by item: one dictionary per blank, with the fields of `BlankAnswer` and `word`."""
    with open(folder / ANSWERS / f"{name}.jsonl", encoding="utf-8") as file:
        return {stored["item"]: stored["blanks"] for stored in map(json.loads, file)}


def read_how(folder: Path, name: str) -> dict[str, Any]:
    """How a model was asked (`Answerer.describe`)."""
    return read_json(folder / ANSWERS / f"{name}.json")["asked"]


def _resume(file: Path, keys: Sequence[str], batch_size: int) -> int:
    """How many answers can stay; what follows them is cut off."""
    if not file.is_file():
        return 0
    kept, size = _whole(file, keys, batch_size)
    os.truncate(file, size)
    return kept


def _whole(file: Path, keys: Sequence[str], batch_size: int) -> tuple[int, int]:
    """The answers in whole batches: their number, and where they end in the file, in bytes."""
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
    """The item that a line answers; None for a damaged one, which is asked again with all behind it."""
    try:
        return json.loads(line)["item"]
    except (ValueError, KeyError, TypeError):
        return None


def _record(item: Item, blanks: Sequence[BlankAnswer]) -> dict[str, Any]:
    answers = [
        {
            "word": word,
            "candidates": [list(candidate) for candidate in blank.candidates],
            "log_probability": blank.log_probability,
            "subtokens": blank.subtokens,
            "failure": blank.failure,
            "unscored": blank.unscored,
            "complete": blank.complete,
        }
        for word, blank in zip(item.words, blanks, strict=True)
    ]
    about = {"item": item.key, "writing_id": item.writing_id, "cefr_level": item.cefr_level, "l1": item.l1}
    return {**about, "blanks": answers}


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
