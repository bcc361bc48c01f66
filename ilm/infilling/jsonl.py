"""Texts in, JSON lines out: `infill.py` without a terminal."""

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, TextIO

from tqdm import tqdm

from ilm.config.infill import Decoding
from ilm.errors import UserError
from ilm.examples.conditions import known_settings
from ilm.infilling.blanks import Context
from ilm.infilling.mixture import Filler
from ilm.infilling.texts import InputText, span_texts
from ilm.masking.functions import Span

TEXTS_AT_ONCE = 256  # at the end of each part the batch runs empty, so not fewer
_TEXT, _PROBABILITIES = ("text", "answers", "spans"), ("log_probability", "answer_log_probabilities")
CANDIDATE = (*_TEXT, *_PROBABILITIES, "token_log_probabilities", "complete", "left_out")

# Draws the blanks of a text; None: as typed in it.
SpansOf = Callable[[InputText], Sequence[Span] | None]


def fill_texts(
    blocks: Iterable[Sequence[InputText]],
    spans_of: SpansOf,
    infillers: Mapping[str, Filler],
    decoding: Decoding,
    out: TextIO,
) -> int:
    """Write a JSON object for each text and model, in order; returns how many texts were filled.

    {"line" (or "row" and "id"), "model", "text", "types", "candidates": [{"text", "answers", "spans", ...}, ...]}, or
    "error" instead of types and candidates. Drawn blanks add "original" (the learner's answers), "original_spans"
    (their places in "text"), and, per model, "original_log_probability" and "original_answer_log_probabilities" (null
    if two answers share a token, or do not fit). Each of the `blocks` is filled, in parts of TEXTS_AT_ONCE, before the
    next one is read.

    Raises: UserError at the end, if a text could not be filled or there was none.
    """
    n_records, faults = 0, []
    total = sum(map(len, blocks)) if isinstance(blocks, list) else None
    # None: shown on a terminal only, unless the records go there.
    with tqdm(total=total, unit=" texts", leave=False, disable=True if out.isatty() else None) as progress:
        for part in _parts(blocks):
            place = part[0].place
            blanked = [_with_blanks(text, spans_of) for text in part]
            of_models = [_filled(blanked, name, infiller, decoding) for name, infiller in infillers.items()]
            records = [record for of_text in zip(*of_models, strict=True) for record in of_text]
            _write(records, out)
            progress.update(len(part))
            faults += [f"{place} {record[place]}: {record['error']}" for record in records if "error" in record]
            n_records += len(records)
    if faults:
        raise UserError(f"{len(faults)} of {n_records} texts could not be filled; {faults[0]}")
    if not n_records:
        raise UserError("No text to fill: give one per line, with blanks: She ate _ for lunch.")
    return n_records


def _parts(blocks: Iterable[Sequence[InputText]]) -> Iterator[list[InputText]]:
    for block in blocks:
        texts = iter(block)
        while part := list(islice(texts, TEXTS_AT_ONCE)):
            yield part


def _with_blanks(text: InputText, spans_of: SpansOf) -> tuple[dict[str, Any], Sequence[Span] | None]:
    """The record's fields on its text, and the blanks drawn in it."""
    about: dict[str, Any] = {text.place: text.number, "model": None}
    about |= ({"id": text.name} if text.place == "row" else {}) | {"text": text.text}
    try:
        if text.place == "line":
            _require_no_json(text.text)
        spans = spans_of(text)
    except UserError as error:
        return about | {"error": str(error)}, None
    if spans is not None:
        about["original"] = span_texts(text.text, spans)
        about["original_spans"] = [(span.start, span.length) for span in spans]
    return about, spans


def _filled(
    blanked: Iterable[tuple[dict[str, Any], Sequence[Span] | None]],
    name: str,
    infiller: Filler,
    decoding: Decoding,
) -> list[dict[str, Any]]:
    """The records of texts filled by one model."""
    records, good = [], []
    for about, spans in blanked:
        record = about | {"model": name}
        records.append(record)
        if "error" not in record:
            try:
                known = known_settings(infiller.condition, decoding)
                context = infiller.context(about["text"], decoding=known, spans=spans)
                good.append((record, context))
            except UserError as error:
                record["error"] = str(error)
    found = infiller([context for _, context in good], decoding)
    for (record, context), results in zip(good, found, strict=True):
        record["types"] = [infiller.vocabulary.mask_types[kind] for kind in context.types]
        if "original" in record:
            values = score_original(infiller, context, record["original"])
            record["original_log_probability"] = None if values is None else math.fsum(values)
            record["original_answer_log_probabilities"] = values
        record["candidates"] = [{key: getattr(result, key) for key in CANDIDATE} for result in results]
    return records


def _require_no_json(text: str) -> None:
    """Raises: UserError for a line that is a JSON object, which would otherwise be filled as text."""
    if text.lstrip().startswith("{"):
        with suppress(ValueError, RecursionError):
            json.loads(text)
            raise UserError(
                "The line is a JSON object, expected plain text. Save such lines as FILE.jsonl and type "
                "input=FILE.jsonl n_masks=0"
            )


def _write(records: Iterable[Mapping[str, Any]], out: TextIO) -> None:
    """Write and flush one line per record.

    Raises: UserError if writing fails, but ends silently if the reader has gone (`| head`).
    """
    try:
        out.writelines(json.dumps(record) + "\n" for record in records)
        out.flush()
    except OSError as error:
        # Otherwise Python would retry the write at exit, and fail again.
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), out.fileno())
        fault = UserError(f"The output cannot be written: {error.strerror}")
        fault.reported = isinstance(error, BrokenPipeError)
        raise fault from error


def score_original(infiller: Filler, context: Context, answers: Sequence[str]) -> tuple[float, ...] | None:
    """The log-probability of each original answer; None if answers share a token or the text is too long."""
    try:
        return infiller.answer_scores(context, answers)
    except UserError:
        return None
