"""Texts in, JSON lines out: what `infill.py` does where nobody sits at it."""

import json
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from io import TextIOWrapper
from itertools import islice
from typing import Any, TextIO

from tqdm import tqdm

from ilm.errors import UserError
from ilm.infilling.blanks import Context
from ilm.infilling.decoding import Infiller
from ilm.infilling.sampling import DecodingSettings
from ilm.infilling.sequences import Infilling
from ilm.infilling.texts import TableText, answers_of
from ilm.masking.functions import Span

log = logging.getLogger("ilm")

TEXTS_AT_ONCE = 64

# What a record says of its text, and how an infiller makes a context of it.
Item = tuple[dict[str, Any], Callable[[Infiller], Context]]


def fill_lines(lines: Iterable[str], infillers: Mapping[str, Infiller], settings: DecodingSettings, out: TextIO) -> int:
    """Fill one text a line; writes a JSON object a line and model, in order; empty lines are left out.

    {"line", "model", "text", "candidates": [{"text", "answers", "spans", "log_probability",
    "token_log_probabilities", "complete", "left_out"}, ...]}, or "error" in place of the candidates. Reads and writes
    blocks of TEXTS_AT_ONCE lines. Returns how many texts were filled.

    Raises: UserError at the end, if a text could not be filled or there was none.
    """
    room = settings.max_answer_tokens if settings.cut else None

    def items() -> Iterator[Item]:
        for number, line in enumerate(lines, start=1):
            text = line.rstrip("\n")

            def made(infiller: Infiller, text: str = text) -> Context:
                _require_no_json(text)
                return infiller.context(text, answer_room=room)

            if text.strip():
                yield {"line": number, "text": text}, made

    return _fill(items(), "line", infillers, settings, out)


def fill_table(
    texts: Sequence[TableText],
    spans_of: Callable[[TableText], Sequence[Span] | None],
    infillers: Mapping[str, Infiller],
    settings: DecodingSettings,
    out: TextIO,
) -> int:
    """Fill the blanks that `spans_of` draws in texts of a table, or those typed in them where it gives None.

    As `fill_lines`, with "row", "id" and "original" (the answers that stood there) instead of "line", and beside each
    model's candidates "original_log_probability" of those answers (None where they cannot be scored).
    """
    room = settings.max_answer_tokens if settings.cut else None

    def items() -> Iterator[Item]:
        for text in texts:
            record: dict[str, Any] = {"row": text.row, "id": text.name, "text": text.text}

            def made(infiller: Infiller, text: TableText = text, record: dict[str, Any] = record) -> Context:
                spans = spans_of(text)
                if spans is None:
                    return infiller.context(text.text, answer_room=room)
                record["original"] = answers_of(text.text, spans)
                return infiller.blanked(text.text, spans, room)

            yield record, made

    return _fill(items(), "row", infillers, settings, out, total=len(texts))


def _fill(
    items: Iterator[Item],
    place: str,
    infillers: Mapping[str, Infiller],
    settings: DecodingSettings,
    out: TextIO,
    total: int | None = None,
) -> int:
    filled, failed, first_fault = 0, 0, ""
    # None: on a terminal only; and there not among the records.
    with tqdm(total=total, unit=" texts", leave=False, disable=True if out.isatty() else None) as progress:
        while block := list(islice(items, TEXTS_AT_ONCE)):
            records = [
                record
                for name, infiller in infillers.items()
                for record in _filled(block, place, name, infiller, settings)
            ]
            # By text, the models in their order: the sort is stable.
            _write(sorted(records, key=lambda record: record[place]), out)
            progress.update(len(block))
            faults = [f"{place} {record[place]}: {record['error']}" for record in records if "error" in record]
            first_fault = first_fault or next(iter(faults), "")
            failed, filled = failed + len(faults), filled + len(records) - len(faults)
    if failed:
        raise UserError(f"{failed} of {filled + failed} texts could not be filled; {first_fault}")
    if not filled:
        raise UserError("There is no text to fill: give one a line, with blanks, as in: She ate _ for lunch.")
    return filled


def _filled(
    block: Sequence[Item], place: str, name: str, infiller: Infiller, settings: DecodingSettings
) -> list[dict[str, Any]]:
    """The records of a block of texts filled by one model."""
    records, good = [], []
    for about, context_of in block:
        record: dict[str, Any] = {}
        records.append(record)
        fault = {}
        try:
            good.append((record, context_of(infiller)))
        except UserError as error:
            fault = {"error": str(error)}
        # `about` may say more of the text now.
        record |= {place: about[place], "model": name} | about | fault
    found = infiller([context for _, context in good], **asdict(settings))
    for (record, context), results in zip(good, found, strict=True):
        if "original" in record:
            record["original_log_probability"] = scored(infiller, context, record["original"])
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


def scored(infiller: Infiller, context: Context, answers: Sequence[str]) -> float | None:
    """The log-probability of the original answers; None where the tokens do not end with them, or are too many."""
    try:
        return infiller.score(context, answers)
    except UserError:
        return None


def open_lines(path: str | None) -> TextIO:
    """The lines of a UTF-8 file, or of stdin. Bytes that are no UTF-8 make their line alone invalid.

    Raises: UserError if there is no such file, or no stdin.
    """
    if path is None and sys.stdin is None:
        raise UserError("There is nothing to read: give texts through a pipe, or input=FILE")
    if path is None and sys.stdin.isatty():
        log.info("one text a line, with blanks; Ctrl-D ends")
    try:
        stream = sys.stdin.buffer if path is None else open(path, "rb")  # noqa: SIM115 (the caller closes it)
    except OSError as error:
        raise UserError(f"input={path} cannot be read: {error.strerror}") from error
    return TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape")


def _json(infilling: Infilling) -> dict[str, Any]:
    keys = ("text", "answers", "spans", "log_probability", "token_log_probabilities", "complete", "left_out")
    return {key: getattr(infilling, key) for key in keys}
