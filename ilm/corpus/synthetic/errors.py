"""Learner errors from the writer's first language, personal habits, and careless typing."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from random import Random

from ilm.corpus.synthetic.grammar import read_yaml

_LEVEL_FACTOR = {"A1": 1.0, "A2": 0.95, "B1": 0.7, "B2": 0.42, "C1": 0.2}


@dataclass(frozen=True, slots=True)
class Rule:
    """Replaces `pattern` by `replacement` at the rate `rate`, in texts that contain `find`."""

    find: str
    pattern: re.Pattern[str]
    replacement: str
    rate: float


@cache
def rules_of(l1: str) -> tuple[Rule, ...]:
    """The rules of `data/error_rules.yaml` for this first language, in file order."""
    data = read_yaml("error_rules.yaml")
    alternatives = {name: words.replace(", ", "|") for name, words in data["word_lists"].items()}
    lines = [line for block in data["rules"] if l1 in block["l1"] for line in block["lines"].splitlines()]
    return tuple(parse_rule(line, alternatives) for line in lines)


def parse_rule(line: str, alternatives: Mapping[str, str]) -> Rule:
    find, _, rest = line.partition(" =>")
    replacement, _, rate = rest.rpartition(" : ")
    expression = rf"(?<![^\W_]){re.escape(find)}(?![^\W_])"  # whole words
    if find.startswith("/"):
        find, _, expression = find[1:].partition("/ ")
        for name, words in alternatives.items():
            expression = expression.replace(f"{{{name}}}", words)
    return Rule(find, re.compile(expression), replacement.strip(), float(rate) / 100)


def make_errors(text: str, level: str, l1: str, key: int, rng: Random) -> str:
    """`text` as the learner with this level, first language and `key` might have written it.

    The key determines habits: how careless the learner is, and which errors are frequent or rare.
    """
    random, habits = rng.random, Random(key).random
    factor = _LEVEL_FACTOR[level] * _habit(habits)  # some writers proofread, a few never do
    for rule in rules_of(l1):
        chance = rule.rate * factor * _habit(habits)
        if rule.find in text:
            text = apply_rule(text, rule, chance, random)
    return _mistype(text, l1, factor, rng)


def _habit(random: Callable[[], float]) -> float:
    return 0.25 + 3 * random() * random()  # mean 1


def apply_rule(text: str, rule: Rule, chance: float, random: Callable[[], float]) -> str:
    def replace(match: re.Match[str]) -> str:
        return match.expand(rule.replacement) if random() < chance else match[0]

    return rule.pattern.sub(replace, text)


def _mistype(text: str, l1: str, factor: float, rng: Random) -> str:
    """Typing slips: letters swapped, doubled or lost, capitals and spaces forgotten."""
    random = rng.random
    for _ in range(int(len(text) * factor / 400 + random())):
        place = int(random() * (len(text) - 4)) + 2
        if text[place - 2 : place + 2].isalpha() and text[place - 2 : place + 2].islower():
            draw = random()
            if draw < 0.4:
                text = text[: place - 1] + text[place] + text[place - 1] + text[place + 1 :]
            elif draw < 0.8:
                text = text[:place] + text[place + 1 :]
            else:
                text = text[:place] + text[place] + text[place:]
    if random() < 0.035 * factor:
        text = text.lower()
    elif random() < 0.05 * factor:
        text = re.sub(r"\bI\b", "i", text)
    if random() < 0.03 * factor:
        text = text.replace(". ", ".", 1 + int(random() * 3))
    if random() < 0.05 * factor:
        text = text.replace(", ", ",", 1 + int(random() * 3))
    if random() < 0.04 * factor:
        text = text.replace(". ", ", ", 1 + int(random() * 2))
    if random() < 0.03 * factor and text.endswith("."):
        text = text[:-1]
    if l1 == "French" and random() < 0.2 * factor:
        text = text.replace("!", " !").replace("?", " ?")
    elif l1 == "Mandarin" and random() < 0.04 * factor:
        text = text.replace(", ", "，")
    return text
