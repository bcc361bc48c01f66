"""Which column of a file is which, and the values that have more than one spelling."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ilm.errors import UserError

REQUIRED = ("writing_id", "l1", "cefr_level", "text")
OPTIONAL = ("learner_id", "topic")
SPLIT = "split"
MAY_LACK = ("writing_id", "l1")  # columns that a file of test-only texts can do without

# Compared without case, and with spaces and hyphens as underscores. A teacher's correction ("text_corrected")
# is on purpose no alias of text, nor is "level" one of cefr_level: EFCAMDAT's is the teaching level, 1 to 16.
# "fold" is none of split: it names the parts of a cross-validation.
ALIASES = {
    "writing_id": ("writing_id", "writingid", "id", "text_id", "document_id", "doc_id"),
    "l1": ("l1", "native_language", "first_language", "mother_tongue", "nativelang"),
    "cefr_level": ("cefr_level", "cefr_label", "cefr"),
    "text": ("text", "learner_text", "essay"),
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

# W&I's A1.i, others' B1.2, B1_1, B1+, A2-; not "A1-A2" or "B1/B2", which are between levels.
_SUB_LEVEL = re.compile(r"(.+?)(?:[._](?:[ivx]+|\d+)|[+-])", re.IGNORECASE)
_NAMES_SHOWN, _CHARACTERS_SHOWN = 30, 40


def main_level(level: str, levels: Sequence[str]) -> str | None:
    """The one of `levels` that this is or is a part of; None for any other value."""
    if level in levels:
        return level
    found = _SUB_LEVEL.fullmatch(level)
    return found[1] if found and found[1] in levels else None


def find_columns(
    path: Path, header: Sequence[str], asked: Mapping[str, str | None], *, lenient: bool = False
) -> dict[str, str]:
    """Name -> header, for the required columns (`lenient`: but `MAY_LACK`) and the optional ones that are there.

    `asked`: name -> header; None: found by `ALIASES`; for an optional column "": not read even if it is there.

    Raises: UserError that names all columns that are missing, in doubt or asked for twice, and the header.
    """
    repeated = sorted(name for name, count in Counter(header).items() if count > 1 and name.strip())
    if repeated:
        raise UserError(f"{path}: the header names {_listed(repeated)} more than once; expected different names")
    keys = [_key(head) for head in header]
    used, faults = {}, []
    for name in (*REQUIRED, *OPTIONAL, SPLIT):
        wish = asked.get(name)
        if wish == "" and name not in REQUIRED:
            continue
        known = set(map(_key, ALIASES[name] if wish is None else [wish]))
        # A name that was typed exactly is taken even if another differs from it by case only.
        matches = [wish] if wish in header else [head for head, key in zip(header, keys, strict=True) if key in known]
        if len(matches) == 1:
            used[name] = matches[0]
        elif matches:
            choice = " or ".join(f"corpus.columns.{name}={match}" for match in matches)
            faults.append(f"{' and '.join(matches)} may both be {name}: type {choice}")
        elif wish is not None:
            faults.append(f"corpus.columns.{name}={wish}, but there is no such column")
        elif name in REQUIRED and not (lenient and name in MAY_LACK):
            unknown = ", or add an empty column l1 if it is not known" if name == "l1" else ""
            faults.append(f"no column for {name}: type corpus.columns.{name}=HEADER{unknown}")
    twice = [head for head, count in Counter(used.values()).items() if count > 1]
    for head in twice:
        names = [name for name in used if used[name] == head]
        unread = [f"corpus.columns.{name}='' not to read it as {name}" for name in names if name not in REQUIRED]
        advice = f": type {' or '.join(unread)}" if unread else ""
        faults.append(f"column {head} is asked for as {' and as '.join(names)}{advice}")
    if faults:
        raise UserError(f"{path}: {'; '.join(faults)}. The header has: {_listed(header)}{_hint(header)}")
    return used


def _key(header: str) -> str:
    return re.sub(r"[\s-]+", "_", header.strip().casefold())


def _listed(names: Sequence[str]) -> str:
    """The names, cut to what fits a message: a file without a header has a text in its place."""
    shown = [f"{name[:_CHARACTERS_SHOWN]}..." if len(name) > _CHARACTERS_SHOWN else name for name in names]
    more = len(shown) - _NAMES_SHOWN
    return ", ".join(shown[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _hint(header: Sequence[str]) -> str:
    first = header[0].lstrip() if header else ""
    if first.startswith(("{", "[")):
        return "; it looks like JSON: rename the file to end in .json"
    separator = next((mark for mark in ",;\t|" if len(header) == 1 and mark in header[0]), None)
    if separator in (",", "\t"):
        return f"; values seem to be separated by {separator!r}: rename the file to end in " + (
            ".csv" if separator == "," else ".tsv"
        )
    return f"; values seem to be separated by {separator!r}, expected commas" if separator else ""
