"""Walking through the texts of a table: each masked, filled, and shown beside what stood there."""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from ilm.config.infill import Decoding, Infill
from ilm.errors import UserError
from ilm.files import atomic_file
from ilm.infilling.candidates import Infilling
from ilm.infilling.infiller import Infiller
from ilm.infilling.jsonl import fill_table, score_original
from ilm.infilling.render import joint_probability, markdown, marked
from ilm.infilling.terminal import BLANKS, COMMANDS, Terminal, is_dialogue, terminal_console
from ilm.infilling.texts import TableText, draw_blanks, is_table, read_texts, span_texts
from ilm.masking.functions import Span
from ilm.masking.generate import mask_function
from ilm.tables import printable

KEYS = (
    ("Enter or n", "the next text"),
    ("p", "the previous one"),
    ("r", "mask this one anew"),
    ("12", "text number 12"),
    (":markdown", "this text and its candidates as a table in Markdown; :markdown FILE adds it to a file"),
)
STEPS = {"": 1, "n": 1, "next": 1, "p": -1, "previous": -1, "r": 0, "remask": 0}
SpansOf = Callable[[TableText, int], Sequence[Span] | None]


def browse(
    settings: Infill,
    infillers: Mapping[str, Infiller],
    decoding: Decoding,
    load: Callable[[Sequence[str]], Mapping[str, Infiller]],
) -> None:
    """The texts of the file that a plain `ilm.config.Infill` names: to a person one by one, else as JSON lines.

    Without `n_masks` the blanks of a table are drawn as masks are, and those of a file of lines are the typed ones.
    """
    corpus, n_masks = settings.corpus, settings.n_masks
    texts = read_texts(settings.input, corpus.columns.model_dump(), corpus.encoding, corpus.sheet)
    if n_masks is None and not is_table(settings.input):
        n_masks = 0
    function = mask_function(settings.masking.function)

    def spans_of(text: TableText, attempt: int = 0) -> list[Span] | None:
        return None if n_masks == 0 else draw_blanks(text, n_masks, function, settings.seed, attempt)

    if is_dialogue():
        TableBrowser(texts, spans_of, infillers, decoding, load, terminal_console()).run()
    else:
        fill_table(texts, spans_of, infillers, decoding, sys.stdout)


class TableBrowser(Terminal):
    """The dialogue over `texts`; `spans_of` draws the blanks of a text at an attempt (None: those typed in it)."""

    help = (*KEYS, *BLANKS, *COMMANDS)

    def __init__(
        self,
        texts: Sequence[TableText],
        spans_of: SpansOf,
        infillers: Mapping[str, Infiller],
        decoding: Decoding,
        load: Callable[[Sequence[str]], Mapping[str, Infiller]],
        console: Console,
    ):
        super().__init__(infillers, decoding, load, console)
        self._texts, self._spans_of, self._at = texts, spans_of, 0
        self._attempts: dict[int, int] = {}
        self._spans: list[Span] = []
        self._found: dict[str, list[Infilling]] = {}
        self._own: dict[str, str] = {}  # by model, the probability of what stood there

    def begin(self) -> None:
        self.say(f"{len(self._texts)} texts; models: {', '.join(self.infillers)}. Enter: next, p: previous, r: mask")
        self.say("anew, a number: that text, :markdown, :help, quit")
        self.respond(str(self._at + 1))

    def prompt(self) -> str:
        return f"{self._at + 1}/{len(self._texts)} > "

    def text(self, line: str) -> None:
        if line in STEPS:
            number = self._at + STEPS[line]
            if not 0 <= number < len(self._texts):
                raise UserError(f"This is the {'first' if number < 0 else 'last'} text; a number goes to another one")
            if STEPS[line] == 0:
                self._attempts[number] = self._attempts.get(number, 0) + 1
        elif re.fullmatch(r"[+-]?\d+", line):
            # Nobody has texts of so many digits that Python reads no number in them.
            number = int(line) - 1 if len(line) < 20 else -1
            if not 0 <= number < len(self._texts):
                raise UserError(f"There are texts 1 to {len(self._texts)}, and no {line[:20]}")
        else:
            super().text(line)
            return
        self._at = number
        self._show_text()

    def command(self, name: str = "", *arguments: str) -> None:
        if name == "markdown":
            self._markdown(" ".join(arguments))
        else:
            super().command(name, *arguments)

    def changed(self) -> None:
        self._show_text()

    def _title(self) -> str:
        text = self._texts[self._at]
        return " · ".join((f"text {self._at + 1} of {len(self._texts)}", text.name, *text.about))

    def _show_text(self) -> None:
        text, self._found = self._texts[self._at], {}
        self.console.print(Rule(Text(printable(self._title())), align="left"))
        spans = self._spans_of(text, self._attempts.get(self._at, 0))
        room = self.decoding.answer_room
        if spans is None:
            contexts = self.contexts(lambda infiller: infiller.context(text.text, answer_room=room))
            self._spans, self._own = [], {}
        else:
            contexts = self.contexts(lambda infiller: infiller.context_of_spans(text.text, spans, room))
            answers = span_texts(text.text, spans)
            values = {name: score_original(self.infillers[name], own, answers) for name, own in contexts.items()}
            self._spans = list(spans)
            self._own = {n: "not known" if own is None else joint_probability(own) for n, own in values.items()}
        original = marked(text.text, self._spans)
        for name, value in self._own.items():
            original.append(f"\n{f'{name}: ' if len(self._own) > 1 else ''}p = {value}", style="dim")
        self._found = self.show(contexts, original)

    def _markdown(self, path: str) -> None:
        if not self._found:
            raise UserError("There is no table of this text yet")
        text = self._texts[self._at].text
        table = markdown(self._title(), text, self._spans, self._found, self._own)
        if not path:
            self.console.print(Text(table), soft_wrap=True)
            return
        file = Path(path)
        if not file.parent.is_dir():
            raise UserError(f":markdown {path}: there is no folder {file.parent}")
        try:
            before = file.read_text(encoding="utf-8") + "\n" if file.exists() else ""
            with atomic_file(file) as temporary:
                temporary.write_text(before + table, encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f":markdown {path}: the file cannot be written ({error})") from error
        self.say(f"added to {path}")
