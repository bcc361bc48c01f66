"""The reference's folders of texts and masks, and its mask files, as written by its create_ilm_examples.py.

    <folder>/{train,valid,test}.{txt,pkl}             one level: named by the folder, or the only level of the corpus
    <folder>/<level>/{train,valid,test}.{txt,pkl}     several levels

If a split has both files, the pickle is read, which holds texts and masks. A `.pkl` is one pickled list of (document
text, list of masks); a mask is a list of (type, start, length) in characters, its type a member of its mask function's
enumeration. Some of its masks are invalid here: see `checked_mask`.
"""

import logging
import struct
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ilm.corpus.splitting.assign import SPLITS
from ilm.errors import UserError
from ilm.masking.functions import Span
from ilm.masking.masks import Masks
from ilm.reference.unpickle import Member, iter_plain

log = logging.getLogger("ilm")

ALL_LEVELS = "all"
HIERARCHICAL = "ilm.mask.hierarchical.MaskHierarchicalType"
# The reference's enumerations: mask types by value.
ENUMERATIONS = {
    HIERARCHICAL: ("document", "paragraph", "sentence", "ngram", "word"),
    "ilm.mask.custom.MaskPunctuationType": ("sentence_terminal", "other"),
    "ilm.mask.custom.MaskProperNounType": ("proper_noun",),
}

NO_SPANS = "something else than spans (type, start, length)"
OUTSIDE = "a span that is empty or not within the text"
OVERLAPPING = "spans that overlap"

_PROTOCOL = 3  # for Python 3.0 to 3.7, which the reference needs


def reference_files(folder: Path, levels: Sequence[str]) -> dict[tuple[str, str], Path]:
    """The files to read by (level, split), sorted; `levels`: of the corpus.

    Raises: UserError if there are none, or the level of a file is unclear.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"corpus.reference={folder}: no such folder. Give one that contains train.txt or train.pkl.")
    # Files in the folder itself are of the only level, or of the level that the folder is named after.
    own = levels[0] if len(levels) == 1 else folder.resolve().name
    folders = {own: folder} | {path.name: path for path in sorted(folder.iterdir()) if path.is_dir()}
    found = {name: files for name, path in folders.items() if (files := _files(path))}
    if not set(found) & set(levels):
        raise UserError(
            f"corpus.reference={folder}: no files of the reference implementation for the levels {', '.join(levels)}. "
            f"Expected {', '.join(f'{split}.txt or {split}.pkl' for split in SPLITS)} in folders named by them, or in "
            f"one folder for a single level, such as corpus.levels=[B1]; found {', '.join(found) or 'none'}."
        )
    for name in found:
        if name not in (*levels, ALL_LEVELS):
            log.warning("ignored %s: its name is not in corpus.levels (%s)", folders[name], ", ".join(levels))
    # In the order of the ids, where a colon follows the level.
    chosen = sorted(set(found) & set(levels), key=lambda level: f"{level}:")
    return {(level, split): path for level in chosen for split, path in found[level].items()}


def _files(folder: Path) -> dict[str, Path]:
    """The file of each split that has one."""
    both = {split: (folder / f"{split}.pkl", folder / f"{split}.txt") for split in sorted(SPLITS)}
    return {split: next(filter(Path.is_file, paths)) for split, paths in both.items() if any(map(Path.is_file, paths))}


def enumeration_of(mask_types: Sequence[str]) -> str:
    """The reference's enumeration with all of these mask types. Raises: UserError if there is none."""
    for name, known in ENUMERATIONS.items():
        if set(mask_types) <= set(known):
            return name
    expected = "; ".join(", ".join(types) for types in ENUMERATIONS.values())
    raise UserError(
        f"Masks of the types {', '.join(mask_types)} cannot be exported: the reference implementation knows the types "
        f"{expected}. Export with masks of such types, for example masking=hierarchical."
    )


class MaskedPickleWriter:
    """Writes such a pickle a few documents at a time, opcode by opcode, in constant memory.

    `mask_types`: names for the type indices of the masks.
    """

    def __init__(self, file: BinaryIO, mask_types: Sequence[str]):
        self._file = file
        enumeration = enumeration_of(mask_types)
        module, _, name = enumeration.rpartition(".")
        file.write(b"\x80" + bytes([_PROTOCOL]))
        for number, mask_type in enumerate(mask_types):
            value = ENUMERATIONS[enumeration].index(mask_type)
            # enumeration(value): memoized under the type index, then popped
            file.write(f"c{module}\n{name}\n".encode() + bytes([*b"K", value, *b"\x85Rq", number, *b"0"]))
        file.write(b"]")

    def add(self, texts: Sequence[str], masks: Masks) -> None:
        """Append documents with their masks."""
        spans, width = _pickled_spans(masks)
        pickled = [b"](" + spans[begin:end] + b"e" for begin, end in pairwise((masks.span_offsets * width).tolist())]
        for text, (begin, end) in zip(texts, pairwise(masks.mask_offsets.tolist()), strict=True):
            raw = text.encode("utf-8", "surrogatepass")
            document = b"".join(pickled[begin:end])
            # Appended one by one, so that a streaming reader holds one document at a time.
            self._file.write(b"X" + struct.pack("<I", len(raw)) + raw + b"](" + document + b"e\x86a")

    def finish(self) -> None:
        self._file.write(b".")


def _pickled_spans(masks: Masks) -> tuple[bytes, int]:
    """The spans as pickled tuples of one width, and that width in bytes."""
    starts, lengths = masks.starts, masks.lengths
    short = max(starts.max(initial=0), lengths.max(initial=0)) < 2**16
    number = "<u2" if short else "<i4"
    # BINGET type, BININT2 or BININT start, the same for length, TUPLE3
    opcodes = [("get", "u1"), ("type", "u1"), ("i", "u1"), ("start", number), ("j", "u1"), ("length", number)]
    table = np.zeros(len(starts), dtype=[*opcodes, ("tuple", "u1")])
    table["get"], table["tuple"] = ord("h"), 0x87
    table["i"] = table["j"] = ord("M" if short else "J")
    table["type"], table["start"], table["length"] = masks.types, starts, lengths
    return table.tobytes(), table.dtype.itemsize


def iter_masked(path: Path) -> Iterator[tuple[str, list[Any]]]:
    """Yield the documents of such a file in order, each text with its masks, which are not checked.

    Raises: UserError for a file with other contents.
    """
    for number, item in enumerate(iter_plain(path, ENUMERATIONS), start=1):
        match item:
            case (str() as text, [*masks]):
                yield text, masks
            case _:
                raise UserError(
                    f"{path}: item {number} is not a (text, list of masks) pair as written by the reference "
                    "implementation's create_ilm_examples.py. Give a file that it wrote, with no other .pkl beside it."
                )


def checked_mask(mask: Any, text_length: int) -> tuple[list[Span], str | None] | str:
    """The spans of a mask sorted by start, and the enumeration of their types (None without spans); or its fault.

    Mixing several enumerations in one mask is a fault too.
    """
    if type(mask) not in (list, tuple):
        return NO_SPANS
    spans, enumeration = [], None
    for span in mask:
        if type(span) not in (list, tuple) or len(span) != 3:
            return NO_SPANS
        member, start, length = span
        mask_type = _TYPES.get(member) if type(member) is Member else None
        if mask_type is None or type(start) is not int or type(length) is not int:
            return NO_SPANS
        if enumeration not in (None, member.enumeration):
            return NO_SPANS
        enumeration = member.enumeration
        if start < 0 or length <= 0 or start + length > text_length:
            return OUTSIDE
        spans.append(Span(mask_type, start, length))
    spans.sort(key=lambda span: span.start)
    end = 0
    for span in spans:
        if span.start < end:
            return OVERLAPPING
        end = span.start + span.length
    return spans, enumeration


_TYPES = {
    Member(enumeration, value): mask_type
    for enumeration, mask_types in ENUMERATIONS.items()
    for value, mask_type in enumerate(mask_types)
}
