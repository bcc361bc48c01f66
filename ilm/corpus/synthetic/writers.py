"""A learner's biography, drawn from the names and places of a first language.

The facts a text may mention are drawn together, so that a student of 19 has no grown-up children and a man's wife is
not his husband.
"""

import unicodedata
from collections.abc import Callable, Sequence
from functools import cache
from random import Random
from typing import Any

from ilm.corpus.synthetic.grammar import read_yaml
from ilm.hashing import order_key


class Writer:
    """The writer of a text: `facts` for an `Expansion`, and the people they mention, all with distinct first names.

    Facts and relatives follow from `key`, so all texts of a learner share them; `random` draws everyone else.
    """

    def __init__(self, l1: str, key: int, random: Callable[[], float]) -> None:
        self.l1, self.language = l1, read_yaml("first_languages.yaml")[l1]
        self.people = read_yaml("people.yaml")
        self.key, self.random = key, random
        life = Random(key).random
        self.accents = life() < 0.22  # others type "Sao Paulo"
        countries = self.language["countries"]
        country = _pick([country for country in countries for _ in range(country["weight"])], life)
        self.sex = "woman" if life() < 0.52 else "man"
        self.age = 17 + int(life() ** 1.7 * 43)
        first, surname = self._name(self.sex, life)
        self.names = {first, surname}
        self.city = other = _pick(country["cities"], life)
        while other == self.city:
            other = _pick(country["cities"], life)
        years = max(1, min(self.age - 20, 2 + int(life() * 22)))
        self.facts = {
            "name": self._spelt(first),
            "surname": self._spelt(surname),
            "age": str(self.age),
            "city": self._spelt(self.city),
            "city:b": self._spelt(other),
            "country": country["name"],
            "nationality": country["nationality"],
            "language": "Chinese" if l1 == "Mandarin" else l1,
            "experience": f"{years} years" if years > 1 else "a year",
            "dish": self._spelt(_pick(country["dishes"], life)),
            **self._family(life),
        }
        if self.age < 21 or (self.age < 26 and life() < 0.6):
            subject = _pick(self.people["subjects"], life)
            self.facts |= {"job.title": "student", "job.work": f"study {subject} at university"}
            self.facts |= {"job.works": "goes to university", "job.field": "a café at weekends"}

    def person(self, key: str) -> dict[str, str] | None:
        """The record of the person behind slot `key` ("friend", "friend:b"); None if the key is no person."""
        role = key.partition(":")[0]
        if role not in self.people["roles"]:
            return None
        known_sex, older = self.people["roles"][role]
        random = Random(order_key(self.key, key)).random if known_sex else self.random
        sex = known_sex or ("woman" if random() < 0.5 else "man")
        abroad = role == "penpal" or (known_sex is None and random() < 0.25)
        first, surname = self._name(sex, random, abroad)
        while first in self.names or surname in self.names:
            first, surname = self._name(sex, random, abroad)
        self.names.add(first)
        age = max(16, self.age - 5 + int(random() * 11)) + older
        return {
            "name": self._spelt(first),
            "surname": self._spelt(surname),
            "age": str(min(age, 94)),
            **self.people["pronouns"][sex],
        }

    def _name(self, sex: str, random: Callable[[], float], abroad: bool = False) -> tuple[str, str]:
        firsts = self.language["women" if sex == "woman" else "men"]
        first = _pick(self.people["names_abroad"][sex] if abroad else firsts, random)
        surname = _pick(self.language["surnames"], random)
        return first, surname + "a" if self.l1 == "Russian" and sex == "woman" else surname

    def _family(self, random: Callable[[], float]) -> dict[str, str]:
        woman, chance = self.sex == "woman", random()
        spouse, dear = ("husband", "boyfriend") if woman else ("wife", "girlfriend")
        if self.age < 26 or chance < 0.3:
            family, partner = "I am single.", "my best friend"
            if random() < 0.4:
                family, partner = f"I am not married, but I have a {dear}.", f"my {dear}"
            home = "with my parents" if self.age < 24 or random() < 0.2 else "alone in a small flat"
            return {"family": family, "partner": partner, "livewith": home, "child": "my little nephew"}
        partner = f"my {spouse}"
        if chance < 0.45:
            family = "I am married, but I have no children."
            return {"family": family, "partner": partner, "livewith": f"with {partner}", "child": "my nephew"}
        number = _pick(("one", "one", "two", "two", "three"), random)
        child = _pick(("son", "daughter"), random)
        children = child if number == "one" else f"{number} children"
        return {
            "family": f"I am married and I have {f'a {child}' if number == 'one' else children}.",
            "partner": partner,
            "livewith": f"with {partner} and our {children}",
            "child": f"my {child}" if number == "one" else f"my youngest {child}",
        }

    def _spelt(self, name: str) -> str:
        return name if self.accents else without_accents(name)


def _pick(items: Sequence[Any], random: Callable[[], float]) -> Any:
    return items[int(random() * len(items))]


@cache
def without_accents(name: str) -> str:
    """`name` as typed on a keyboard without accents ("São Paulo" -> "Sao Paulo")."""
    decomposed = unicodedata.normalize("NFD", name.replace("ı", "i"))
    return "".join(character for character in decomposed if not unicodedata.combining(character))
