"""Filling blanks from the command line: a dialogue with candidates in colour, or lines in and JSON lines out."""

import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from io import TextIOWrapper
from itertools import islice
from typing import Any, TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ilm.errors import UserError
from ilm.infilling.decoding import Infiller
from ilm.infilling.sampling import DecodingSettings
from ilm.infilling.sequences import Infilling

PROMPT = "> "
LINES_AT_ONCE = 64

HELP = """\
Type a text with blanks: She ate [ngram] for _.
  _ or [MASK]        a blank of the default type (word, where the model has it)
  blanks of a type: {types}
  :n 5               candidates of each text
  :temperature 0.8   below 1 nearer to the likeliest, above 1 freer
  :top_p 0.9         draw from the likeliest tokens that make up this probability; off takes all
  :top_k 40          draw from this many; off takes all
  :greedy on         the likeliest token at each step; off draws
  :max_answer_tokens 50
  :seed 1            other candidates; a text has the same ones as long as nothing is changed
  :model NAME ...    other models: level names, run names, folders; several stand side by side
  :help              this; quit or Ctrl-D ends"""

# Control characters, which models of bytes can write, are shown as pictures of themselves: none reaches the terminal.
_VISIBLE = {code: 0x2400 + code for code in range(32) if code != ord("\n")}
_VISIBLE |= dict.fromkeys(range(0x7F, 0xA0), 0xFFFD)


class Terminal:
    """The dialogue: `infillers` by name, shown side by side; `load` gives those of other names (`:model`)."""

    def __init__(
        self,
        infillers: Mapping[str, Infiller],
        settings: DecodingSettings,
        load: Callable[[Sequence[str]], Mapping[str, Infiller]],
        console: Console,
    ):
        self.infillers, self.settings, self.load, self.console = infillers, settings, load, console

    def run(self, read: Callable[[str], str] = input) -> None:
        """Answer lines until `quit` or the end of the input."""
        with suppress(ImportError):  # where Python has it: editing of the line, and earlier ones
            import readline  # noqa: F401
        self._say(f"Models: {', '.join(self.infillers)}. Type a text with blanks (She ate _ for lunch.), :help or quit")
        while True:
            try:
                line = read(PROMPT).strip()
            except EOFError:
                self.console.print()
                return
            if line == "quit":
                return
            if line:
                self.respond(line)

    def respond(self, line: str) -> None:
        """Answer one line: a command or a text. A user's mistake is shown, and the dialogue goes on."""
        try:
            if line.startswith(":"):
                self._command(*line[1:].split())
            else:
                self._fill(line)
        except UserError as error:
            self.console.print(Text(str(error), style="red"))

    def _fill(self, text: str) -> None:
        found = {name: infiller(text, **asdict(self.settings))[0] for name, infiller in self.infillers.items()}
        # The likeliest first.
        columns = [sorted(results, key=lambda result: -result.log_probability) for results in found.values()]
        if len(columns) == 1:
            for result in columns[0]:
                self.console.print(shown(result))
            return
        table = Table(box=box.SIMPLE_HEAD)
        for name in found:
            table.add_column(Text(name), overflow="fold", ratio=1)
        for row in zip(*columns, strict=True):
            table.add_row(*map(shown, row))
        self.console.print(table)

    def _command(self, name: str = "", *arguments: str) -> None:
        if name == "help" and not arguments:
            types = " ".join(dict.fromkeys(f"[{t}]" for i in self.infillers.values() for t in i.vocabulary.mask_types))
            self._say(HELP.format(types=types))
            self._say("now: " + ", ".join(f"{key} {_spoken(value)}" for key, value in asdict(self.settings).items()))
        elif name in ("model", "models") and arguments:
            self.infillers = self.load(arguments)
            self._say(f"Models: {', '.join(self.infillers)}")
        elif name in _SETTINGS and len(arguments) == 1:
            key, parse = _SETTINGS[name]
            try:
                value = parse(arguments[0])
            except (ValueError, KeyError):
                raise UserError(f":{name} {arguments[0]} is not understood. Type :help") from None
            self.settings = replace(self.settings, **{key: value})
            self._say(f"{key} {_spoken(value)}")
        else:
            raise UserError(f":{' '.join((name, *arguments))} is no command. Type :help")

    def _say(self, message: str) -> None:
        self.console.print(Text(message, style="dim"))


def shown(infilling: Infilling) -> Text:
    """A filled text, literally, its answers in colour, and its probability under the model."""
    text, done = Text(), 0
    for start, length in infilling.spans:
        text.append(infilling.text[done:start].translate(_VISIBLE))
        done = start + length
        text.append(infilling.text[start:done].translate(_VISIBLE), style="bold green")
    text.append(infilling.text[done:].translate(_VISIBLE))
    unfinished = "" if infilling.complete else ", not finished"
    text.append(f"  p = {_probability(infilling.log_probability)}{unfinished}", style="dim")
    return text


def fill_lines(lines: Iterable[str], infillers: Mapping[str, Infiller], settings: DecodingSettings, out: TextIO) -> int:
    """Fill one text a line; writes a JSON object a line and model, in order; empty lines are left out.

    {"line", "model", "text", "candidates": [{"text", "answers", "spans", "log_probability",
    "token_log_probabilities", "complete"}, ...]}, or "error" in place of the candidates. Reads and writes blocks of
    LINES_AT_ONCE lines. Returns how many texts were filled.

    Raises: UserError at the end, if a text could not be filled.
    """
    numbered = ((number, line.rstrip("\n")) for number, line in enumerate(lines, start=1))
    texts = ((number, text) for number, text in numbered if text.strip())
    filled, faults = 0, []
    while block := list(islice(texts, LINES_AT_ONCE)):
        records: list[dict[str, Any]] = []
        for name, infiller in infillers.items():
            good = []
            for number, text in block:
                records.append({"line": number, "model": name, "text": text})
                try:
                    infiller.context(text)
                    good.append(records[-1])
                except UserError as error:
                    records[-1]["error"] = str(error)
                    faults.append(f"line {number}: {error}")
            for record, results in zip(good, infiller([r["text"] for r in good], **asdict(settings)), strict=True):
                record["candidates"] = [_json(result) for result in results]
            filled += len(good)
        # By line, the models in their order: the sort is stable.
        out.writelines(json.dumps(record) + "\n" for record in sorted(records, key=lambda record: record["line"]))
        out.flush()
    if faults:
        raise UserError(f"{len(faults)} of {filled + len(faults)} texts could not be filled; {faults[0]}")
    return filled


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
    keys = ("text", "answers", "spans", "log_probability", "token_log_probabilities", "complete")
    return {key: getattr(infilling, key) for key in keys}


def _probability(log_probability: float) -> str:
    """Two digits of it; those of long answers are smaller than any float."""
    if log_probability > -700:
        return f"{math.exp(log_probability):.2g}"
    exponent = math.floor(log_probability / math.log(10))
    return f"{math.exp(log_probability - exponent * math.log(10)):.1f}e{exponent}"


def _spoken(value: Any) -> str:
    return {None: "off", True: "on", False: "off"}[value] if value is None or isinstance(value, bool) else str(value)


def _number_or_off(kind: type) -> Callable[[str], Any]:
    return lambda value: None if value == "off" else kind(value)


_SETTINGS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "n": ("candidates", int),
    "candidates": ("candidates", int),
    "temperature": ("temperature", float),
    "top_k": ("top_k", _number_or_off(int)),
    "top_p": ("top_p", _number_or_off(float)),
    "greedy": ("greedy", {"on": True, "off": False}.__getitem__),
    "max_answer_tokens": ("max_answer_tokens", int),
    "seed": ("seed", int),
}
