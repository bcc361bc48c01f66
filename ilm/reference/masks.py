"""The reference's files of masks: `<split>.pkl`, as its create_ilm_examples.py writes them.

A file is one pickled list of (document text, list of masks); a mask is a list of (type, start, length) in characters,
a type a member of the enumeration of its mask function. Not every such mask is one here: `checked_mask` says why.
"""

import struct
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from ilm.errors import UserError
from ilm.masking.functions import Span
from ilm.masking.masks import Masks
from ilm.reference.unpickle import Member, iter_plain

HIERARCHICAL = "ilm.mask.hierarchical.MaskHierarchicalType"
# The enumerations of the reference: mask types by value; the names of the members are the same in capitals.
ENUMERATIONS = {
    HIERARCHICAL: ("document", "paragraph", "sentence", "ngram", "word"),
    "ilm.mask.custom.MaskPunctuationType": ("sentence_terminal", "other"),
    "ilm.mask.custom.MaskProperNounType": ("proper_noun",),
}

NO_SPANS = "something else than spans (type, start, length)"
OUTSIDE = "a span that is empty or not within the text"
OVERLAPPING = "spans that overlap"

_PROTOCOL = 3  # that of Python 3.0 to 3.7, of which the reference needs one


def enumeration_of(mask_types: Sequence[str]) -> str:
    """The enumeration of the reference that has all of these mask types.

    Raises: UserError if there is none.
    """
    for name, known in ENUMERATIONS.items():
        if set(mask_types) <= set(known):
            return name
    known = "; ".join(", ".join(types) for types in ENUMERATIONS.values())
    raise UserError(
        f"Masks of the types {', '.join(mask_types)} cannot be exported: the reference implementation knows the types "
        f"{known}. Export with masks of such types, for example masking=hierarchical."
    )


class MaskedPickleWriter:
    """Writes such a pickle a few documents at a time, opcode by opcode, so that memory does not grow with them.

    `mask_types` are those that the masks' type numbers stand for.
    """

    def __init__(self, file: BinaryIO, mask_types: Sequence[str]):
        self._file = file
        enumeration = enumeration_of(mask_types)
        module, _, name = enumeration.rpartition(".")
        file.write(b"\x80" + bytes([_PROTOCOL]))
        for number, mask_type in enumerate(mask_types):
            value = ENUMERATIONS[enumeration].index(mask_type)
            # enumeration(value), kept in the memo under the type's number and taken off the stack
            file.write(f"c{module}\n{name}\n".encode() + bytes([*b"K", value, *b"\x85Rq", number, *b"0"]))
        file.write(b"]")

    def add(self, texts: Sequence[str], masks: Masks) -> None:
        """Append documents with their masks."""
        spans, width = _pickled_spans(masks)
        pickled = [b"](" + spans[begin:end] + b"e" for begin, end in pairwise((masks.span_offsets * width).tolist())]
        for text, (begin, end) in zip(texts, pairwise(masks.mask_offsets.tolist()), strict=True):
            raw = text.encode("utf-8", "surrogatepass")
            document = b"".join(pickled[begin:end])
            # Appended one by one, so that a reader that gives back what is finished has one document at a time.
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


class MaskedDocument(NamedTuple):
    """What stands for a document in such a file: its masks are still to be checked."""

    text: str
    masks: list[Any]


def iter_masked(path: Path) -> Iterator[MaskedDocument]:
    """The documents of such a file in its order, read as plain data.

    Raises: UserError for a file that holds something else.
    """
    for number, item in enumerate(iter_plain(path, ENUMERATIONS), start=1):
        match item:
            case (str() as text, [*masks]):
                yield MaskedDocument(text, masks)
            case _:
                raise UserError(
                    f"{path}: item {number} is no pair of a text and a list of masks, as create_ilm_examples.py of the "
                    "reference implementation writes them. Give a file that it wrote, and no other .pkl beside it."
                )


def checked_mask(mask: Any, text_length: int) -> tuple[list[Span], str | None] | str:
    """The spans of a mask sorted by start, and the enumeration of their types (None without spans); or why it is none.

    Types of several enumerations in one mask are a fault as well.
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
    Member(enumeration, key): mask_type
    for enumeration, mask_types in ENUMERATIONS.items()
    for value, mask_type in enumerate(mask_types)
    for key in (value, mask_type.upper())
}
