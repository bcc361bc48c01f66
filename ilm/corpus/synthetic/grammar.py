r"""The template grammar of the sample corpus, and its random expansion.

The writing tasks of a level are a block of lines (`data/topics_a1.txt`):

    # a comment
    ~ colour: red | blue | green                   a list of words
    ~ film(title, kind): Lost Island / thriller    a list of records, fields divided by " / "
    = describe your town *2                        a topic; *2: twice as frequent
    ^ I live in {city}.                            a mandatory step of the topic
    + It [is|isn't] a [very |]big city.            an optional step; order is kept
      A line that begins with spaces continues the previous line.

Inside a step: `[a|b]` one of several alternatives, may nest; `{x}` drawn once per text and kept, so that a text does
not contradict itself; `{x:b}` a second, different draw; `{~x}` a fresh draw, unused in the text as long as possible;
`{x.f}` a field of a record; `{^x}` capitalised; `{#3-9}` a number; `\n` an optional line break, depending on the
writer; `\N` a mandatory one, as in a list.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import yaml

_TOKEN = re.compile(r"[\[\]|]|\{[^{}]+\}|[^\[\]|{}]+")
_BETWEEN_ITEMS = re.compile(r"\|(?![^\[\]]*\])")  # bars outside brackets, which do not nest in an item of a list
_SLOT = re.compile(r"\{(\^?)(~?)(#\d+-\d+|[a-z_]+)(?::(\w+))?(?:\.([a-z_]+))?\}")
SOFT_BREAK, HARD_BREAK = "\x01", "\x02"


def read_data(name: str) -> str:
    """The text of a file in `data/`."""
    return (resources.files(__package__) / "data" / name).read_text(encoding="utf-8")


@cache
def read_yaml(name: str) -> Any:
    """The contents of a YAML file in `data/`."""
    return yaml.safe_load(read_data(name))


@dataclass(frozen=True, slots=True)
class Slot:
    """A placeholder: which list, which of its draws (`tag`), which field of the record."""

    source: str
    key: str
    field: str
    fresh: bool
    capital: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """Alternatives of equal weight."""

    options: tuple["Template", ...]


Template = tuple[str | Slot | Choice, ...]
Record = dict[str, Template]  # by field


@dataclass(slots=True)
class Topic:
    """A writing task: its steps in order as (always, template)."""

    name: str
    weight: int
    steps: list[tuple[bool, Template]] = field(default_factory=list)


@dataclass(slots=True)
class Grammar:
    """Topics, and the lists they draw records from; a word is a record whose only field has the name ""."""

    topics: list[Topic]
    lists: dict[str, list[Record]]


def parse_template(text: str) -> Template:
    """The template of one step or list item."""
    text = text.replace(r"\n", SOFT_BREAK).replace(r"\N", HARD_BREAK)
    stack: list[list[list]] = [[[]]]
    for token in _TOKEN.findall(text):
        if token == "[":
            stack.append([[]])
        elif token == "|":
            stack[-1].append([])
        elif token == "]":
            options = tuple(tuple(option) for option in stack.pop())
            stack[-1][-1].append(Choice(options))
        elif token[0] == "{":
            stack[-1][-1].append(_parse_slot(token))
        else:
            stack[-1][-1].append(token)
    return tuple(stack[0][0])


def _parse_slot(token: str) -> Slot:
    match = _SLOT.fullmatch(token)
    assert match is not None, token
    capital, fresh, source, tag, name = match.groups()
    return Slot(source, f"{source}:{tag}" if tag else source, name or "", bool(fresh), bool(capital))


def parse_grammar(block: str, base: Grammar | None = None) -> Grammar:
    """Parse a block in the notation above; it inherits the lists of `base` that it does not redefine."""
    lists = dict(base.lists) if base else {}
    topics: list[Topic] = []
    for line in re.sub(r"\n +", " ", block).splitlines():
        mark, _, rest = line.partition(" ")
        if mark == "=":
            name, _, weight = rest.partition(" *")
            topics.append(Topic(name.strip(), int(weight or 1)))
        elif mark in ("^", "+"):
            topics[-1].steps.append((mark == "^", parse_template(rest)))
        elif mark == "~":
            head, _, items = rest.partition(": ")
            name, _, names = head.rstrip(")").partition("(")
            fields = [field.strip() for field in names.split(",")]
            lists[name] = [_parse_record(item, fields) for item in _BETWEEN_ITEMS.split(items)]
    return Grammar(topics, lists)


def _parse_record(item: str, fields: list[str]) -> Record:
    parts = item.split(" / ") if len(fields) > 1 else [item]
    return {field: parse_template(part.strip()) for field, part in zip(fields, parts, strict=True)}


class Expansion:
    """Expands the templates of one text: draws words and remembers them.

    `facts`: fixed values by key ("city") or key and field ("friend.name"). `people`: returns the record of a person
    (field -> text) for a slot key such as "friend", or None if the key is no person.
    """

    def __init__(
        self,
        grammar: Grammar,
        random: Callable[[], float],
        facts: Mapping[str, str],
        people: Callable[[str], Mapping[str, str] | None],
    ) -> None:
        self.lists, self.random, self.people = grammar.lists, random, people
        self.values: dict[tuple[str, ...], str] = {key.partition(".")[::2]: value for key, value in facts.items()}
        self.used: dict[str, set[int]] = {}
        self.avoided = set(facts.values())  # "different from the situation in France", but not by a writer from France

    def render(self, template: Template) -> str:
        """One random expansion of `template`."""
        parts: list[str] = []
        self._walk(template, parts)
        return "".join(parts)

    def _walk(self, template: Template, parts: list[str]) -> None:
        random = self.random
        for node in template:
            if isinstance(node, str):
                parts.append(node)
            elif isinstance(node, Choice):
                options = node.options
                self._walk(options[int(random() * len(options))], parts)
            else:
                value = self._value(node)
                parts.append(value[:1].upper() + value[1:] if node.capital else value)

    def _value(self, slot: Slot) -> str:
        if slot.source[0] == "#":
            tagged, key = slot.key != slot.source, (slot.key, "")
            if tagged and key in self.values:
                return self.values[key]
            low, high = map(int, slot.source[1:].split("-"))
            value = str(low + int(self.random() * (high - low + 1)))
            if tagged:
                self.values[key] = value
            return value
        if slot.fresh:
            return self.render(self._draw(slot.source)[slot.field])
        known = self.values.get((slot.key, slot.field))
        if known is not None:
            return known
        person = self.people(slot.key)
        if person is not None:
            for name, value in person.items():
                self.values[slot.key, name] = value
        else:
            for name, template in self._draw(slot.source).items():
                self.values[slot.key, name] = self.render(template)
        return self.values[slot.key, slot.field]

    def _draw(self, source: str) -> Record:
        """An item of the list, preferably one not yet used in this text."""
        items = self.lists[source]
        used = self.used.setdefault(source, set())
        if len(used) == len(items):
            used.clear()
        first = [next(iter(item.values()))[0] for item in items]
        while (index := int(self.random() * len(items))) in used or first[index] in self.avoided:
            used.add(index)
            if len(used) == len(items):
                used.clear()
        used.add(index)
        return items[index]
