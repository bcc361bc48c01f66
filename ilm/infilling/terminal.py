"""An interactive terminal for filling blanks, with coloured candidates and changeable settings."""

import json
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from io import TextIOWrapper
from typing import cast

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ilm.config.infill import Decoding
from ilm.errors import UserError
from ilm.examples.conditions import known_settings, require_conditioned
from ilm.infilling.blanks import Context
from ilm.infilling.mixture import Filler
from ilm.infilling.render import LEGEND, side_by_side
from ilm.masking.functions import Span
from ilm.tables import printable

PROMPT = "> "
QUIT = ("quit", "exit", ":quit", ":exit", ":q")
SETTINGS = tuple(name for name in Decoding.model_fields if name != "by_probability")
_LIKE_A_BLANK = re.compile(r"\[\w+(?::[^\]\n]*)?\]")

BLANKS = (
    ("She ate [ngram] for _.", "a text with blanks is filled"),
    ("_ or [MASK]", "a blank of the default type (word, if the model has it); _ must stand alone"),
    ("{types}", "blanks of a type"),
    ("[word:l...]", "the answer begins with l"),
    ("[ngram:2-5 words]", "2 to 5 words; [word:1 word] exactly 1; tokens likewise; [ngram:2-5 words:left...] both"),
    ("\\n", "a line break in the text"),
)
COMMANDS = (
    (":n 5", "candidates of each text"),
    (":temperature 0.8", "below 1 closer to the likeliest answers, above 1 more varied"),
    (":top_p 0.9", "draw from the likeliest tokens with this total probability; off: from all"),
    (":top_k 40", "draw from this many tokens; off: from all"),
    (":method beam", "search for the likeliest candidates; greedy: the likeliest token at each step; sample: draw"),
    (":beams 30", "width of the beam search; 0: four times the candidates, at least 8"),
    (":distinct on", "no duplicate candidates"),
    (":cut off", "refuse a text too long for the model; on: read only what is nearest to its blanks"),
    (":max_answer_words off", "any number of words for a word blank, as _ is; 1: one word"),
    (":max_answer_tokens 50", "cut longer answers here and mark them as not finished"),
    (":batch_size 16", "candidates generated at a time; fewer only take less memory"),
    (":level B1", "condition for conditioned models, likewise :l1 Portuguese; off: none"),
    (":seed 1", "other candidates; equal settings give a text the same ones"),
    (":model A1 B2", "other models, as in models=[A1,B2]; quote names with spaces"),
    (":help", "this; Ctrl-C interrupts generation; quit or Ctrl-D ends"),
)


class Terminal:
    """The dialogue. `infillers`: by name, shown side by side; `load`: returns those of other names (`:model`)."""

    help: Sequence[tuple[str, str]] = (*BLANKS, *COMMANDS)

    def __init__(
        self,
        infillers: Mapping[str, Filler],
        decoding: Decoding,
        load: Callable[[list[str]], Mapping[str, Filler]],
        console: Console,
    ):
        # People want the likeliest first, whatever order scripts get.
        self.infillers, self.decoding = infillers, decoding.replace(by_probability=True)
        self.load, self.console = load, console

    def run(self, read: Callable[[str], str] = input) -> None:
        """Answer lines until `quit` or the end of the input."""
        with suppress(ImportError):  # optional: line editing and history
            import readline

            # Terminals with bracketed paste deliver a multi-line paste as one text.
            readline.parse_and_bind("set enable-bracketed-paste on")
        begun = False
        while True:
            try:
                if not begun:
                    begun = True
                    self.begin()
                line = read(self.prompt()).strip()
                if line in QUIT:
                    return
                self.respond(line)
            except EOFError:
                self.console.print()
                return
            except UnicodeDecodeError:
                self.mistake("The input is not valid UTF-8: set the terminal's encoding to UTF-8")
            except KeyboardInterrupt:
                self.console.print()
                self.say("stopped; quit or Ctrl-D ends")

    def begin(self) -> None:
        """Show a greeting before the first prompt."""
        self.say(f"Models: {', '.join(self.infillers)}. Type a text with blanks (She ate _ for lunch.), :help or quit")

    def prompt(self) -> str:
        return PROMPT

    def respond(self, line: str) -> None:
        """Answer a line, a command or a text; a UserError is shown, and the dialogue continues."""
        try:
            if command := re.fullmatch(r":(\w*)[\s=]*(.*)", line, flags=re.DOTALL):
                self.command(*command.groups())
            else:
                self.text(line)
        except UserError as error:
            self.mistake(str(error))

    def text(self, line: str) -> None:
        """Fill the blanks typed in a text, if there is one."""
        if not line:
            return
        contexts = self.contexts(line.replace("\\n", "\n"))
        pieces = (piece for context in contexts.values() for piece in context.pieces)
        if unknown := dict.fromkeys(found for piece in pieces for found in _LIKE_A_BLANK.findall(piece)):
            self.say(f"read as text, not as blanks: {' '.join(unknown)}")
        self.show(contexts)

    def contexts(self, text: str, spans: Sequence[Span] | None = None) -> dict[str, Context]:
        """The context of the text for each model; says why for models that cannot fill it.

        Raises: UserError if none can.
        """
        found, faults = {}, {}
        for name, infiller in self.infillers.items():
            try:
                known = known_settings(infiller.condition, self.decoding)
                found[name] = infiller.context(text, decoding=known, spans=spans)
            except UserError as error:
                faults[name] = str(error)
        messages = [f"{name}: {fault}" for name, fault in faults.items()]
        if not found:
            alike = len(set(faults.values())) == 1
            raise UserError(next(iter(faults.values())) if alike else "\n".join(messages))
        for fault in messages:
            self.mistake(fault)
        return found

    def show(self, contexts: Mapping[str, Context], original: Text | None = None) -> None:
        """Fill a context with each model and show the candidates, beside `original`."""
        with self.console.status("writing; Ctrl-C stops it"):
            found = {name: self.infillers[name](context, self.decoding)[0] for name, context in contexts.items()}
        self.console.print(side_by_side(found, original, self.console.width))

    def command(self, name: str, value: str) -> None:
        """Run a line that begins with a colon. Raises: UserError for an unknown command."""
        typed, name = name, {"n": "candidates", "models": "model"}.get(name, name)
        if name == "help" and not value:
            self._help()
        elif name == "model" and value:
            infillers = self.load(_names(value))
            require_conditioned([infiller.condition for infiller in infillers.values()], self.decoding)
            self.infillers = infillers
            self.say(f"Models: {', '.join(self.infillers)}")
            self.changed()
        elif name in SETTINGS and value:
            decoding = self.decoding.replace(**{name: _parsed(value, getattr(self.decoding, name))})
            require_conditioned([infiller.condition for infiller in self.infillers.values()], decoding)
            self.decoding = decoding
            self.say(self._setting(name))
            self.changed()
        else:
            raise UserError(f"{f':{typed} {value}'.strip()} is not a command. Type :help")

    def changed(self) -> None:
        """Called after a setting or the models have changed."""

    def say(self, message: str) -> None:
        self.console.print(Text(printable(message), style="dim"))

    def mistake(self, message: str) -> None:
        self.console.print(Text(printable(message), style="red"))

    def _setting(self, name: str) -> str:
        return f"{name}={json.dumps(getattr(self.decoding, name))}".replace('"', "")

    def _help(self) -> None:
        types = " ".join(dict.fromkeys(f"[{t}]" for i in self.infillers.values() for t in i.vocabulary.mask_types))
        table = Table.grid(padding=(0, 2))
        for typed, meaning in self.help:
            table.add_row(Text(printable(typed.replace("{types}", types))), Text(meaning, style="dim"))
        self.console.print(table)
        self.say(LEGEND)
        self.say(f"now: {', '.join(self.infillers)}; {' '.join(map(self._setting, SETTINGS))}")


def is_dialogue() -> bool:
    """Whether stdin and stdout are terminals."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


def terminal_console() -> Console:
    """The terminal; a character that its encoding does not have is shown as a question mark."""
    cast(TextIOWrapper, sys.stdout).reconfigure(errors="replace")
    return Console()


def _names(typed: str) -> list[str]:
    """Parse A1 B2, A1,B2 or [A1, B2]; names may be quoted. Raises: UserError for an unclosed quote."""
    if typed.startswith("[") and typed.endswith("]"):
        typed = typed[1:-1]
    try:
        return shlex.split(typed.replace(",", " "))
    except ValueError:
        raise UserError(f":model {typed} has an unclosed quote; close it") from None


def _parsed(typed: str, present: object) -> object:
    """A value as on the command line; on is true; off is false, or null for settings that are not booleans."""
    if typed in ("on", "off"):
        return typed == "on" or (False if isinstance(present, bool) else None)
    with suppress(ValueError, RecursionError):
        return json.loads(typed)
    return typed
