"""Edits in the M2 format of error-annotated corpora (W&I+LOCNESS, FCE; Dahlmeier and Ng 2012, Bryant et al. 2019).

    S I has a apple .
    A 1 2|||R:VERB:SVA|||have|||REQUIRED|||-NONE-|||0
    A 2 3|||R:DET|||an|||REQUIRED|||-NONE-|||0

A sentence with its tokens separated by spaces, then its edits: start and end token, type, correction, two unused
fields, annotator. An empty line ends a sentence. The format names no text, level or learner, so each sentence is a
text. Tokens are detokenised (`joined`), since models know texts as learners typed them.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pandas as pd

from ilm.errors import UserError
from ilm.evaluation.forms.edits import Edit, Stretch, covering

# Types of lines without a correction: no error, or one that was detected but not corrected.
NOOP, UNCORRECTED = "noop", ("UNK", "Um")
NOT_CORRECTED = "errors that the annotator did not correct"
_CLOSING = {*".,;:!?)]}%”’", "...", "…", "n't", "N'T"}
_OPENING = {*"([{“‘$£€#"}
_QUOTES = ('"', "''", "``")


def read_m2(path: Path, annotator: int) -> tuple[pd.DataFrame, Counter]:
    """(A row per sentence, called FILE:NUMBER, with the edits of one annotator; counts of what is left out, by cause).

    Columns: writing_id, l1 and cefr_level (unknown, ""), text, corrected, edits.

    Raises: UserError for a file that is not M2, or an annotator who does not occur in it.
    """
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"input={path} cannot be read: {error}") from error
    rows = []
    counts: Counter[str] = Counter()
    annotators: set[int] = set()
    for number, block in enumerate(_blocks(content), start=1):
        (line, sentence), *lines = block
        if not sentence.startswith("S "):
            raise UserError(f"{path}, line {line}: expected a sentence that begins with 'S ', found {sentence[:40]!r}")
        tokens = sentence[2:].split()
        edits = [edit for at, text in lines if (edit := _edit(path, at, text, len(tokens)))]
        annotators |= {who for *_, who in edits}
        own = [(first, last, kind, new) for first, last, kind, new, who in edits if who == annotator and kind != NOOP]
        counts[NOT_CORRECTED] += sum(kind in UNCORRECTED for _, _, kind, _ in own)
        own = sorted((edit for edit in own if edit[2] not in UNCORRECTED), key=lambda edit: edit[:2])
        if any(after[0] < before[1] for before, after in pairwise(own)):
            raise UserError(f"{path}, line {line}: edits of annotator {annotator} overlap")
        rows.append((f"{path.name}:{number}", "", "", *_parallel(tokens, own)))
    if not rows:
        raise UserError(f"{path} has no sentence: expected lines that begin with 'S '")
    if annotators and annotator not in annotators:
        known = ", ".join(map(str, sorted(annotators)))
        raise UserError(f"task.annotator={annotator}: {path} has edits of {known}")
    return pd.DataFrame(rows, columns=["writing_id", "l1", "cefr_level", "text", "corrected", "edits"]), +counts


def joined(tokens: Sequence[str]) -> tuple[str, list[Stretch]]:
    """(Tokens joined as they are usually written; the place of each): no space before marks, or inside quotes."""
    text, places, tight, open_quotes = "", [], True, False
    for token in tokens:
        closes = token in _CLOSING or (token[0] in "'’" and len(token) > 1) or (token in _QUOTES and open_quotes)
        text += "" if tight or closes else " "
        places.append((len(text), len(token)))
        text += token
        if token in _QUOTES:
            open_quotes = not open_quotes
        tight = token in _OPENING or (token in _QUOTES and open_quotes)
    return text, places


def _blocks(content: str) -> Iterator[list[tuple[int, str]]]:
    """The numbered lines of each sentence."""
    block: list[tuple[int, str]] = []
    for number, line in enumerate([*content.splitlines(), ""], start=1):
        if line.strip():
            block.append((number, line))
        elif block:
            yield block
            block = []


def _edit(path: Path, number: int, line: str, tokens: int) -> tuple[int, int, str, list[str], int]:
    """(start token, end token, type, tokens of the correction, annotator) of a line."""
    fields = line[2:].split("|||")
    try:
        if not line.startswith("A ") or len(fields) != 6:
            raise ValueError("expected 'A FIRST LAST|||TYPE|||CORRECTION|||...|||...|||ANNOTATOR'")
        first, last = map(int, fields[0].split())
        kind, who = fields[1], int(fields[5])
        if kind != NOOP and not 0 <= first <= last <= tokens:
            raise ValueError(f"tokens {first} to {last} of a sentence of {tokens}")
    except ValueError as error:
        raise UserError(f"{path}, line {number}: {error}, found {line[:60]!r}") from error
    return first, last, kind, [] if fields[2] == "-NONE-" else fields[2].split(), who


def _parallel(tokens: Sequence[str], edits: Sequence[tuple[int, int, str, list[str]]]) -> tuple[str, str, list[Edit]]:
    """(The learner's sentence, the corrected one, the edits between them)."""
    new: list[str] = []
    ranges, done = [], 0
    for first, last, _, correction in edits:
        new += tokens[done:first]
        ranges.append((len(new), len(new) + len(correction)))
        new += correction
        done = last
    new += tokens[done:]
    (learner, own), (corrected, other) = joined(tokens), joined(new)
    found = [
        Edit(covering(own, first, last), covering(other, a, b), kind)
        for (first, last, kind, _), (a, b) in zip(edits, ranges, strict=True)
    ]
    return learner, corrected, found
