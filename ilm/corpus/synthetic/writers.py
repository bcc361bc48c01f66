"""Who writes: one writer's life, drawn from the names and places of a first language.

The facts that a text's steps may mention are drawn together, so that a student of 19 has no grown-up children and
a man's wife is not his husband.
"""

import unicodedata
from collections.abc import Callable
from functools import cache

from ilm.corpus.synthetic.languages import FIRST_LANGUAGES, Land

_FRIENDS_ABROAD = {
    "woman": [
        "Emma",
        "Sarah",
        "Kate",
        "Jane",
        "Lucy",
        "Helen",
        "Rachel",
        "Susan",
        "Linda",
        "Alice",
        "Karen",
        "Megan",
        "Olivia",
        "Jenny",
    ],
    "man": [
        "John",
        "Peter",
        "Tom",
        "David",
        "Mike",
        "James",
        "Paul",
        "Ben",
        "Steve",
        "Mark",
        "George",
        "Harry",
        "Chris",
        "Robert",
    ],
}
_MEN = frozenset(("brother", "father", "uncle", "grandfather"))
_WOMEN = frozenset(("sister", "mother", "aunt", "grandmother"))
_PEOPLE = frozenset(("friend", "colleague", "boss", "neighbour", "cousin", "penpal", "client", "kid", "guest"))
_PRONOUNS = {
    "woman": {
        "he": "she",
        "his": "her",
        "him": "her",
        "man": "woman",
        "boy": "girl",
        "son": "daughter",
        "mr": "Ms",
    },
    "man": {"he": "he", "his": "his", "him": "him", "man": "man", "boy": "boy", "son": "son", "mr": "Mr"},
}
_YEARS_OLDER = {
    "father": 28,
    "mother": 26,
    "aunt": 25,
    "uncle": 26,
    "grandfather": 54,
    "grandmother": 52,
    "boss": 10,
}


class Writer:
    """One writer: facts for an `Expansion`, and the people around (same country mostly, names not repeated)."""

    def __init__(self, l1: str, random: Callable[[], float]) -> None:
        self.language, self.random = FIRST_LANGUAGES[l1], random
        self.accents = random() < 0.22
        weighted = _weighted_lands(l1)
        land = weighted[int(random() * len(weighted))]
        self.sex = "woman" if random() < 0.52 else "man"
        self.age = 17 + int(random() ** 1.7 * 43)
        name = self._pick(self.language.women if self.sex == "woman" else self.language.men)
        self.names = {name}
        surname = self._pick(self.language.surnames)
        city, other = self._pick(land.cities), self._pick(land.cities)
        while other == city:
            other = self._pick(land.cities)
        self.city = city
        self.facts = {
            "name": self._spelt(name),
            "surname": self._spelt(surname),
            "age": str(self.age),
            "city": self._spelt(city),
            "city:b": self._spelt(other),
            "country": land.country,
            "nationality": land.nationality,
            "language": l1 if l1 != "Mandarin" else "Chinese",
            "dish": self._spelt(self._pick(land.dishes)),
        } | self._family()

    def person(self, key: str) -> dict[str, str] | None:
        """The record of the person that slot `key` names, or None if `key` names no person."""
        name = key.partition(":")[0]
        sex = "man" if name in _MEN else "woman" if name in _WOMEN else None
        if sex is None:
            if name not in _PEOPLE:
                return None
            sex = "woman" if self.random() < 0.5 else "man"
        if name == "penpal" or (name not in _MEN | _WOMEN and self.random() < 0.25):
            pool = _FRIENDS_ABROAD[sex]
        else:
            pool = self.language.women if sex == "woman" else self.language.men
        while (first := self._pick(pool)) in self.names:
            pass
        self.names.add(first)
        age = max(16, self.age - 5 + int(self.random() * 11)) + _YEARS_OLDER.get(name, 0)
        if name == "kid":
            age = max(1, min(self.age - 24, 3 + int(self.random() * 13)))
        surname = self._pick(self.language.surnames)
        words = _PRONOUNS[sex]
        return {
            "name": self._spelt(first),
            "surname": self._spelt(surname),
            "age": str(min(age, 94)),
            **words,
            "hes": words["he"].capitalize(),
            "hiss": words["his"].capitalize(),
        }

    def _family(self) -> dict[str, str]:
        spouse = "husband" if self.sex == "woman" else "wife"
        dear = "boyfriend" if self.sex == "woman" else "girlfriend"
        draw = self.random()
        if self.age < 26 or draw < 0.3:
            if draw < 0.1 or self.random() < 0.4:
                line, partner = f"I am not married, but I have a {dear}.", f"my {dear}"
            else:
                line, partner = "I am single.", "my best friend"
            alone = "with my parents" if self.age < 24 or self.random() < 0.2 else "alone in a small flat"
            return {"family": line, "partner": partner, "livewith": alone, "child": "my little nephew"}
        if draw < 0.45:
            return {
                "family": "I am married, but I have no children.",
                "partner": f"my {spouse}",
                "livewith": f"with my {spouse}",
                "child": "my nephew",
            }
        one = "son" if self.random() < 0.5 else "daughter"
        children = f"one {one}" if self.random() < 0.5 else "two children" if self.random() < 0.7 else "three children"
        us = f"our {one}" if children[:3] == "one" else f"our {children}"
        child = f"my {one}" if children[:3] == "one" else f"my youngest {one}"
        return {
            "family": f"I am married and I have {children}.",
            "partner": f"my {spouse}",
            "livewith": f"with my {spouse} and {us}",
            "child": child,
        }

    def _pick(self, items: tuple[str, ...]) -> str:
        return items[int(self.random() * len(items))]

    def _spelt(self, name: str) -> str:
        return name if self.accents else without_accents(name)


@cache
def _weighted_lands(l1: str) -> tuple[Land, ...]:
    return tuple(land for land in FIRST_LANGUAGES[l1].lands for _ in range(land.weight))


@cache
def without_accents(name: str) -> str:
    """`name` as typed on a keyboard without accents ("São Paulo" -> "Sao Paulo")."""
    decomposed = unicodedata.normalize("NFD", name.replace("ı", "i"))
    return "".join(character for character in decomposed if not unicodedata.combining(character))
