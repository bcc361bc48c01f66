"""Texts in, JSON lines out: what `infill.py` does where nobody sits at it."""

import codecs
import json
import logging
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from io import IncrementalNewlineDecoder
from itertools import islice
from typing import Any, BinaryIO, TextIO

from tqdm import tqdm

from ilm.config.infill import Decoding
from ilm.errors import UserError
from ilm.infilling.blanks import Context
from ilm.infilling.candidates import Infilling
from ilm.infilling.infiller import Infiller
from ilm.infilling.texts import TableText, span_texts
from ilm.masking.functions import Span

log = logging.getLogger("ilm")

TEXTS_AT_ONCE = 64
BYTES_AT_ONCE = 1 << 20

# What a record says of its text, and how an infiller makes a context of it.
Item = tuple[dict[str, Any], Callable[[Infiller], Context]]


def fill_lines(
    lines: Iterable[Sequence[str]], infillers: Mapping[str, Infiller], decoding: Decoding, out: TextIO
) -> int:
    """Fill one text a line; writes a JSON object a line and model, in order; empty lines are left out.

    {"line", "model", "text", "types", "candidates": [{"text", "answers", "spans", "log_probability",
    "token_log_probabilities", "complete", "left_out"}, ...]}, or "error" in place of types and candidates. `lines` come
    in the blocks in which they have arrived; each is filled, in parts of TEXTS_AT_ONCE, before the next is asked for.
    Returns how many texts were filled.

    Raises: UserError at the end, if a text could not be filled or there was none.
    """
    room = decoding.answer_room

    def blocks() -> Iterator[list[Item]]:
        number = 0
        for block in lines:
            numbered = list(enumerate(block, start=number + 1))
            number += len(numbered)
            yield [({"line": at, "text": line}, partial(_typed, line, room)) for at, line in numbered if line.strip()]

    return _fill(blocks(), "line", infillers, decoding, out)


def fill_table(
    texts: Sequence[TableText],
    spans_of: Callable[[TableText], Sequence[Span] | None],
    infillers: Mapping[str, Infiller],
    decoding: Decoding,
    out: TextIO,
) -> int:
    """Fill the blanks that `spans_of` draws in texts of a table, or those typed in them where it gives None.

    As `fill_lines`, with "row" and "id" instead of "line". Drawn blanks have "original", the answers that stood there,
    "original_spans", where in "text", and for each model "original_log_probability", and that of each answer,
    "original_answer_log_probabilities" (None where they cannot be score_original).
    """
    room = decoding.answer_room

    def items() -> Iterator[Item]:
        for text in texts:
            about: dict[str, Any] = {"row": text.row, "id": text.name, "text": text.text}
            try:
                spans = spans_of(text)
            except UserError as error:
                yield about, partial(_refused, str(error))
                continue
            if spans is None:
                yield about, lambda infiller, text=text.text: infiller.context(text, answer_room=room)
            else:
                about["original"] = span_texts(text.text, spans)
                about["original_spans"] = [(span.start, span.length) for span in spans]
                yield about, lambda infiller, text=text.text, spans=spans: infiller.context_of_spans(text, spans, room)

    return _fill([items()], "row", infillers, decoding, out, total=len(texts))


def _typed(text: str, room: int | None, infiller: Infiller) -> Context:
    _require_no_json(text)
    return infiller.context(text, answer_room=room)


def _refused(message: str, infiller: Infiller) -> Context:
    raise UserError(message)


def _fill(
    blocks: Iterable[Iterable[Item]],
    place: str,
    infillers: Mapping[str, Infiller],
    decoding: Decoding,
    out: TextIO,
    total: int | None = None,
) -> int:
    filled, failed, first_fault = 0, 0, ""
    # None: on a terminal only; and there not among the records.
    with tqdm(total=total, unit=" texts", leave=False, disable=True if out.isatty() else None) as progress:
        for part in _parts(blocks):
            records = [
                record
                for name, infiller in infillers.items()
                for record in _filled(part, place, name, infiller, decoding)
            ]
            # By text, the models in their order: the sort is stable.
            _write(sorted(records, key=lambda record: record[place]), out)
            progress.update(len(part))
            faults = [f"{place} {record[place]}: {record['error']}" for record in records if "error" in record]
            first_fault = first_fault or next(iter(faults), "")
            failed, filled = failed + len(faults), filled + len(records) - len(faults)
    if failed:
        raise UserError(f"{failed} of {filled + failed} texts could not be filled; {first_fault}")
    if not filled:
        raise UserError("There is no text to fill: give one a line, with blanks, as in: She ate _ for lunch.")
    return filled


def _parts(blocks: Iterable[Iterable[Item]]) -> Iterator[list[Item]]:
    for block in blocks:
        items = iter(block)
        while part := list(islice(items, TEXTS_AT_ONCE)):
            yield part


def _filled(
    part: Sequence[Item], place: str, name: str, infiller: Infiller, decoding: Decoding
) -> list[dict[str, Any]]:
    """The records of texts filled by one model."""
    records, good = [], []
    for about, context_of in part:
        record = {place: about[place], "model": name} | about
        records.append(record)
        try:
            good.append((record, context_of(infiller)))
        except UserError as error:
            record["error"] = str(error)
    found = infiller([context for _, context in good], decoding)
    for (record, context), results in zip(good, found, strict=True):
        record["types"] = [infiller.vocabulary.mask_types[kind] for kind in context.types]
        if "original" in record:
            values = score_original(infiller, context, record["original"])
            record["original_log_probability"] = None if values is None else math.fsum(values)
            record["original_answer_log_probabilities"] = values
        record["candidates"] = [_json(result) for result in results]
    return records


def _require_no_json(text: str) -> None:
    """Raises: UserError for a line that is an object of JSON lines: its braces would be filled as text."""
    if text.lstrip().startswith("{"):
        with suppress(ValueError, RecursionError):
            json.loads(text)
            raise UserError(
                "The line is a JSON object, and expected is the text itself. Save such lines as FILE.jsonl and type "
                "input=FILE.jsonl n_masks=0"
            )


def _write(records: Iterable[Mapping[str, Any]], out: TextIO) -> None:
    """A line for each record, at once.

    Raises: UserError where they cannot be written; nothing is told where nobody reads them any more (`| head`).
    """
    try:
        out.writelines(json.dumps(record) + "\n" for record in records)
        out.flush()
    except OSError as error:
        # What could not be written would be tried again at the end of Python, and fail again.
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), out.fileno())
        fault = UserError(f"The output cannot be written: {error.strerror}")
        fault.told = isinstance(error, BrokenPipeError)
        raise fault from error


def score_original(infiller: Infiller, context: Context, answers: Sequence[str]) -> tuple[float, ...] | None:
    """The log-probability of each original answer; None where tokens do not end with them, or are too many."""
    try:
        return infiller.answer_scores(context, answers)
    except UserError:
        return None


def open_lines(path: str | None) -> BinaryIO:
    """The file at `path`, or stdin, to be read by `lines_of`.

    Raises: UserError if there is no such file, or no stdin.
    """
    if path is None and sys.stdin is None:
        raise UserError("There is nothing to read: give texts through a pipe, or input=FILE")
    if path is None and sys.stdin.isatty():
        log.info("one text a line, with blanks; Ctrl-D ends")
    try:
        return sys.stdin.buffer if path is None else open(path, "rb")  # the caller closes it
    except OSError as error:
        raise UserError(f"input={path} cannot be read: {error.strerror}") from error


def lines_of(stream: BinaryIO) -> Iterator[list[str]]:
    """The lines of UTF-8, without their ends, in the blocks in which they come: it waits for no line but the first.

    So another program can write a line and wait for its answer. Bytes that are no UTF-8 make their line alone invalid.
    """
    utf_8 = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
    decoder, begun = IncrementalNewlineDecoder(utf_8, translate=True), ""
    while chunk := stream.read1(BYTES_AT_ONCE):
        *lines, begun = (begun + decoder.decode(chunk)).split("\n")
        yield lines
    if begun := begun + decoder.decode(b"", final=True):
        yield begun.split("\n")


def _json(infilling: Infilling) -> dict[str, Any]:
    keys = ("text", "answers", "spans", "log_probability", "answer_log_probabilities", "token_log_probabilities")
    keys += ("complete", "left_out")
    return {key: getattr(infilling, key) for key in keys}
