"""Filling blanks at the terminal: a dialogue, in which candidates come in colour and settings change on the way."""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

from rich.console import Console
from rich.text import Text

from ilm.errors import UserError
from ilm.infilling.blanks import Context
from ilm.infilling.decoding import Infiller
from ilm.infilling.sampling import DecodingSettings
from ilm.infilling.sequences import Infilling
from ilm.infilling.showing import LEGEND, shown, side_by_side

PROMPT = "> "
END_OF_PASTE = ":end"

HELP = """\
Type a text with blanks: She ate [ngram] for _.
  _ or [MASK]        a blank of the default type (word, where the model has it)
  blanks of a type: {types}
  [word:l...]        the answer begins with l;  [ngram:2-5] 2 to 5 tokens, [ngram:3] exactly 3; [ngram:2-5:left...] both
  \\n                 a line break in the text
  :paste             a text of many lines, up to a line :end
  :n 5               candidates of each text
  :temperature 0.8   below 1 nearer to the likeliest, above 1 freer
  :top_p 0.9         draw from the likeliest tokens that make up this probability; off takes all
  :top_k 40          draw from this many; off takes all
  :best on           the likeliest candidates, searched for instead of drawn; off draws
  :greedy on         the likeliest token at each step; off draws
  :distinct on       no candidate twice
  :cut off           refuse a text too long for the model; on reads what is nearest to its blanks
  :max_answer_tokens 50
  :seed 1            other candidates; a text has the same ones as long as nothing is changed
  :model NAME ...    other models: level names, run names, folders; several stand side by side
  :help              this; Ctrl-C stops what is being written; quit or Ctrl-D ends"""


class Terminal:
    """The dialogue: `infillers` by name, shown side by side; `load` gives those of other names (`:model`)."""

    help = HELP

    def __init__(
        self,
        infillers: Mapping[str, Infiller],
        settings: DecodingSettings,
        load: Callable[[Sequence[str]], Mapping[str, Infiller]],
        console: Console,
    ):
        # A person wants the likeliest first, whatever order a script is given.
        self.infillers, self.settings = infillers, replace(settings, by_probability=True)
        self.load, self.console = load, console
        self._pasted: list[str] | None = None

    def run(self, read: Callable[[str], str] = input) -> None:
        """Answer lines until `quit` or the end of the input."""
        with suppress(ImportError):  # where Python has it: editing of the line, and earlier ones
            import readline  # noqa: F401
        self.begin()
        while True:
            try:
                line = read("" if self._pasted is not None else self.prompt())
                if line.strip() in ("quit", ":quit", ":q") and self._pasted is None:
                    return
                self.respond(line)
            except EOFError:
                self.console.print()
                if self._pasted is None:
                    return
                self.respond(END_OF_PASTE)
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
                self.command(*line.strip()[1:].split())
            else:
                self.text(line.strip())
        except UserError as error:
            self.console.print(Text(str(error), style="red"))

    def text(self, line: str) -> None:
        """Fill what was typed."""
        if line:
            room = self.settings.max_answer_tokens if self.settings.cut else None
            typed = line.replace("\\n", "\n")
            self.show({name: i.context(typed, answer_room=room) for name, i in self.infillers.items()})

    def show(self, contexts: Mapping[str, Context], original: Text | None = None) -> dict[str, list[Infilling]]:
        """Fill a context with each model, and show what comes; `original` stands beside it."""
        found = {name: self.infillers[name](context, **asdict(self.settings))[0] for name, context in contexts.items()}
        if len(found) == 1 and original is None:
            for result in next(iter(found.values())):
                self.console.print(shown(result))
        else:
            self.console.print(side_by_side(found, original))
        return found

    def command(self, name: str = "", *arguments: str) -> None:
        """A line that begins with a colon.

        Raises: UserError for one that is none.
        """
        if name == "help" and not arguments:
            types = " ".join(dict.fromkeys(f"[{t}]" for i in self.infillers.values() for t in i.vocabulary.mask_types))
            self.say(self.help.format(types=types))
            self.say(LEGEND)
            spoken = {key: getattr(self.settings, key) for key, _ in _SETTINGS.values()}
            self.say("now: " + ", ".join(f"{key} {_spoken(value)}" for key, value in spoken.items()))
        elif name in ("model", "models") and arguments:
            # As typed for Hydra, [A1,B2], or as words.
            names = [n for argument in arguments for n in argument.strip("[]").split(",") if n]
            self.infillers = self.load(names)
            self.say(f"Models: {', '.join(self.infillers)}")
            self.changed()
        elif name in _SETTINGS and len(arguments) == 1:
            key, parse = _SETTINGS[name]
            try:
                value = parse(arguments[0])
            except (ValueError, KeyError):
                raise UserError(f":{name} {arguments[0]} is not understood. Type :help") from None
            # Of two ways to choose the likeliest the one named last is meant.
            other = {"best": {"greedy": False}, "greedy": {"best": False}}.get(key, {}) if value is True else {}
            self.settings = replace(self.settings, **{key: value}, **other)
            self.say(f"{key} {_spoken(value)}")
            self.changed()
        else:
            raise UserError(f":{' '.join((name, *arguments))} is no command. Type :help")

    def changed(self) -> None:
        """A setting or the models are others now."""

    def say(self, message: str) -> None:
        self.console.print(Text(message, style="dim"))

    def _paste(self, line: str) -> None:
        assert self._pasted is not None
        if line.strip() != END_OF_PASTE:
            self._pasted.append(line)
            return
        text, self._pasted = "\n".join(self._pasted), None
        self.text(text.strip())


def is_dialogue() -> bool:
    """Whether a person sits at both ends."""
    return sys.stdin.isatty() and sys.stdout.isatty()


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
    "best": ("best", _on_or_off),
    "greedy": ("greedy", _on_or_off),
    "distinct": ("distinct", _on_or_off),
    "cut": ("cut", _on_or_off),
    "max_answer_tokens": ("max_answer_tokens", int),
    "seed": ("seed", int),
}
