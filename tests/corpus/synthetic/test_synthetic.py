"""The sample corpus: counts, lengths, reproducibility, levels that differ, errors and oddities."""

import csv
import hashlib
import re
from collections import Counter, defaultdict
from itertools import count
from math import log
from pathlib import Path
from random import Random
from statistics import mean

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ilm.corpus import synthetic
from ilm.corpus.splitting.assign import assign_splits
from ilm.corpus.synthetic import COLUMNS, composition, generate, level_counts, write_csv
from ilm.corpus.synthetic.composition import Composition, compose, grammar_of, polish, write_draft
from ilm.corpus.synthetic.errors import apply_rule, make_errors, parse_rule, rules_of
from ilm.corpus.synthetic.grammar import Expansion, parse_grammar, parse_template
from ilm.corpus.synthetic.learners import L1_SHARES, LEVEL_SHARES
from ilm.corpus.synthetic.oddities import typed, with_curly_quotes
from ilm.corpus.synthetic.writers import Writer, without_accents
from ilm.evaluation.comparison.contrasts import effective_clusters
from ilm.hashing import order_key
from ilm.masking.functions import Hierarchical
from ilm.masking.sampling import draw_masks, example_generator


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    return list(generate(3000, seed=0))


def by_level(rows: list[dict[str, str]]) -> dict[str, list[str]]:
    texts = defaultdict(list)
    for row in rows:
        texts[row["cefr_level"]].append(row["text"])
    return texts


def sentences(texts: list[str]) -> list[str]:
    return [sentence for text in texts for sentence in re.split(r"(?<=[.!?])\s+", text)]


def share(texts: list[str], pattern: str) -> float:
    return mean(bool(re.search(pattern, text)) for text in texts)


def expand(template: str, lists: str = "", facts: dict[str, str] | None = None, seed: int = 0) -> str:
    grammar = parse_grammar(lists)
    expansion = Expansion(grammar, Random(seed).random, facts or {}, lambda key: None)
    return expansion.render(parse_template(template))


# --- counts and shares


def test_counts_of_the_default_size() -> None:
    assert level_counts(15_500) == {"A1": 3236, "A2": 3149, "B1": 3080, "B2": 3028, "C1": 3007}
    # 723,282 x 0.4717 / 0.9999 = 341,206.26 and so on; the two texts left go to A2 (.58) and B2 (.50)
    expected = {"A1": 341_206, "A2": 215_343, "B1": 116_532, "B2": 40_219, "C1": 9_982}
    assert level_counts(723_282, floor=0) == expected


def test_a_size_below_the_floor_is_spread_evenly() -> None:
    # 20 each; the three left are 1.42, 0.89, 0.48, 0.17, 0.04 of a text
    assert level_counts(103) == {"A1": 21, "A2": 21, "B1": 21, "B2": 20, "C1": 20}
    assert level_counts(1) == {"A1": 1, "A2": 0, "B1": 0, "B2": 0, "C1": 0}


@given(st.integers(1, 10**6), st.integers(0, 2000))
def test_counts_add_up_and_keep_the_floor(size: int, floor: int) -> None:
    counts = level_counts(size, floor)
    assert sum(counts.values()) == size
    assert min(counts.values()) >= min(floor, size // 5)


def test_first_languages_have_their_shares_in_every_level(rows: list[dict[str, str]]) -> None:
    total = sum(L1_SHARES.values())
    for level in LEVEL_SHARES:
        counts = Counter(row["l1"] for row in rows if row["cefr_level"] == level)
        size = sum(counts.values())
        for l1, expected in L1_SHARES.items():
            assert abs(counts[l1] - size * expected / total) <= 0.04 * size, (level, l1)


# --- reproducibility


def test_rows_are_as_they_were_when_the_corpus_was_published() -> None:
    text = "\n".join("|".join(row.values()) for row in generate(50, seed=0))
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "c6ba0a0ac9f8b955"


def test_a_text_depends_on_seed_and_id_alone(rows: list[dict[str, str]]) -> None:
    large = {row["writing_id"]: row for row in rows}
    small = list(generate(200, seed=0, floor=3))
    assert all(large[row["writing_id"]] == row for row in small)
    for row in small[:20]:
        assert composed(row) == Composition(row["topic"], row["text"], row["text_corrected"])


def composed(row: dict[str, str]) -> Composition:
    key, rng = order_key(0, row["learner_id"]), Random(order_key(0, row["writing_id"]))
    return compose(row["cefr_level"], row["l1"], key, rng)


def test_another_seed_writes_other_texts() -> None:
    first = {row["writing_id"]: row["text"] for row in generate(200, seed=1)}
    second = {row["writing_id"]: row["text"] for row in generate(200, seed=2)}
    assert first.keys() == second.keys()
    assert not any(first[writing_id] == second[writing_id] for writing_id in first)


def test_ids_are_unique_and_levels_are_mixed(rows: list[dict[str, str]]) -> None:
    assert len({row["writing_id"] for row in rows}) == len(rows)
    assert {row["cefr_level"] for row in rows[:60]} == set(LEVEL_SHARES)


def test_csv_reads_back_as_generated(tmp_path) -> None:
    path = tmp_path / "sample.csv"
    write_csv(path, 300, seed=4)
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        assert tuple(reader.fieldnames) == COLUMNS
        assert list(reader) == list(generate(300, seed=4))
    assert [entry.name for entry in tmp_path.iterdir()] == ["sample.csv"]


# --- learners


def test_a_learner_has_several_texts_of_one_level_or_two_neighbouring_ones(rows: list[dict[str, str]]) -> None:
    texts = Counter(row["learner_id"] for row in rows)
    assert 2 < mean(texts.values()) < 3
    assert max(texts.values()) <= 16
    levels, l1s = defaultdict(set), defaultdict(set)
    for row in rows:
        levels[row["learner_id"]].add(row["cefr_level"])
        l1s[row["learner_id"]].add(row["l1"])
    assert all(len(found) == 1 for found in l1s.values())
    assert 0.05 < mean(len(found) > 1 for found in levels.values()) < 0.2
    assert all("".join(sorted(found)) in "A1A2B1B2C1" for found in levels.values())


def test_a_learner_keeps_life_relatives_and_error_habits() -> None:
    writers = [Writer("Italian", 3, Random(seed).random) for seed in range(5)]
    assert all(writer.facts == writers[0].facts for writer in writers)
    assert len({writer.person("mother")["name"] for writer in writers}) == 1
    assert len({writer.person("friend")["name"] for writer in writers}) > 1
    assert Writer("Italian", 4, Random(0).random).facts != writers[0].facts
    text = "He has two brothers because his family is in the city, which is interesting."

    def versions(key: int) -> int:
        return sum(make_errors(text, "A1", "Mandarin", key, Random(seed)) != text for seed in range(50))

    shares = [versions(key) for key in range(20)]
    assert max(shares) > 2 * min(shares)


def test_every_level_has_80_effective_clusters_in_the_test_split(monkeypatch) -> None:
    """Of the default corpus, with 4 masks a text. Only texts of the test split are written; equal texts are few."""
    size, seed = yaml.safe_load(Path("conf/corpus/sample.yaml").read_text())["synthetic"].values()
    with monkeypatch.context() as patch:
        number = count()
        patch.setattr(synthetic, "compose", lambda *learner: Composition("", f"text {next(number)}", ""))
        documents = pd.DataFrame(generate(size, seed))
    documents = documents[assign_splits(documents, 0)[0] == "test"]
    function, masked = Hierarchical(), []
    for row in documents.to_dict("records"):
        text = composed(row).text
        masks = draw_masks(text, function, 4, 16, example_generator(0, "", row["writing_id"]))
        masked.append(sum(len(text[s.start : s.start + s.length].split()) for mask in masks for s in mask))
    words = documents.assign(words=masked).groupby(["cefr_level", "learner_id"])["words"].sum()
    found = {level: effective_clusters(np.array(of_level)) for level, of_level in words.groupby("cefr_level")}
    assert min(found.values()) >= 80, found


# --- texts


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**63), st.sampled_from(sorted(LEVEL_SHARES)), st.sampled_from(sorted(L1_SHARES)))
def test_lengths_stay_within_the_limits(seed: int, level: str, l1: str) -> None:
    for number in range(8):
        assert 118 <= len(compose(level, l1, seed, Random(order_key(seed, number))).text) <= 1082


def test_a_text_that_contractions_bring_under_the_limit_is_written_again(monkeypatch) -> None:
    drafts = iter(["Too short.", "Long enough. " * 12])
    monkeypatch.setattr(composition, "write_draft", lambda *arguments: next(drafts))
    assert len(compose("C1", "German", 0, Random(0)).text) > 118


def test_errors_that_bring_a_text_over_the_limit_are_left_out(monkeypatch) -> None:
    monkeypatch.setattr(composition, "make_errors", lambda text, *arguments: text * 20)
    for seed in range(5):
        _, text, corrected = compose("B1", "Italian", seed, Random(seed))
        assert 118 <= len(text) <= 1082
        assert text == corrected


def test_lengths_on_the_whole(rows: list[dict[str, str]]) -> None:
    means = [mean(map(len, texts)) for _, texts in sorted(by_level(rows).items())]
    assert means == sorted(means)
    overall = sum(share * length for share, length in zip(LEVEL_SHARES.values(), means, strict=True))
    assert 280 < overall < 350
    assert max(len(row["text"]) for row in rows) > 950


@pytest.mark.parametrize("level", LEVEL_SHARES)
def test_every_topic_can_be_long_and_short_enough(level: str) -> None:
    for topic in grammar_of(level).topics:
        for seed in range(5):
            for intended in (118, 1042):
                rng = Random(seed)
                writer = Writer("Portuguese", seed, rng.random)
                expansion = Expansion(grammar_of(level), rng.random, writer.facts, writer.person)
                text = polish(write_draft(topic, expansion, intended, rng), level, rng.random)
                assert len(text) <= 1082, topic.name
                assert len(text) >= min(intended, 300) * 0.9, topic.name


def test_no_traces_of_the_notation(rows: list[dict[str, str]]) -> None:
    for row in rows:
        text = re.sub(r" ?<\|[a-z_]+\|>", "", row["text"])
        assert not re.search(r"[\[\]{}|~\x00-\x09\x0b-\x1f]|  ", text), row
        assert text.strip()


def test_hardly_any_text_occurs_twice(rows: list[dict[str, str]]) -> None:
    folded = Counter(" ".join(row["text"].casefold().split()) for row in rows)
    assert sum(count - 1 for count in folded.values()) < 0.005 * len(rows)


def test_many_different_sentences(rows: list[dict[str, str]]) -> None:
    for level, texts in by_level(rows).items():
        found = sentences(texts[:500])
        assert len(set(found)) > 0.55 * len(found), level


# --- levels


def test_sentences_grow_with_the_level(rows: list[dict[str, str]]) -> None:
    words = {level: mean(len(s.split()) for s in sentences(texts)) for level, texts in by_level(rows).items()}
    assert words["A1"] + 2 < words["A2"] < words["B1"] - 1 < words["B2"] - 2 < words["C1"] - 4


def test_grammar_and_connectors_grow_with_the_level(rows: list[dict[str, str]]) -> None:
    texts = by_level(rows)
    past = {level: share(texts[level], r"\b(was|were|went|had)\b") for level in texts}
    perfect = {
        level: share(texts[level], r"\b(have|has|'ve) (never |already |recently |always )?(\w+ed|been)\b")
        for level in texts
    }
    passive = {level: share(texts[level], r"\b(been|be|was|were|is|are) \w+ed\b") for level in texts}
    hedged = {
        level: share(texts[level], r"\b(arguably|presumably|to some extent|by and large|at least in part)\b")
        for level in texts
    }
    assert past["A2"] > past["A1"] + 0.4
    assert perfect["B1"] > perfect["A2"] + 0.3
    assert passive["B2"] > passive["B1"] + 0.3
    assert hedged["C1"] > hedged["B2"] + 0.05
    assert share(texts["A2"], r"\bbec\w+\b|\bwhen\b") > share(texts["A1"], r"\bbec\w+\b|\bwhen\b") + 0.3
    assert (
        share(texts["B1"], r"\b[Aa]lthough\b|\b[Hh]owever\b")
        > share(texts["A2"], r"\b[Aa]lthough\b|\b[Hh]owever\b") + 0.2
    )


def test_levels_are_told_apart_by_their_words(rows: list[dict[str, str]]) -> None:
    """A smoothed unigram model a level, trained on 300 texts, is least surprised by its own level's next 100."""
    texts = by_level(rows)
    words = {level: Counter(w for t in some[:300] for w in t.lower().split()) for level, some in texts.items()}

    def surprisal(level: str, some: list[str]) -> float:
        total = sum(words[level].values())
        tokens = [word for text in some for word in text.lower().split()]
        return -sum(log((words[level][word] + 0.1) / (total + 2000)) for word in tokens) / len(tokens)

    for level, some in texts.items():
        costs = {other: surprisal(other, some[300:400]) for other in words}
        own = costs.pop(level)
        assert own + 0.2 < min(costs.values()), (level, own, costs)


# --- errors and oddities


def test_a_correction_has_no_errors_but_the_oddities(rows: list[dict[str, str]]) -> None:
    texts, corrected = ([row[name] for row in rows] for name in ("text", "text_corrected"))
    differs = pd.Series([one != other for one, other in zip(texts, corrected, strict=True)])
    changed = differs.groupby([row["cefr_level"] for row in rows]).mean()
    assert changed["A1"] > 0.4 > changed["B2"] > changed["C1"] > 0.05
    for wrong in ("becouse", r"\bwich\b", "goverment", r"(?<![\w’'])i(?![\w.])", "[a-z]''[a-z]"):
        assert share(texts, wrong) > 0
        assert share(corrected, wrong) == 0
    for odd in ("[‘’“”]", "\n", "\n\n\n", re.escape("<|endoftext|>"), "[\u2600-\u27bf\U0001f1e6-\U0001faff]"):
        assert share(corrected, odd) == pytest.approx(share(texts, odd), abs=0.001)


def test_an_apostrophe_typed_twice_is_corrected_but_quotation_marks_stay() -> None:
    found = {typed('"I\'m"', '"I\'m"', Random(seed)) for seed in range(200)}
    assert found == {('"I\'m"',) * 2, ("“I’m”",) * 2, ("''I'm''",) * 2}
    assert {typed("I'm", "I'm", Random(seed)) for seed in range(200)} == {("I'm",) * 2, ("I’m",) * 2, ("I''m", "I'm")}


def test_errors_belong_to_the_first_language() -> None:
    text = "I am 20 years old. I am a doctor and I work in the hospital. Although I am tired, I like the job."

    def versions(l1: str) -> str:
        return "\n".join(make_errors(text, "A1", l1, seed, Random(seed)) for seed in range(400))

    assert "I have 20 years" in versions("Spanish")
    assert "I have 20 years" not in versions("Russian")
    assert "I work in hospital" in versions("Russian")
    assert "I work in hospital" not in versions("German")
    assert "Although I am tired, but" in versions("Mandarin")


def test_a_plain_rule_replaces_whole_words_only() -> None:
    rule = parse_rule("other => others : 100", {})
    text = "The other one, another one, not otherwise. Other? (other)"
    expected = "The others one, another one, not otherwise. Other? (others)"
    assert apply_rule(text, rule, rule.rate, Random(0).random) == expected


def test_advanced_writers_make_fewer_errors() -> None:
    text = " ".join(["He has two brothers because his family is in the city, which is interesting."] * 5)

    def changed(level: str) -> int:
        return sum(make_errors(text, level, "Mandarin", seed, Random(seed)) != text for seed in range(200))

    assert changed("A1") > changed("B2") > changed("C1") > 0


@pytest.mark.parametrize("l1", L1_SHARES)
def test_every_rule_changes_something_it_matches(l1: str) -> None:
    rules = rules_of(l1)
    assert len(rules) > 60
    for rule in rules:
        assert 0 < rule.rate <= 0.5
        assert not rule.pattern.match(""), rule
        assert rule.find != rule.replacement, rule


def test_oddities_occur_at_their_rates(rows: list[dict[str, str]]) -> None:
    texts = [row["text"] for row in rows]
    assert 0.03 < share(texts, "[‘’“”]") < 0.08
    assert 0.003 < share(texts, "''") < 0.015
    assert 0.003 < share(texts, "[\u2600-\u27bf\U0001f1e6-\U0001faff]") < 0.015
    assert 0.02 < share(texts, "[À-ÿĀ-ſ]") < 0.1
    assert 0.15 < share(texts, "\n") < 0.4
    assert 0.002 < share(texts, "\n\n\n") < 0.015
    assert 0.001 < share(texts, re.escape("<|endoftext|>")) < 0.01
    assert 0.0003 < share(texts, re.escape("<|endofinfill|>")) < 0.01
    assert share(texts, "[\u0400-\u04ff]") > 0
    assert share(texts, "[\u4e00-\u9fff]") > 0


def test_curly_quotes_open_and_close() -> None:
    assert with_curly_quotes('"I\'m here," she said. "Why?"') == "“I’m here,” she said. “Why?”"


def test_names_without_accents() -> None:
    assert without_accents("São Paulo") == "Sao Paulo"
    assert without_accents("Yılmaz Çağlar") == "Yilmaz Caglar"


@pytest.mark.parametrize("l1", L1_SHARES)
def test_a_life_without_contradictions(l1: str) -> None:
    for seed in range(100):
        writer = Writer(l1, seed, Random(seed).random)
        facts = writer.facts
        assert facts["city"] != facts["city:b"]
        if writer.age < 26:
            assert "children" not in facts["family"]
        assert ("wife" in facts["partner"]) <= (writer.sex == "man")
        friend, mother = writer.person("friend"), writer.person("mother")
        assert len({facts["name"], friend["name"], mother["name"]}) == 3
        assert (mother["he"], mother["man"]) == ("she", "woman")
        assert int(mother["age"]) > writer.age + 15
        assert writer.person("film") is None


# --- the notation


def test_alternatives_and_nesting() -> None:
    found = {expand("a [b|c [d|e]|]f", seed=seed) for seed in range(60)}
    assert found == {"a bf", "a c df", "a c ef", "a f"}


def test_a_slot_is_kept_a_tag_is_another_draw_and_tilde_a_fresh_one() -> None:
    lists = "~ pet: cat | dog | owl"
    for seed in range(30):
        kept = expand("{pet} {pet} {^pet}", lists, seed=seed).split()
        assert kept[0] == kept[1] == kept[2].lower()
        assert len(set(expand("{pet} {pet:b} {~pet}", lists, seed=seed).split())) == 3
        assert len(expand("{~pet} {~pet} {~pet} {~pet}", lists, seed=seed).split()) == 4


def test_records_facts_and_numbers() -> None:
    lists = "~ film(title, kind): Up / comedy | Down / drama"
    assert {expand("{film.title} {film.kind}", lists, seed=seed) for seed in range(20)} == {"Up comedy", "Down drama"}
    assert expand("{city} {city:b}", facts={"city": "Rome", "city:b": "Oslo"}) == "Rome Oslo"
    assert {expand("{#3-5}", seed=seed) for seed in range(40)} == {"3", "4", "5"}
    first, second = expand("{#1-99:n} {#1-99:n}").split()
    assert first == second


def test_the_writers_own_country_is_not_drawn() -> None:
    lists = "~ land: France | Spain"
    assert {expand("{land}", lists, facts={"country": "France"}, seed=seed) for seed in range(20)} == {"Spain"}


@pytest.mark.parametrize("text", ["apple", "hour", "engineer", "11 years", "8-year plan"])
def test_an_before_vowels(text: str) -> None:
    assert polish(f"a {text}", "A1", Random(0).random) == f"An {text}"


@pytest.mark.parametrize("text", ["university", "European", "useful book", "one-way street", "utility", "cat"])
def test_a_before_consonants(text: str) -> None:
    assert polish(f"a {text}", "A1", Random(0).random) == f"A {text}"
