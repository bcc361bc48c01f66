"""Browses texts at the terminal: blanks, drawn or typed, are filled and shown beside the original."""

import re
from collections.abc import Callable, Mapping, Sequence

from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from ilm.config.infill import Decoding
from ilm.errors import UserError
from ilm.infilling.jsonl import score_original
from ilm.infilling.mixture import Filler
from ilm.infilling.render import joint_probability
from ilm.infilling.terminal import BLANKS, COMMANDS, Terminal
from ilm.infilling.texts import InputText, span_texts
from ilm.masking.functions import Span
from ilm.tables import printable

KEYS = (
    ("Enter or n", "the next text"),
    ("p", "the previous one"),
    ("r", "other blanks in this one"),
    ("12", "text number 12"),
)
STEPS = {"": 1, "n": 1, "p": -1, "r": 0}


class TextBrowser(Terminal):
    """A dialogue over `texts`; `spans_of`: draws the blanks of a text for an attempt (None: as typed)."""

    help = (*KEYS, *BLANKS, *COMMANDS)

    def __init__(
        self,
        texts: Sequence[InputText],
        spans_of: Callable[[InputText, int], Sequence[Span] | None],
        infillers: Mapping[str, Filler],
        decoding: Decoding,
        load: Callable[[list[str]], Mapping[str, Filler]],
        console: Console,
    ):
        super().__init__(infillers, decoding, load, console)
        self._texts, self._spans_of, self._at = texts, spans_of, 0
        self._attempts = [0] * len(texts)

    def begin(self) -> None:
        self.say(f"{len(self._texts)} texts; models: {', '.join(self.infillers)}")
        self.say("Enter: next text, p: previous one, r: other blanks, a number: that text; :help, quit")
        self.respond("1")

    def prompt(self) -> str:
        return f"{self._at + 1}/{len(self._texts)} > "

    def text(self, line: str) -> None:
        if line in STEPS:
            at = self._at + STEPS[line]
        elif re.fullmatch(r"[+-]?\d{1,18}", line):
            at = int(line) - 1
        else:
            super().text(line)
            return
        if not 0 <= at < len(self._texts):
            raise UserError(f"No text {at + 1}: type a number from 1 to {len(self._texts)}")
        self._attempts[at] += line == "r"
        self._at = at
        self.changed()

    def changed(self) -> None:
        """Show the text filled, beside the original."""
        text = self._texts[self._at]
        title = " · ".join((f"text {self._at + 1} of {len(self._texts)}", text.name, *text.about))
        self.console.print(Rule(Text(printable(title)), align="left"))
        spans = self._spans_of(text, self._attempts[self._at])
        contexts = self.contexts(text.text, spans)
        original = Text(printable(text.text))
        if spans:
            for span in spans:
                original.stylize("reverse", span.start, span.start + span.length)
            answers = span_texts(text.text, spans)
            for name, context in contexts.items():
                values = score_original(self.infillers[name], context, answers)
                p = "p unknown" if values is None else joint_probability([[value] for value in values])
                original.append(f"\n{f'{name}: ' if len(contexts) > 1 else ''}{p}", style="dim")
        self.show(contexts, original)
