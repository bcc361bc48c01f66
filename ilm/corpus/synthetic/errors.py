"""Learners' errors: what a writer's first language brings into English, more often at lower levels."""

import re
from dataclasses import dataclass
from functools import cache
from random import Random

from ilm.corpus.synthetic.error_rules import RULES

_LEVEL_FACTOR = {"A1": 1.0, "A2": 0.95, "B1": 0.7, "B2": 0.42, "C1": 0.2}


@dataclass(frozen=True, slots=True)
class Rule:
    """`pattern` becomes `replacement` at `rate` of its places; tried only where `trigger` occurs."""

    trigger: str
    pattern: re.Pattern[str]
    replacement: str
    rate: float


@cache
def rules_of(l1: str) -> tuple[Rule, ...]:
    """The rules for writers with this first language."""
    lines = (line for l1s, block in RULES if l1 in l1s for line in block.splitlines() if line)
    return tuple(rule for rule in map(_parse_rule, lines) if rule.rate > 0)


def _parse_rule(line: str) -> Rule:
    find, _, rest = line.partition(" =>")
    replacement, _, rate = rest.rpartition(" : ")
    if find.startswith("/"):
        trigger, _, expression = find[1:].partition("/ ")
    else:
        trigger, expression = find, rf"(?<!\w){re.escape(find)}(?!\w)"
    return Rule(trigger, re.compile(expression), replacement.strip(), float(rate) / 100)


def make_errors(text: str, level: str, l1: str, rng: Random) -> str:
    """`text` as a writer of this level and first language might have written it."""
    random = rng.random
    care = 0.25 + 1.5 * random() * random() * 2  # some writers check their text, a few do not at all
    factor = _LEVEL_FACTOR[level] * care
    for rule in rules_of(l1):
        if rule.trigger in text:
            chance = rule.rate * factor

            def replace(match: re.Match[str], rule=rule, chance=chance) -> str:
                return match.expand(rule.replacement) if random() < chance else match[0]

            text = rule.pattern.sub(replace, text)
    return text
