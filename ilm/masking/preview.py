"""Shows a masked document: what is cut out, what the model sees, and the expected answers."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import pandas as pd
from rich.console import RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ilm.masking.functions import Span
from ilm.masking.store import MaskStore
from ilm.tables import printable

_COLOURS = ("red", "magenta", "blue", "green", "yellow", "cyan")


def preview(text: str, spans: Sequence[Span], mask_types: Sequence[str]) -> RenderableType:
    """The document with its `spans` coloured by type, the context with blanks, and the answers in order.

    Text is shown literally, not interpreted as rich markup or terminal control codes.
    """
    styles = {t: f"reverse {_COLOURS[i % len(_COLOURS)]}" for i, t in enumerate(mask_types)}
    pieces, answers = cut(printable(text), spans)
    document, context, listed = Text(pieces[0]), Text(pieces[0]), Text()
    for span, answer, piece in zip(spans, answers, pieces[1:], strict=True):
        style = styles[span.mask_type]
        document.append(answer, style).append(piece)
        context.append(f"<|infill_{span.mask_type}|>", style).append(piece)
        listed.append(f"{span.mask_type} ").append(answer, style).append("\n")
    listed.rstrip()

    table = Table.grid(padding=(0, 2))
    table.add_row(Text("document", "dim"), document)
    table.add_row(Text("context", "dim"), context)
    table.add_row(Text("answers", "dim"), listed if answers else Text("none: nothing is masked", "dim"))
    return table


def cut(text: str, spans: Sequence[Span]) -> tuple[list[str], list[str]]:
    """Cut `spans` out of `text`; returns the pieces of context (one more than spans) and the answers."""
    bounds = [0, *(bound for _, start, length in spans for bound in (start, start + length)), len(text)]
    parts = [text[start:end] for start, end in pairwise(bounds)]
    return parts[::2], parts[1::2]


def stored_previews(documents: pd.DataFrame, masks: MaskStore, count: int) -> Iterator[RenderableType]:
    """Previews of `count` documents of the training split, each with its first non-empty mask."""
    split = masks.splits["train"]
    for entry in range(min(count, len(split.documents))):
        numbers = range(split.mask_offsets[entry], split.mask_offsets[entry + 1])
        number = next((n for n in numbers if len(split.spans(n)[0])), numbers[0])
        columns = zip(*split.spans(number), strict=True)
        spans = [Span(masks.mask_types[t], int(start), int(length)) for t, start, length in columns]
        document = documents.iloc[int(split.documents[entry])]
        title = f"{document['writing_id']} ({document['cefr_level']}, {document['l1']})"
        yield Panel(
            preview(document["text"], spans, masks.mask_types), title=escape(printable(title)), title_align="left"
        )
