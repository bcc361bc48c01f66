"""Filling blanks at the terminal: a dialogue, in which candidates come in colour and settings change on the way."""

import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ilm.config.infill import Decoding
from ilm.errors import UserError
from ilm.infilling.blanks import Context
from ilm.infilling.candidates import Infilling
from ilm.infilling.infiller import Infiller
from ilm.infilling.render import LEGEND, side_by_side
from ilm.tables import printable

PROMPT = "> "
QUIT = ("quit", "exit", ":quit", ":exit", ":q")
END_OF_PASTE = ":end"
_LIKE_A_BLANK = re.compile(r"\[\w+(?::[^\]\n]*)?\]")

BLANKS = (
    ("She ate [ngram] for _.", "a text with blanks is filled"),
    ("_ or [MASK]", "a blank of the default type (word, where the model has it); _ stands alone"),
    ("{types}", "blanks of a type"),
    ("[word:l...]", "the answer begins with l"),
    ("[ngram:2-5 words]", "2 to 5 words; [word:1 word] exactly 1; tokens likewise; [ngram:2-5 words:left...] both"),
    ("\\n", "a line break in the text"),
    (":paste", "a text of many lines, up to a line :end"),
)
COMMANDS = (
    (":n 5", "candidates of each text"),
    (":temperature 0.8", "below 1 nearer to the likeliest, above 1 freer"),
    (":top_p 0.9", "draw from the likeliest tokens that make up this probability; off takes all"),
    (":top_k 40", "draw from this many; off takes all"),
    (":method beam", "search for the likeliest candidates; greedy: the likeliest token at each step; sample: draw"),
    (":beams 30", "width of the beam search; 0: four times the candidates, at least 8"),
    (":distinct on", "no candidate twice"),
    (":cut off", "refuse a text too long for the model; on reads what is nearest to its blanks"),
    (":max_answer_words 1", "answers of one word; off: of any number"),
    (":max_answer_tokens 50", "longer answers are closed, and said to be not finished"),
    (":batch_size 16", "candidates written at a time: fewer take less memory, and nothing else changes"),
    (":seed 1", "other candidates; a text has the same ones as long as nothing is changed"),
    (
        ":model NAME ...",
        'other models: levels, runs, folders ("in quotes" where they have spaces); several side by side',
    ),
    (":help", "this; Ctrl-C stops what is being written; quit or Ctrl-D ends"),
)


class Terminal:
    """The dialogue: `infillers` by name, shown side by side; `load` gives those of other names (`:model`)."""

    help: Sequence[tuple[str, str]] = (*BLANKS, *COMMANDS)

    def __init__(
        self,
        infillers: Mapping[str, Infiller],
        decoding: Decoding,
        load: Callable[[Sequence[str]], Mapping[str, Infiller]],
        console: Console,
    ):
        # A person wants the likeliest first, whatever order a script is given.
        self.infillers, self.decoding = infillers, decoding.replace(by_probability=True)
        self.load, self.console = load, console
        self._pasted: list[str] | None = None

    def run(self, read: Callable[[str], str] = input) -> None:
        """Answer lines until `quit` or the end of the input."""
        with suppress(ImportError):  # where Python has it: editing of the line, and earlier ones
            import readline

            # What is pasted comes as one text, whatever lines it has, where the terminal tells that it is.
            readline.parse_and_bind("set enable-bracketed-paste on")
        begun = False
        while True:
            try:
                if not begun:
                    begun = True
                    self.begin()
                line = read("" if self._pasted is not None else self.prompt())
                if line.strip() in QUIT and self._pasted is None:
                    return
                self.respond(line)
            except EOFError:
                self.console.print()
                if self._pasted is None:
                    return
                self.respond(END_OF_PASTE)
            except UnicodeDecodeError:
                self.mistake("What was typed is not valid UTF-8: set the terminal's encoding to UTF-8")
            except KeyboardInterrupt:
                self._pasted = None
                self.console.print()
                self.say("stopped; quit or Ctrl-D ends")

    def begin(self) -> None:
        """What is shown before the first prompt."""
        self.say(f"Models: {', '.join(self.infillers)}. Type a text with blanks (She ate _ for lunch.), :help or quit")

    def prompt(self) -> str:
        return PROMPT

    def respond(self, line: str) -> None:
        """Answer one line: a command or a text. A user's mistake is shown, and the dialogue goes on."""
        try:
            if self._pasted is not None:
                self._paste(line)
            elif line.strip() == ":paste":
                self._pasted = []
                self.say(f"Paste the text; a line {END_OF_PASTE} ends it")
            elif line.strip().startswith(":"):
                # As typed for Hydra too: n=5.
                self.command(*_words(re.sub(r"^\s*:(\w*)=", r"\1 ", line).strip().removeprefix(":")))
            else:
                self.text(line.strip())
        except UserError as error:
            self.mistake(str(error))

    def text(self, line: str) -> None:
        """Fill what was typed."""
        if line:
            self.fill(line.replace("\\n", "\n"))

    def fill(self, text: str) -> None:
        """Fill the blanks typed in a text of one or more lines."""
        room = self.decoding.answer_room
        contexts = self.contexts(lambda infiller: infiller.context(text, answer_room=room))
        pieces = (piece for context in contexts.values() for piece in context.pieces)
        if unknown := dict.fromkeys(found for piece in pieces for found in _LIKE_A_BLANK.findall(piece)):
            self.say(f"read as text, not as blanks: {' '.join(unknown)}")
        self.show(contexts)

    def contexts(self, made: Callable[[Infiller], Context]) -> dict[str, Context]:
        """What `made` makes for each model; of those that cannot be asked it is told why.

        Raises: UserError if none can be asked.
        """
        found, faults = {}, {}
        for name, infiller in self.infillers.items():
            try:
                found[name] = made(infiller)
            except UserError as error:
                faults[name] = str(error)
        told = [f"{name}: {fault}" for name, fault in faults.items()]
        if not found:
            alike = len(set(faults.values())) == 1
            raise UserError(next(iter(faults.values())) if alike else "\n".join(told))
        for fault in told:
            self.mistake(fault)
        return found

    def show(self, contexts: Mapping[str, Context], original: Text | None = None) -> dict[str, list[Infilling]]:
        """Fill a context with each model, and show what comes; `original` stands beside it."""
        found = {}
        with self.console.status("writing; Ctrl-C stops it"):
            for name, context in contexts.items():
                found[name] = self.infillers[name](context, self.decoding)[0]
        self.console.print(side_by_side(found, original, self.console.width))
        return found

    def command(self, name: str = "", *arguments: str) -> None:
        """A line that begins with a colon.

        Raises: UserError for one that is none.
        """
        if name == "help" and not arguments:
            self._help()
        elif name in ("model", "models") and arguments:
            self.infillers = self.load(_names(arguments))
            self.say(f"Models: {', '.join(self.infillers)}")
            self.changed()
        elif name in _SETTINGS and len(arguments) == 1:
            self._set(name, arguments[0])
            self.changed()
        else:
            raise UserError(f":{' '.join((name, *arguments))} is no command. Type :help")

    def changed(self) -> None:
        """A setting or the models are others now."""

    def say(self, message: str) -> None:
        self.console.print(Text(printable(message), style="dim"))

    def mistake(self, message: str) -> None:
        self.console.print(Text(printable(message), style="red"))

    def _set(self, name: str, value: str) -> None:
        key, parse = _SETTINGS[name]
        try:
            parsed = parse(value)
        except (ValueError, KeyError):
            raise UserError(f":{name} {value} is not understood. Type :help") from None
        self.decoding = self.decoding.replace(**{key: parsed})
        self.say(f"{key} {_spoken(parsed)}")

    def _help(self) -> None:
        types = " ".join(dict.fromkeys(f"[{t}]" for i in self.infillers.values() for t in i.vocabulary.mask_types))
        table = Table.grid(padding=(0, 2))
        for typed, meaning in self.help:
            table.add_row(Text(printable(typed.replace("{types}", types))), Text(meaning, style="dim"))
        self.console.print(table)
        self.say(LEGEND)
        spoken = {key: getattr(self.decoding, key) for key, _ in _SETTINGS.values()}
        self.say(f"now: {', '.join(self.infillers)}; " + ", ".join(f"{k} {_spoken(v)}" for k, v in spoken.items()))

    def _paste(self, line: str) -> None:
        assert self._pasted is not None
        if line.strip() != END_OF_PASTE:
            self._pasted.append(line)
            return
        text, self._pasted = "\n".join(self._pasted), None
        self.fill(text.strip())


def is_dialogue() -> bool:
    """Whether a person sits at both ends."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


def terminal_console() -> Console:
    """The terminal; a character that its encoding does not have is shown as a question mark."""
    sys.stdout.reconfigure(errors="replace")
    return Console()


def _words(line: str) -> list[str]:
    """As a shell reads them, with quotes; but a backslash is that of a path.

    Raises: UserError for a quote that is not closed.
    """
    reader = shlex.shlex(line, posix=True)
    reader.whitespace_split, reader.commenters, reader.escape = True, "", ""
    try:
        return list(reader)
    except ValueError:
        raise UserError(f":{line} has a quote that is not closed") from None


def _names(arguments: Sequence[str]) -> list[str]:
    """As words, or as typed for Hydra: A1 B2, A1,B2 or [A1, B2]."""
    typed = ",".join(arguments)
    if typed.startswith("[") and typed.endswith("]"):
        typed = typed[1:-1]
    return [name for name in typed.split(",") if name]


def _spoken(value: Any) -> str:
    return {None: "off", True: "on", False: "off"}[value] if value is None or isinstance(value, bool) else str(value)


def _number_or_off(kind: type) -> Callable[[str], Any]:
    return lambda value: None if value == "off" else kind(value)


_on_or_off = {"on": True, "off": False}.__getitem__

_SETTINGS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "n": ("candidates", int),
    "candidates": ("candidates", int),
    "temperature": ("temperature", float),
    "t": ("temperature", float),
    "top_k": ("top_k", _number_or_off(int)),
    "top_p": ("top_p", _number_or_off(float)),
    "method": ("method", str),
    "beams": ("beams", int),
    "distinct": ("distinct", _on_or_off),
    "cut": ("cut", _on_or_off),
    "max_answer_tokens": ("max_answer_tokens", int),
    "max_answer_words": ("max_answer_words", _number_or_off(int)),
    "batch_size": ("batch_size", int),
    "seed": ("seed", int),
}
