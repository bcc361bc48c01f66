"""The mixture of specialists against a plain computation with two tiny models."""

import io
import json
import math
from collections import Counter

import numpy as np
import pytest
import torch
from rich.console import Console
from scipy.special import logsumexp

from ilm.errors import UserError
from ilm.examples.layout import lay_out
from ilm.infilling.browse import TextBrowser
from ilm.infilling.candidates import Infilling
from ilm.infilling.infiller import Infiller
from ilm.infilling.jsonl import fill_texts
from ilm.infilling.mixture import Mixture, mixed
from ilm.infilling.terminal import Terminal
from ilm.infilling.texts import InputText
from ilm.masking.functions import Span
from ilm.models.scoring import score
from tests.infilling.small_models import ENTRIES, MASK_TYPES, decoding, random_model, vocabulary

WORDS = vocabulary()
ROWS = ENTRIES + 2 + len(MASK_TYPES)
TEXT, ANSWERS = "I like to eat _ for [ngram].", ("pasta", "lunch")
WHOLE = "I like to eat pasta for lunch."
HOT = 20.0  # at which both members have a say


@pytest.fixture(scope="module")
def members() -> dict[str, Infiller]:
    """Of one tokenizer, and of different opinions."""
    models = {"A1": random_model("gpt2", ROWS, scale=0.1), "B1": random_model("gpt2", ROWS, scale=0.2)}
    return {name: Infiller(model, WORDS) for name, model in models.items()}


@pytest.fixture(scope="module")
def mixture(members) -> Mixture:
    return Mixture(members, HOT)


def example_totals(infiller: Infiller) -> tuple[float, float]:
    """NLL of context and answers, as evaluation computes them."""
    spans, ids = [], WORDS.encode(WHOLE)
    for before, answer, kind in (("I like to eat", " pasta", "word"), ("I like to eat pasta for", " lunch", "ngram")):
        first = len(WORDS.encode(before))
        spans.append((MASK_TYPES.index(kind), first, first + len(WORDS.encode(answer))))
    scores = score(infiller.model, [lay_out(ids, spans, WORDS, "ilm", 99)], 99, torch.device("cpu"))
    return scores.total("context")[0], scores.total("infill")[0]


def test_weights_and_probabilities_are_those_of_a_plain_computation(members, mixture):
    context, answers = np.array([example_totals(member) for member in members.values()]).T
    weights = np.exp(-context / HOT) / np.exp(-context / HOT).sum()
    assert weights.min() > 0.02  # the test would tell nothing of a mixture of one
    (found,) = np.exp(mixture.log_posterior([mixture.context(TEXT)]))
    assert found == pytest.approx(weights, abs=1e-4)
    assert mixture.score(TEXT, ANSWERS) == pytest.approx(math.log((weights * np.exp(-answers)).sum()), abs=1e-3)
    # Of the first answer without the second.
    of_members = np.array([member.answer_scores(TEXT, ANSWERS) for member in members.values()])
    assert of_members.sum(axis=1).min() < mixture.score(TEXT, ANSWERS) < of_members.sum(axis=1).max()
    first = math.log((weights * np.exp(of_members[:, 0])).sum())
    assert mixture.answer_scores(TEXT, ANSWERS)[0] == pytest.approx(first, abs=1e-3)


def test_answers_before_change_the_weights():
    weights, values = np.log([0.5, 0.5]), np.log([[0.8, 0.9], [0.2, 0.1]])
    assert np.exp(mixed(weights, values)) == pytest.approx([0.5, 0.8 * 0.9 + 0.2 * 0.1])


@torch.inference_mode()
def plain_log_probability(mixture: Mixture, infilling: Infilling) -> float:
    """Of the tokens as they were written, in a plain pass of each member."""
    context = mixture.context(TEXT)
    answers = [token for ids in infilling.token_ids for token in ids]
    read, totals = torch.tensor([[*context.ids, *answers]]), []
    for member in mixture.members:
        logits = member.model(read, use_cache=False).logits[0, len(context.ids) - 1 : -1]
        of_tokens = logits.log_softmax(-1).gather(1, torch.tensor(answers)[:, None])
        totals.append(float(of_tokens.double().sum()))
    return logsumexp(mixture.log_posterior([context])[0] + totals)


@pytest.mark.parametrize("method", ["sample", "greedy", "beam"])
def test_candidates_have_the_probability_of_the_mixture(mixture, method):
    settings = decoding(candidates=6, method=method, max_answer_tokens=5)
    (found,) = mixture(TEXT, settings)
    for infilling in found:
        assert infilling.log_probability == pytest.approx(plain_log_probability(mixture, infilling), abs=1e-3)
    # Of a search: the likeliest of what the members find.
    own = {
        i.answers: plain_log_probability(mixture, i) for member in mixture.members for i in member(TEXT, settings)[0]
    }
    likeliest = sorted(own, key=own.get, reverse=True)[: len(found)]
    assert len(found) == (1 if method == "greedy" else 6)
    assert method == "sample" or [i.answers for i in found] == likeliest


def test_members_write_as_often_as_they_weigh(members, mixture):
    one = decoding(top_k=1, max_answer_tokens=2)  # so a member writes its own answers only
    own = [member(TEXT, one)[0][0].answers for member in members.values()]
    assert len(set(own)) == 2
    (found,) = mixture(TEXT, one.replace(candidates=1000))
    counts = Counter(infilling.answers for infilling in found)
    assert set(counts) == set(own)
    weights = np.exp(mixture.log_posterior([mixture.context(TEXT)])[0])
    deviation = math.sqrt(weights[0] * weights[1] / 1000)
    assert counts[own[0]] / 1000 == pytest.approx(weights[0], abs=4 * deviation)
    # With each candidate once, until both are there.
    (pair,) = mixture(TEXT, one.replace(candidates=2, distinct=True))
    assert {infilling.answers for infilling in pair} == set(own)
    assert mixture([], one) == []


def test_a_draw_depends_on_seed_text_and_number_alone(mixture):
    settings = decoding(candidates=5, max_answer_tokens=5)
    alone = mixture(TEXT, settings)[0]
    others = mixture(["I like _.", TEXT], settings.replace(batch_size=2))[1]
    assert [i.answers for i in others] == [i.answers for i in alone]
    assert [i.answers for i in mixture(TEXT, settings.replace(candidates=2))[0]] == [i.answers for i in alone[:2]]
    assert [i.answers for i in mixture(TEXT, settings.replace(seed=1))[0]] != [i.answers for i in alone]


@pytest.mark.parametrize("method", ["sample", "greedy", "beam"])
def test_cold_the_mixture_is_the_likeliest_member(members, method):
    cold = Mixture(members, 1e-300)
    context = cold.context(TEXT)
    log_pi = cold.log_posterior([context])[0]
    assert sorted(np.exp(log_pi)) == [0.0, 1.0]
    settings = decoding(candidates=4, method=method, max_answer_tokens=5)
    likeliest = [*members.values()][log_pi.argmax()]
    own = likeliest(context, settings)[0]
    found = cold(context, settings)[0]
    assert [i.answers for i in found] == [i.answers for i in own]
    assert [i.log_probability for i in found] == pytest.approx([i.log_probability for i in own], abs=1e-3)
    assert cold.score(TEXT, ANSWERS) == pytest.approx(likeliest.score(TEXT, ANSWERS), abs=1e-4)


def test_beside_a_member_in_json_lines_at_the_terminal_and_over_texts(members, mixture):
    fillers, settings = {"mixture": mixture, "A1": members["A1"]}, decoding(candidates=2, max_answer_tokens=5)
    text, spans, out = InputText("row", 2, "t1", WHOLE), [Span("word", 14, 5)], io.StringIO()
    fill_texts([[text]], lambda text: spans, fillers, settings, out)
    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    assert [first["model"], second["model"]] == ["mixture", "A1"]
    assert len(first["candidates"]) == 2
    expected = mixture.score("I like to eat [word] for lunch.", ["pasta"])
    assert first["original_log_probability"] == pytest.approx(expected) != second["original_log_probability"]
    console = Console(width=200, file=io.StringIO())
    browser = TextBrowser([text], lambda text, attempt: spans, fillers, settings, dict, console)
    browser.begin()
    Terminal(fillers, settings, dict, console).respond(TEXT)
    said = console.file.getvalue()
    assert said.count("mixture") >= 3
    assert f"mixture: p = {math.exp(expected):.2g}" in said


def test_it_is_told_nothing(mixture):
    with pytest.raises(UserError, match="level=B1: needs a model conditioned on it"):
        mixture(TEXT, decoding(level="B1"))


def test_members_must_be_alike(members):
    other = Infiller(random_model("gpt2", ENTRIES + 3), vocabulary(("word",)))
    with pytest.raises(UserError, match=r"must be alike.*mixture_of.*A1: .*blanks sentence ngram word.*C1: .*word, 96"):
        Mixture({"A1": members["A1"], "C1": other}, 1.0)
