"""One text: a writer, a topic of the level, as many of its steps as the text is long, and what goes wrong."""

import re
from bisect import bisect
from collections.abc import Callable
from functools import cache
from itertools import accumulate
from random import Random
from typing import NamedTuple

from ilm.corpus.synthetic.errors import make_errors
from ilm.corpus.synthetic.grammar import HARD_BREAK, SOFT_BREAK, Expansion, Grammar, Topic, parse_grammar, read_data
from ilm.corpus.synthetic.oddities import add_oddities, typed
from ilm.corpus.synthetic.writers import Writer
from ilm.hashing import order_key

SHORTEST, LONGEST = 118, 1082  # characters

# Share of texts on a task of a neighbouring level: levels overlap, as placement by course unit makes them do.
_NEIGHBOURING_TASK = 0.1

# Mean and standard deviation of the length that a writer of the level has in mind, in characters.
_INTENDED_LENGTH = {"A1": (205, 55), "A2": (300, 80), "B1": (390, 110), "B2": (465, 140), "C1": (575, 190)}
_CONTRACTED = {"A1": 0.45, "A2": 0.45, "B1": 0.4, "B2": 0.25, "C1": 0.1}  # share of what could be contracted
_CONTRACTIONS = tuple(
    (f"{full} ", f"{short} ")
    for full, short in (
        ("I am", "I'm"), ("It is", "It's"), ("it is", "it's"), ("do not", "don't"), ("does not", "doesn't"),
        ("did not", "didn't"), ("is not", "isn't"), ("are not", "aren't"), ("was not", "wasn't"), ("I will", "I'll"),
        ("I have been", "I've been"), ("I would", "I'd"), ("He is", "He's"), ("She is", "She's"), ("We are", "We're"),
        ("They are", "They're"), ("There is", "There's"), ("cannot", "can't"), ("could not", "couldn't"),
        ("would not", "wouldn't"), ("will not", "won't"), ("have not", "haven't"), ("has not", "hasn't"),
        ("What is", "What's"), ("you are", "you're"), ("Let us", "Let's"), ("that is", "that's"),
    )
)  # fmt: skip
_A_BEFORE_VOWEL = re.compile(r"\b([Aa]) (?=[aeioAEIO]|u(?!ni|s[aeu]|t)|8|11\b|18\b|hour|honest)(?!eu|Eu|one\b|once\b)")
_SPACES = re.compile(r" {2,}")
_SPACE_BY_BREAK = re.compile(rf" *([{SOFT_BREAK}{HARD_BREAK}]+) *")


class Composition(NamedTuple):
    """A text, the name of its writing task, and the text as a teacher would give it back: without the errors."""

    topic: str
    text: str
    text_corrected: str


@cache
def grammar_of(level: str) -> Grammar:
    """The writing tasks of a level, with the words that all levels draw from."""
    return parse_grammar(read_data(f"topics_{level.lower()}.txt"), parse_grammar(read_data("words.txt")))


def compose(level: str, l1: str, key: int, rng: Random) -> Composition:
    """A text of `level`, of 118 to 1,082 characters, by the learner of this first language and `key`."""
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
    while not SHORTEST <= len(clean) <= LONGEST:  # hardly ever twice: contractions may bring a text under the limit
        clean = _polish(_write(topic, expansion, intended, rng), level, random)
    right = add_oddities(clean, writer, level, rng)
    text, corrected = typed(make_errors(right, level, l1, order_key(key, "errors"), rng), right, rng)
    # Errors change the length a little; a text that they would push over a limit goes without them.
    return Composition(topic.name, *((text, corrected) if SHORTEST <= len(text) <= LONGEST else (clean, clean)))


def _neighbour(level: str, random: Callable[[], float]) -> str:
    levels = list(_INTENDED_LENGTH)
    place = levels.index(level)
    neighbours = levels[max(place - 1, 0) : place] + levels[place + 1 : place + 2]
    return neighbours[int(random() * len(neighbours))]


def _write(topic: Topic, expansion: Expansion, intended: float, rng: Random) -> str:
    """The topic's obligatory steps and optional ones drawn at random, all in the topic's order."""
    written = {place: expansion.render(step) for place, (always, step) in enumerate(topic.steps) if always}
    length = sum(map(len, written.values())) + len(written) - 1
    optional = [place for place in range(len(topic.steps)) if place not in written]
    rng.shuffle(optional)
    for place in optional:
        if length >= intended:
            break
        text = expansion.render(topic.steps[place][1])
        # Half a step over the intended length is as good as half a step under it.
        if (length >= SHORTEST + 6 and length + len(text) / 2 > intended) or length + len(text) + 20 > LONGEST:
            continue
        written[place] = text
        length += len(text) + 1
    return " ".join(written[place] for place in sorted(written))


def _polish(text: str, level: str, random: Callable[[], float]) -> str:
    """Line breaks in this writer's manner, "a" or "an", contractions, capitals at the beginning."""
    text = _SPACE_BY_BREAK.sub(r"\1", _SPACES.sub(" ", text)).strip(f" {SOFT_BREAK}{HARD_BREAK}")
    if SOFT_BREAK in text:
        draw = random()
        text = text.replace(SOFT_BREAK, " " if draw < 0.4 else "\n" if draw < 0.72 else "\n\n")
    text = text.replace(HARD_BREAK, "\n")
    text = _A_BEFORE_VOWEL.sub(r"\1n ", text)
    rate = _CONTRACTED[level]
    for full, short in _CONTRACTIONS:
        if full in text and random() < rate:
            text = text.replace(full, short)
    return text[:1].upper() + text[1:]
