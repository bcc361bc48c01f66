"""Texts in, JSON lines out: what `infill.py` does where nobody sits at it."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from io import TextIOWrapper
from itertools import islice
from typing import Any, TextIO

from ilm.errors import UserError
from ilm.infilling.blanks import Context
from ilm.infilling.decoding import Infiller
from ilm.infilling.sampling import DecodingSettings
from ilm.infilling.sequences import Infilling
from ilm.infilling.texts import TableText, answers_of
from ilm.masking.functions import Span

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
            if text.strip():
                yield (
                    {"line": number, "text": text},
                    lambda infiller, text=text: infiller.context(text, answer_room=room),
                )

    return _fill(items(), "line", infillers, settings, out)


def fill_table(
    texts: Iterable[TableText],
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

    return _fill(items(), "row", infillers, settings, out)


def _fill(
    items: Iterator[Item], place: str, infillers: Mapping[str, Infiller], settings: DecodingSettings, out: TextIO
) -> int:
    filled, faults = 0, []
    while block := list(islice(items, TEXTS_AT_ONCE)):
        records: list[dict[str, Any]] = []
        for name, infiller in infillers.items():
            good = []
            for about, context_of in block:
                number = about[place]
                record = {place: number, "model": name}
                records.append(record)
                try:
                    context = context_of(infiller)
                    good.append((record, context))
                except UserError as error:
                    record["error"] = str(error)
                    faults.append(f"{place} {number}: {error}")
                record |= {key: value for key, value in about.items() if key != place}
            found = infiller([context for _, context in good], **asdict(settings))
            for (record, context), results in zip(good, found, strict=True):
                if "original" in record:
                    record["original_log_probability"] = scored(infiller, context, record["original"])
                record["candidates"] = [_json(result) for result in results]
            filled += len(good)
        # By text, the models in their order: the sort is stable.
        out.writelines(json.dumps(record) + "\n" for record in sorted(records, key=lambda record: record[place]))
        out.flush()
    if faults:
        raise UserError(f"{len(faults)} of {filled + len(faults)} texts could not be filled; {faults[0]}")
    if not filled:
        raise UserError("There is no text to fill: give one a line, with blanks, as in: She ate _ for lunch.")
    return filled


def scored(infiller: Infiller, context: Context, answers: Sequence[str]) -> float | None:
    """The log-probability of the original answers; None where the tokens do not end with them, or are too many."""
    try:
        return infiller.score(context, answers)
    except UserError:
        return None


def open_lines(path: str | None) -> TextIO:
    """The lines of a UTF-8 file, or of stdin. Bytes that are no UTF-8 make their line alone invalid.

    Raises: UserError if there is no such file.
    """
    try:
        stream = sys.stdin.buffer if path is None else open(path, "rb")  # noqa: SIM115 (the caller closes it)
    except OSError as error:
        raise UserError(f"input={path} cannot be read: {error.strerror}") from error
    return TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape")


def _json(infilling: Infilling) -> dict[str, Any]:
    keys = ("text", "answers", "spans", "log_probability", "token_log_probabilities", "complete", "left_out")
    return {key: getattr(infilling, key) for key in keys}
