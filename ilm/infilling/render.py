"""Shows candidates at the terminal."""

import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ilm.infilling.candidates import Infilling
from ilm.tables import printable

LIKELY, POSSIBLE = 0.3, 0.05  # probabilities of a token, for its colour
LEGEND = (
    f"tokens of answers green: p of {LIKELY} and more, yellow: of {POSSIBLE}, red: below; p of an answer is the "
    f"product over its tokens and its end, which is named where it is below {LIKELY}"
)
NARROWEST = 30  # minimum column width in characters


def shown(infilling: Infilling) -> Text:
    """A filled text, shown literally, with coloured answers and their probability under the model."""
    text = Text(printable(infilling.text))
    answers = zip(infilling.spans, infilling.token_texts, infilling.token_log_probabilities, strict=True)
    for (start, _), tokens, values in answers:
        for token, value in whole_characters(tokens, values):
            text.stylize(f"bold {_colour(value)}", start, start + len(token))
            start += len(token)
    return text.append(f"  {probabilities(infilling)}", style="dim")


def whole_characters(texts: Sequence[str], values: Sequence[float]) -> Iterator[tuple[str, float]]:
    """The texts and log-probabilities of an answer's tokens, those that share a character as one.

    The last is the end token, with an empty text.
    """
    together = 0.0
    for text, value in zip(texts[:-1], values, strict=False):
        together += value
        if text:
            yield text, together
            together = 0.0
    yield "", together + values[-1]


def _colour(log_probability: float) -> str:
    p = math.exp(log_probability)
    return "green" if p >= LIKELY else "yellow" if p >= POSSIBLE else "red"


def joint_probability(values: Sequence[Sequence[float]]) -> str:
    """p = 0.02 (0.1, 0.2): for all answers, then for each given earlier ones; `values`: of their tokens, in nats.

    An unlikely end token is spelled out, since no colour shows it: p = 0.02 (end 0.03).
    """
    found = [math.fsum(own) for own in values]
    ends = [f"end {probability(own[-1])}" if len(own) > 1 and own[-1] < math.log(LIKELY) else "" for own in values]
    each = [f"{probability(p)} {end}".strip() for p, end in zip(found, ends, strict=True)] if len(values) > 1 else ends
    joint = probability(math.fsum(found))
    brackets = f" ({', '.join(each)})" if any(each) else ""
    return f"p {joint if joint.startswith('>') else f'= {joint}'}{brackets}"


def probabilities(infilling: Infilling) -> str:
    """p = 0.02 (0.1, 0.2): for the answers, followed by remarks."""
    found = joint_probability(infilling.token_log_probabilities)
    if not infilling.complete:
        found += ", not finished"
    unread = [
        f"{n} characters at the {end}" for n, end in zip(infilling.left_out, ("beginning", "end"), strict=True) if n
    ]
    if unread:
        found += f", {' and '.join(unread)} not read"
    return found


def probability(log_probability: float) -> str:
    """Two digits, as on the page: 0.34, 0.0012, 3.4e-06. Works for long answers too, whose p underflows a float."""
    if -math.inf < log_probability < -600:
        return f"{Decimal(log_probability).exp():.1e}".replace(".0e", "e")
    found = f"{math.exp(log_probability):.2g}"
    return "> 0.99" if found == "1" and log_probability < 0 else found


def side_by_side(found: Mapping[str, Sequence[Infilling]], original: Text | None, width: int) -> RenderableType:
    """The candidates of each model under its name, after the original text; numbered if there are several.

    A single model without an original has no heading. If columns would be too narrow for a terminal of `width`
    characters, models are stacked vertically.
    """
    columns = [(Text(printable(name), style="bold"), _numbered(own)) for name, own in found.items()]
    if original is not None:
        columns.insert(0, (Text("original", style="bold"), original))
    if len(columns) == 1:
        return columns[0][1]
    if width < NARROWEST * len(columns):
        return Group(*(part for column in columns for part in ("", *column)))
    table = Table(box=box.SIMPLE_HEAD)
    for name, _ in columns:
        table.add_column(name, overflow="fold", ratio=1)
    table.add_row(*(content for _, content in columns))
    return table


def _numbered(infillings: Sequence[Infilling]) -> RenderableType:
    if len(infillings) == 1:
        return shown(infillings[0])
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", style="dim")
    grid.add_column(overflow="fold")
    for number, infilling in enumerate(infillings, start=1):
        grid.add_row(str(number), shown(infilling))
    return grid
