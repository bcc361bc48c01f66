"""Validates the rows of a file: documents are collected in Arrow arrays, faults counted by cause."""

import re
from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import lru_cache, partial
from itertools import compress
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ilm.corpus.columns import (
    LEVEL,
    MAY_LACK,
    OPTIONAL,
    REQUIRED,
    SCHEMA,
    SPLIT,
    SPLIT_OF,
    Reading,
    levels_not_chosen,
    main_level,
)
from ilm.corpus.formats import stem
from ilm.corpus.formats.table import NO_CHARACTER, NO_ROWS, Source, Tally
from ilm.errors import UserError

UNKNOWN_L1 = "unknown"

# Rows that are dropped.
NO_ID = "empty id"
NO_LEVEL = "level missing"
OTHER_LEVEL = "level not in corpus.levels"
NOT_CHOSEN = "level not chosen by corpus.levels"
NO_TEXT = "empty text"
NO_SPLIT = "split not train, valid or test"
REPEATED = "identical row repeated"
# Rows that are kept.
UNKNOWN_LEVEL = "level missing or not in corpus.levels, kept without a level"
NO_L1 = f'l1 missing, kept as "{UNKNOWN_L1}"'
SUB_LEVEL = "sub-level, kept as its main level"
SUSPICIOUS = {  # texts kept verbatim but noted: description -> pattern (RE2)
    "text with mojibake (such as Ã© or â€™), UTF-8 once read as another encoding": (
        "[ÂÃ][\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|â€[\u0080-\u00bf™œžš“”˜¦¢]|ðŸ"
    ),
    "text with \ufffd, a character that was lost": "\ufffd",
    "text with XML entities (such as &amp;)": "&(?:[a-zA-Z]{2,8}|#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6});",
    "text with HTML tags (such as <br/>)": (
        r"(?i)</?(?:br|p|div|span|b|i|u|em|strong|a|font|img|table|tr|td|ul|ol|li|h[1-6])(?:\s[^<>]*)?/?>"
    ),
    "text with %% or ####, in place of something removed": "%%|####",
}
NO_ID_COLUMN = "no id column, named by file and row"
NO_LEARNER = "id not matched by corpus.learner_from_id, learner unknown"
NO_L1_COLUMN = f'no l1 column, kept as "{UNKNOWN_L1}"'

LEVEL_SHOWN = 20  # characters of an invalid level quoted in a message
_CHUNK = 10_000  # rows of an Arrow array

Document = tuple[str, ...]


class ValidatedRows:
    """The documents of a file, and counts of its other rows.

    `dropped`, `notes`: cause -> count and first row numbers; notes count identical repetitions too. `other_levels`:
    counts of invalid levels.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.rows = 0
        self.dropped, self.notes = Tally(), Tally()
        self.other_levels: Counter[str] = Counter()
        self._chunks: dict[str, list[pa.Array]] = {name: [] for name in names}
        self._numbers = array("q")  # row number of each document

    def add(self, documents: Sequence[Document], numbers: Sequence[int]) -> None:
        """Add documents (values in the order of `names`) with their row numbers."""
        if not documents:
            return
        try:
            arrays = [pa.array(values, pa.large_string()) for values in zip(*documents, strict=True)]
            clean = not any(pc.any(pc.match_substring(values, "\0")).as_py() for values in arrays)
        except UnicodeEncodeError:
            # JSON can escape a lone surrogate, which UTF-8 cannot encode.
            clean = False
        if not clean:
            fine = [all(map(_is_text, document)) for document in documents]
            self.dropped.add(NO_CHARACTER, *(row for row, is_fine in zip(numbers, fine, strict=True) if not is_fine))
            self.add([*compress(documents, fine)], [*compress(numbers, fine)])
            return
        texts = arrays[self.names.index("text")]
        for cause, pattern in SUSPICIOUS.items():
            if found := np.flatnonzero(pc.match_substring_regex(texts, pattern)).tolist():
                self.notes.add(cause, *(numbers[place] for place in found))
        for chunks, values in zip(self._chunks.values(), arrays, strict=True):
            chunks.append(values)
        self._numbers.extend(numbers)

    def documents(self, path: Path) -> pd.DataFrame:
        """The documents sorted by `writing_id`, without identical repetitions, one Arrow array per column.

        Frees the collected rows: call it once.

        Raises: UserError for the first row that repeats an id with different contents.
        """
        ids = pa.chunked_array(self._chunks["writing_id"], pa.large_string())
        order = pc.sort_indices(ids).to_numpy().astype(np.int64)  # stable; UTF-8 byte order is Python's string order
        by_id = ids.take(order)
        same = np.zeros(len(ids), bool)  # same id as the one before
        same[1:] = pc.equal(by_id.slice(1), by_id.slice(0, max(0, len(ids) - 1))).to_numpy()
        if same.any():
            first_of = np.maximum.accumulate(np.where(same, 0, np.arange(len(ids))))
            in_row_order = np.argsort(order[same])
            repeated, earlier = order[same][in_row_order], order[first_of[same]][in_row_order]
            self._check_equal(path, repeated, earlier)
            self.dropped.add(REPEATED, *np.array(self._numbers)[repeated])
        del ids, by_id
        columns = {}
        # Texts last: sorting a column takes twice its size.
        for name in sorted(self.names, key=lambda name: name == "text"):
            values = pa.chunked_array(self._chunks.pop(name), pa.large_string()).combine_chunks()
            # Otherwise Arrow keeps the memory of the chunks and allocates more: 240 MB at 723,282 texts.
            pa.default_memory_pool().release_unused()
            columns[name] = values.take(pa.array(order[~same]))
            del values
        return pa.table({name: columns[name] for name in self.names}).to_pandas()

    def _check_equal(self, path: Path, repeated: np.ndarray, earlier: np.ndarray) -> None:
        """Raise UserError unless the documents at `repeated` equal those at `earlier` (positions, in row order)."""
        differs = {}
        for name in self.names:
            column = pa.chunked_array(self._chunks[name])
            differs[name] = pc.not_equal(column.take(repeated), column.take(earlier)).to_numpy()
        found = np.flatnonzero(np.any(list(differs.values()), axis=0))
        if len(found):
            at = found[0]
            row, first = self._numbers[repeated[at]], self._numbers[earlier[at]]
            writing_id = pa.chunked_array(self._chunks["writing_id"])[repeated[at]].as_py()
            raise UserError(
                f"{path}: rows {first} and {row} have the same id {writing_id[:60]!r} but different "
                f"contents ({', '.join(name for name in self.names if differs[name][at])}); ids must "
                f"be unique: correct the file, or choose another column: corpus.columns.writing_id=..."
            )


def validate_rows(path: Path, source: Source, used: Mapping[str, str], reading: Reading) -> ValidatedRows:
    """Read and validate all rows of `source`; `used`: name -> header.

    Raises: UserError for faults of the file.
    """
    added = {*MAY_LACK, LEVEL, "learner_id"} if reading.learner_from_id is not None else {*MAY_LACK, LEVEL}
    names = [name for name in SCHEMA if name in used or name in added] + [name for name in used if name not in SCHEMA]
    read = [name for name in names if name in used]
    valid = ValidatedRows(names)
    place = {name: at for at, name in enumerate(read)}
    validate = _validator(valid, place, stem(path), reading)
    documents: list[Document] = []
    numbers: list[int] = []
    with closing(source.rows([source.header.index(used[name]) for name in read])) as rows:
        for row, found in rows:
            if isinstance(found, str) and found in NO_ROWS:
                valid.notes.add(found, row)
                continue
            valid.rows += 1
            document = found if isinstance(found, str) else validate(row, found)
            if isinstance(document, str):
                valid.dropped.add(document, row)
                continue
            documents.append(document)
            numbers.append(row)
            if len(documents) == _CHUNK:
                valid.add(documents, numbers)
                documents, numbers = [], []
    valid.add(documents, numbers)
    return valid


def _validator(
    valid: ValidatedRows, place: Mapping[str, int], file_name: str, reading: Reading
) -> Callable[[int, Sequence[str]], Document | str]:
    """A function (row number, values) -> the document, or why the row is dropped."""
    levels, need_level, learner_from_id = tuple(reading.levels), reading.need_level, reading.learner_from_id
    id_at, l1_at, level_at = (place.get(name) for name in REQUIRED if name != "text")
    text_at = place["text"]
    others = [place[name] for name in OPTIONAL if name in place]
    split_at, kept = place.get(SPLIT), [at for name, at in place.items() if name not in SCHEMA]
    main_of = lru_cache(maxsize=1000)(partial(main_level, levels=levels))
    not_chosen = levels_not_chosen(levels)
    learner_pattern = None if learner_from_id is None else re.compile(learner_from_id)

    def validate(row: int, values: Sequence[str]) -> Document | str:
        writing_id = f"{file_name}:{row}" if id_at is None else values[id_at].strip()
        if not writing_id:
            return NO_ID
        level = "" if level_at is None else values[level_at].strip()
        main = main_of(level)
        if main is None and need_level:
            if not level:
                return NO_LEVEL
            if main_level(level, not_chosen):
                return NOT_CHOSEN
            valid.other_levels[level[:LEVEL_SHOWN]] += 1
            return OTHER_LEVEL
        text = values[text_at]
        if not text.strip():
            return NO_TEXT
        split: tuple[str, ...] = ()
        if split_at is not None:
            name = values[split_at].strip().casefold()
            if name not in SPLIT_OF:
                return NO_SPLIT
            split = (SPLIT_OF[name],)
        l1 = "" if l1_at is None else values[l1_at].strip()
        if id_at is None:
            valid.notes.add(NO_ID_COLUMN, row)
        if not l1:
            valid.notes.add(NO_L1_COLUMN if l1_at is None else NO_L1, row)
        if main is not None and main.casefold() != level.casefold():
            valid.notes.add(SUB_LEVEL, row)
        if main is None and level_at is not None:
            valid.notes.add(UNKNOWN_LEVEL, row)
        learner: tuple[str, ...] = ()
        if learner_pattern is not None:
            found = learner_pattern.search(writing_id)
            learner = (found[1 if learner_pattern.groups else 0] or "" if found else "",)
            if not learner[0]:
                valid.notes.add(NO_LEARNER, row)
        cells = (values[at].strip() for at in others)
        return (writing_id, l1 or UNKNOWN_L1, main or "", text, *learner, *cells, *split, *(values[at] for at in kept))

    return validate


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value
