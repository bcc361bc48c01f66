"""How a file is read; maps its header to the schema, and variants of level and split names to the names used here."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ilm.errors import UserError

REQUIRED = ("writing_id", "l1", "cefr_level", "text")
OPTIONAL = ("learner_id", "topic")
LEVEL, SPLIT = "cefr_level", "split"
SCHEMA = (*REQUIRED, *OPTIONAL, SPLIT)
MAY_LACK = ("writing_id", "l1")  # columns that can be filled in; writing_id only for test-only texts
NEEDED = tuple(name for name in REQUIRED if name != "l1")  # required of training data
CEFR = ("A1", "A2", "B1", "B2", "C1", "C2")

# Matching ignores case and treats spaces and hyphens as underscores. Deliberately not aliases: "text_corrected" (a
# teacher's correction), "level" (in EFCAMDAT the teaching level, 1 to 16) and "fold" (of a cross-validation).
ALIASES = {
    "writing_id": ("writing_id", "writingid", "id", "text_id", "document_id", "doc_id", "item_id", "essay_id"),
    "l1": ("l1", "native_language", "first_language", "mother_tongue", "nativelang"),
    "cefr_level": ("cefr_level", "cefr_label", "cefr"),
    "text": ("text", "learner_text", "essay", "answer"),
    "learner_id": ("learner_id", "learnerid", "learner", "student_id", "author_id", "writer_id", "userid", "user_id"),
    "topic": ("topic", "prompt"),
    SPLIT: ("split", "partition"),
}

_SPLIT_NAMES = {
    "train": ("train", "training"),
    "valid": ("valid", "validation", "dev", "val"),
    "test": ("test",),
}
SPLIT_OF = {name: split for split, names in _SPLIT_NAMES.items() for name in names}

# A1.i (W&I), B1.2, B1_1, B1+, A2-; not "A1-A2" or "B1/B2", which lie between levels.
_SUB_LEVEL = re.compile(r"(.+?)(?:[._](?:[ivx]+|\d+)|[+-])", re.IGNORECASE)
_NAMES_SHOWN, _CHARACTERS_SHOWN = 30, 40


@dataclass(frozen=True)
class Reading:
    """How files of texts are read."""

    levels: Sequence[str]
    columns: Mapping[str, str | None] = field(default_factory=dict)  # name -> header, as `find_columns` takes it
    encoding: str = "utf-8"  # of text formats
    max_dropped: float = 0.01  # share of the rows
    sheet: str | None = None  # of a workbook
    delimiter: str | None = None  # of a CSV file; None: by its name
    learner_from_id: str | None = None  # pattern whose first group (or whole match) is the learner's part of an id
    keep_columns: Sequence[str] = ()  # headers of further columns
    lenient: bool = False  # test-only texts: ids may be absent, and become "<file>:<row number>"
    need_level: bool = True  # False: texts without a level in `levels` are kept with level ""


def main_level(level: str, levels: Sequence[str]) -> str | None:
    """The level in `levels` that `level` is, or is a sub-level of, ignoring case; None if there is none."""
    named = {name.casefold(): name for name in levels}
    found = _SUB_LEVEL.fullmatch(level)
    return named.get(level.casefold()) or (named.get(found[1].casefold()) if found else None)


def levels_not_chosen(levels: Sequence[str]) -> tuple[str, ...]:
    """The CEFR levels that the choice of `levels` excludes; empty if it includes at least A1 to C1."""
    others = tuple(level for level in CEFR if level not in levels)
    return () if others in ((), ("C2",)) else others


def find_columns(
    path: Path,
    header: Sequence[str],
    requested: Mapping[str, str | None],
    needed: Sequence[str] = NEEDED,
    *,
    keep: Sequence[str] = (),
) -> dict[str, str]:
    """Map schema names to the headers of the columns found; those in `needed` are required.

    `requested`: name -> header; None: look up `ALIASES`; "": ignore the column (optional columns only).
    `keep`: headers of further columns to read under their own names; none may be a name in `SCHEMA`.

    Raises: UserError listing every missing, ambiguous or doubly assigned column, and the header.
    """
    repeated = sorted(name for name, count in Counter(header).items() if count > 1 and name.strip())
    if repeated:
        raise UserError(f"{path}: the header has {listed(repeated)} more than once; expected unique names")
    keys = [_key(head) for head in header]
    used: dict[str, str] = {}
    faults = []
    for name in SCHEMA:
        typed = requested.get(name)
        if typed == "" and name not in needed:
            continue
        known = set(map(_key, ALIASES[name] if typed is None else [typed]))
        # An exact match wins over headers that differ by case only.
        alike = [head for head, key in zip(header, keys, strict=True) if key in known]
        matches = [typed] if typed is not None and typed in header else alike
        if len(matches) == 1:
            used[name] = matches[0]
        elif matches:
            choice = " or ".join(f"corpus.columns.{name}={match}" for match in matches)
            faults.append(f"{' and '.join(matches)} may both be {name}: type {choice}")
        elif typed is not None:
            faults.append(f"corpus.columns.{name}={typed}, but there is no such column")
        elif name in needed:
            faults.append(f"no column for {name}: type corpus.columns.{name}=HEADER")
    twice = [head for head, count in Counter(used.values()).items() if count > 1]
    for head in twice:
        names = [name for name in used if used[name] == head]
        unread = [f"corpus.columns.{name}='' to ignore it as {name}" for name in names if name not in needed]
        advice = f": type {' or '.join(unread)}" if unread else ""
        faults.append(f"column {head} is used as both {' and '.join(names)}{advice}")
    for name in keep:
        if name not in header:
            faults.append(f"corpus.keep_columns={name}, but there is no such column")
    if faults:
        hint = _hint(header)
        raise UserError(f"{path}: {hint}{'; '.join(faults)}. The header has: {listed(header)}")
    return used | {name: name for name in keep}


def _key(header: str) -> str:
    return re.sub(r"[\s-]+", "_", header.strip().casefold())


def listed(names: Sequence[str]) -> str:
    """The names, shortened for a message: in a file without a header, its first text may be among them."""
    shown = [f"{name[:_CHARACTERS_SHOWN]}..." if len(name) > _CHARACTERS_SHOWN else name for name in names]
    more = len(shown) - _NAMES_SHOWN
    return ", ".join(shown[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _hint(header: Sequence[str]) -> str:
    """A hint if the header looks like JSON, or as if it used another delimiter."""
    first = header[0].lstrip() if header else ""
    if first.startswith(("{", "[")):
        return "it looks like JSON: rename the file to end in .json; otherwise: "
    counts = {mark: first.count(mark) for mark in ",;\t|"} if len(header) == 1 else {"": 0}
    mark = max(counts, key=counts.__getitem__)
    if not counts[mark]:
        return ""
    advice = "rename the file to end in .tsv" if mark == "\t" else f"type \"corpus.delimiter='{mark}'\""
    return f"its values seem to be separated by {mark!r}: {advice}; otherwise: "
