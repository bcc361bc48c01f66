"""Candidates as a person reads them: coloured in a terminal, or as a table in Markdown."""

import math
from collections.abc import Mapping, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from ilm.infilling.sequences import Infilling
from ilm.masking.functions import Span

# Control characters, which models of bytes can write, are shown as pictures of themselves: none reaches the terminal.
VISIBLE = {code: 0x2400 + code for code in range(32) if code != ord("\n")}
VISIBLE |= dict.fromkeys(range(0x7F, 0xA0), 0xFFFD)
# Colour of an answer by the geometric mean of its tokens' probabilities, with the end.
LIKELY, POSSIBLE = 0.3, 0.05
_ESCAPED = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_[]|#"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"})
LEGEND = f"answers green: p of a token above {LIKELY}, yellow: above {POSSIBLE}, red: below"


def shown(infilling: Infilling) -> Text:
    """A filled text, literally, its answers coloured, and their probability under the model."""
    text, done = Text(), 0
    for (start, length), values in zip(infilling.spans, infilling.token_log_probabilities, strict=True):
        text.append(infilling.text[done:start].translate(VISIBLE))
        done = start + length
        text.append(infilling.text[start:done].translate(VISIBLE), style=f"bold {_colour(values)}")
    text.append(infilling.text[done:].translate(VISIBLE))
    text.append(f"  {probabilities(infilling)}", style="dim")
    return text


def _colour(log_probabilities: Sequence[float]) -> str:
    mean = math.exp(math.fsum(log_probabilities) / len(log_probabilities))
    return "green" if mean >= LIKELY else "yellow" if mean >= POSSIBLE else "red"


def probabilities(infilling: Infilling) -> str:
    """p = 0.02 (0.1, 0.2): of all answers, then of each given those before it; and what else is to be known."""
    found = f"p = {probability(infilling.log_probability)}"
    if len(infilling.answers) > 1:
        found += f" ({', '.join(map(probability, infilling.answer_log_probabilities))})"
    if not infilling.complete:
        found += ", not finished"
    if any(infilling.left_out):
        found += ", {} characters at the beginning and {} at the end not read".format(*infilling.left_out)
    return found


def probability(log_probability: float) -> str:
    """Two digits of it; those of long answers are smaller than any float."""
    if log_probability > -700:
        return f"{math.exp(log_probability):.2g}"
    exponent = math.floor(log_probability / math.log(10))
    digits = f"{math.exp(log_probability - exponent * math.log(10)):.1f}"
    return f"1.0e{exponent + 1}" if digits == "10.0" else f"{digits}e{exponent}"


def marked(text: str, spans: Sequence[Span], style: str = "reverse") -> Text:
    """A text as it is, its spans set off."""
    found, done = Text(), 0
    for span in spans:
        found.append(text[done : span.start].translate(VISIBLE))
        done = span.start + span.length
        found.append(text[span.start : done].translate(VISIBLE), style=style)
    return found.append(text[done:].translate(VISIBLE))


def side_by_side(found: Mapping[str, Sequence[Infilling]], original: Text | None = None) -> Table:
    """A column for each model, with its candidates one below the other; the original text before them."""
    table = Table(box=box.SIMPLE_HEAD)
    if original is not None:
        table.add_column("original", overflow="fold", ratio=1)
    for name in found:
        table.add_column(Text(name), overflow="fold", ratio=1)
    for number in range(max(map(len, found.values()))):
        row = [shown(own[number]) if number < len(own) else Text() for own in found.values()]
        table.add_row(*([original if number == 0 else Text()] if original is not None else []), *row)
    return table


def markdown(
    title: str, text: str, spans: Sequence[Span], found: Mapping[str, Sequence[Infilling]], own: Mapping[str, str]
) -> str:
    """A table of the original text and the candidates, answers in bold; `own`: the original's p by model."""
    rows = [f"**{_cell(title)}**", "", "| model | text | p |", "|---|---|---|"]
    p = ", ".join(f"{name}: {value}" for name, value in own.items())
    rows.append(f"| original | {_bold(text, [(s.start, s.length) for s in spans])} | {_cell(p)} |")
    for name, infillings in found.items():
        for infilling in infillings:
            p = probabilities(infilling).removeprefix("p = ")
            rows.append(f"| {_cell(name)} | {_bold(infilling.text, infilling.spans)} | {_cell(p)} |")
    return "\n".join(rows) + "\n"


def _bold(text: str, spans: Sequence[tuple[int, int]]) -> str:
    found, done = "", 0
    for start, length in spans:
        answer = text[start : start + length]
        # Two asterisks set off nothing where a space is inside them.
        inner = answer.strip()
        before = answer[: len(answer) - len(answer.lstrip())] if inner else answer
        found += _cell(text[done:start] + before)
        found += f"**{_cell(inner)}**" if inner else ""
        found += _cell(answer[len(before) + len(inner) :])
        done = start + length
    return found + _cell(text[done:])


def _cell(text: str) -> str:
    """Literal text within a cell of a Markdown table."""
    return text.translate(VISIBLE).translate(_ESCAPED).replace("\n", "<br>")
