"""Composes one text: a writer, a topic of the level, enough of its steps for the length, and errors."""

import re
from bisect import bisect
from collections.abc import Callable
from functools import cache
from itertools import accumulate
from random import Random
from typing import NamedTuple

from ilm.corpus.synthetic.errors import make_errors
from ilm.corpus.synthetic.grammar import (
    HARD_BREAK,
    SOFT_BREAK,
    Expansion,
    Grammar,
    Topic,
    parse_grammar,
    read_data,
    read_yaml,
)
from ilm.corpus.synthetic.oddities import add_oddities, typed
from ilm.corpus.synthetic.writers import Writer
from ilm.hashing import order_key

SHORTEST, LONGEST = 118, 1082  # characters

# Share of texts on a task of a neighbouring level: placement by course unit makes levels overlap.
_NEIGHBOURING_TASK = 0.1

# Mean and standard deviation of the length intended by writers of the level, in characters.
_INTENDED_LENGTH = {"A1": (205, 55), "A2": (300, 80), "B1": (390, 110), "B2": (465, 140), "C1": (575, 190)}
_CONTRACTED = {"A1": 0.45, "A2": 0.45, "B1": 0.4, "B2": 0.25, "C1": 0.1}  # share of possible contractions
_A_BEFORE_VOWEL = re.compile(r"\b([Aa]) (?=[aeioAEIO]|u(?!ni|s[aeu]|t)|8|11\b|18\b|hour|honest)(?!eu|Eu|one\b|once\b)")
_SPACES = re.compile(r" {2,}")
_SPACE_BY_BREAK = re.compile(rf" *([{SOFT_BREAK}{HARD_BREAK}]+) *")


class Composition(NamedTuple):
    """A text, its writing task, and the text as corrected by a teacher."""

    topic: str
    text: str
    text_corrected: str


@cache
def grammar_of(level: str) -> Grammar:
    """The writing tasks of a level, with the word lists shared by all levels."""
    return parse_grammar(read_data(f"topics_{level.lower()}.txt"), parse_grammar(read_data("words.txt")))


def compose(level: str, l1: str, key: int, rng: Random) -> Composition:
    """A text of 118 to 1,082 characters at `level`, by the learner with this first language and `key`."""
    random = rng.random
    writer = Writer(l1, order_key(key, "life"), random)
    task_level = _neighbour(level, random) if random() < _NEIGHBOURING_TASK else level
    grammar = grammar_of(task_level)
    weights = list(accumulate(topic.weight for topic in grammar.topics))
    topic = grammar.topics[bisect(weights, random() * weights[-1])]
    expansion = Expansion(grammar, random, writer.facts, writer.person)
    mean, deviation = _INTENDED_LENGTH[level]
    intended = min(max(rng.gauss(mean, deviation), SHORTEST + 6), LONGEST - 40)
    clean = ""
    while not SHORTEST <= len(clean) <= LONGEST:  # rarely repeats: contractions may shorten a text below the limit
        clean = polish(write_draft(topic, expansion, intended, rng), level, random)
    right = add_oddities(clean, writer, level, rng)
    text, corrected = typed(make_errors(right, level, l1, order_key(key, "errors"), rng), right, rng)
    # Errors change the length slightly; if they would push a text over a limit, it gets none.
    return Composition(topic.name, *((text, corrected) if SHORTEST <= len(text) <= LONGEST else (clean, clean)))


def _neighbour(level: str, random: Callable[[], float]) -> str:
    levels = list(_INTENDED_LENGTH)
    place = levels.index(level)
    neighbours = levels[max(place - 1, 0) : place] + levels[place + 1 : place + 2]
    return neighbours[int(random() * len(neighbours))]


def write_draft(topic: Topic, expansion: Expansion, intended: float, rng: Random) -> str:
    """The topic's mandatory steps and a random choice of optional ones, in the topic's order."""
    written = {place: expansion.render(step) for place, (always, step) in enumerate(topic.steps) if always}
    length = sum(map(len, written.values())) + len(written) - 1
    optional = [place for place in range(len(topic.steps)) if place not in written]
    rng.shuffle(optional)
    for place in optional:
        if length >= intended:
            break
        text = expansion.render(topic.steps[place][1])
        # Stop at the step that ends nearest the intended length.
        if (length >= SHORTEST + 6 and length + len(text) / 2 > intended) or length + len(text) + 20 > LONGEST:
            continue
        written[place] = text
        length += len(text) + 1
    return " ".join(written[place] for place in sorted(written))


def polish(text: str, level: str, random: Callable[[], float]) -> str:
    """Apply the writer's line breaks, "a" or "an", contractions, and sentence capitals."""
    text = _SPACE_BY_BREAK.sub(r"\1", _SPACES.sub(" ", text)).strip(f" {SOFT_BREAK}{HARD_BREAK}")
    if SOFT_BREAK in text:
        draw = random()
        text = text.replace(SOFT_BREAK, " " if draw < 0.4 else "\n" if draw < 0.72 else "\n\n")
    text = text.replace(HARD_BREAK, "\n")
    text = _A_BEFORE_VOWEL.sub(r"\1n ", text)
    rate = _CONTRACTED[level]
    for full, short in read_yaml("contractions.yaml").items():
        if f"{full} " in text and random() < rate:
            text = text.replace(f"{full} ", f"{short} ")
    return text[:1].upper() + text[1:]
