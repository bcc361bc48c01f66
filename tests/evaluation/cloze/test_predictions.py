"""What each kind of model answers: literal answers of models made for it, probabilities by plain forward passes."""

import itertools
import math

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForMaskedLM,
    MT5Config,
    MT5ForConditionalGeneration,
    T5Config,
    T5ForConditionalGeneration,
)

from ilm.config.infill import Decoding
from ilm.errors import UserError
from ilm.evaluation.cloze.base import EARLIER, NO_ANSWER, TOO_LONG, WORD_TOO_LONG, ClozeModel
from ilm.evaluation.cloze.items import EDITS, RANDOM, Item
from ilm.evaluation.cloze.masked_lm import MaskedLM
from ilm.evaluation.cloze.prefix_lm import InfillingLM
from ilm.evaluation.cloze.seq2seq import T5, Bart
from ilm.evaluation.cloze.subwords import SHARES_A_TOKEN, UNKNOWN, Subwords
from ilm.infilling.infiller import Infiller
from tests.evaluation.cloze.cloze_models import (
    SENTENCE,
    always,
    bart,
    bert,
    bert_tokenizer,
    byte_level_tokenizer,
    chain,
    gpt2,
    ilm_vocabulary,
    options,
    roberta,
    t5,
    t5_tokenizer,
)

PASTA = (8, 5)


def item(text: str = SENTENCE, *words: str) -> Item:
    spans = tuple((text.index(word), len(word)) for word in words or ("pasta",))
    return Item("id", "French", "A1", 0, text, spans)


def masked(model=None, tokenizer=None, **more) -> MaskedLM:
    tokenizer = tokenizer or bert_tokenizer()
    return MaskedLM(model or bert(len(tokenizer)), tokenizer, options(**more))


def t5_model(model=None, blanks: int = 3, **more) -> T5:
    tokenizer = t5_tokenizer()
    sentinels = [tokenizer.get_vocab()[f"<extra_id_{n}>"] for n in range(blanks + 1)]
    return T5(model or t5(len(tokenizer)), tokenizer, options(**more), sentinels)


def bart_model(model=None, **more) -> Bart:
    tokenizer = byte_level_tokenizer()
    return Bart(model or bart(len(tokenizer)), tokenizer, options(**more))


def ilm_model(mask_types=("ngram", "word"), **more) -> InfillingLM:
    vocabulary = ilm_vocabulary(mask_types)
    return InfillingLM(Infiller(gpt2(vocabulary.size), vocabulary), options(**more))


def answers(lm: ClozeModel, *items: Item):
    """The answers to the first blank of each item."""
    found = [blanks[0] for blanks in lm.predict(items or [item()])]
    return found if items else found[0]


KINDS = {
    "bert": masked,
    "roberta": lambda **more: masked(roberta(len(byte_level_tokenizer())), byte_level_tokenizer(), **more),
    "t5": t5_model,
    "bart": bart_model,
    "ilm": ilm_model,
}
every_kind = pytest.mark.parametrize("kind", KINDS)


# Masked models --------------------------------------------------------------------------------------------------------


def test_bert_answers_what_it_was_made_to():
    ids = bert_tokenizer().get_vocab()
    logits = {"pasta": 3.0, "rice": 2.0, "[SEP]": 9.0, ".": 5.0, "##s": 7.0}
    model = always(bert(len(ids)), {ids[piece]: value for piece, value in logits.items()})
    found = answers(masked(model))
    total = math.log(sum(map(math.exp, logits.values())) + len(ids) - 5)
    assert [word for word, _ in found.candidates[:2]] == ["pasta", "rice"], "no special token, mark or later piece"
    assert found.candidates[0][1] == pytest.approx(3 - total, abs=1e-5)
    assert found.log_probability == pytest.approx(3 - total, abs=1e-5)
    assert (found.subtokens, found.failure, found.unscored) == (1, None, None)


def test_a_word_of_two_subtokens_is_two_masks_answered_from_left_to_right():
    ids = bert_tokenizer().get_vocab()
    logits = {ids["left"]: 3.0, ids["she"]: 2.0, ids["##over"]: 4.0, ids["##s"]: 1.0}
    found = answers(masked(always(bert(len(ids)), logits)), item("She ate leftover pasta.", "leftover"))[0]
    total = math.log(sum(map(math.exp, logits.values())) + len(ids) - 4)
    expected = {"leftover": 3 + 4, "sheover": 2 + 4, "lefts": 3 + 1, "ateover": 0 + 4}
    assert [word for word, _ in found.candidates[:2]] == ["leftover", "sheover"]
    for word, value in found.candidates:
        if word in expected:
            assert value == pytest.approx(expected[word] - 2 * total, abs=1e-5)
    assert found.log_probability == pytest.approx(7 - 2 * total, abs=1e-5)


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_masked_candidates_are_all_there_are_in_the_order_of_their_probability(kind):
    lm = KINDS[kind](candidates=400)
    tokenizer, model = lm.subwords.tokenizer, lm.model
    mask = "She ate [MASK] for lunch." if kind == "bert" else "She ate<mask> for lunch."
    ids = tokenizer(mask, return_tensors="pt").input_ids
    place = int((ids[0] == tokenizer.mask_token_id).nonzero())
    log_p = model(input_ids=ids).logits[0, place].log_softmax(-1).tolist()
    spaced = "" if kind == "bert" else "Ġ"
    words = {
        token.removeprefix(spaced): i
        for token, i in tokenizer.get_vocab().items()
        if token.startswith(spaced) and token.removeprefix(spaced).isascii() and token.removeprefix(spaced).isalpha()
    }
    expected = sorted(words, key=lambda word: -log_p[words[word]])
    found = answers(lm)
    assert [word for word, _ in found.candidates if word.isascii()] == expected
    assert dict(found.candidates)["pasta"] == pytest.approx(log_p[words["pasta"]], abs=1e-5)


def test_the_pseudo_log_likelihood_goes_left_to_right_within_the_word():
    """log p(left | two masks) + log p(##over | left, one mask), as Kauf and Ivanova (2023) have it."""
    lm = masked(candidates=400)
    tokenizer = lm.subwords.tokenizer
    left, over = tokenizer.convert_tokens_to_ids(["left", "##over"])
    ids = tokenizer("She ate [MASK] [MASK] pasta.", return_tensors="pt").input_ids
    first = lm.model(input_ids=ids).logits[0, 3].log_softmax(-1)[left].item()
    ids[0, 3] = left
    second = lm.model(input_ids=ids).logits[0, 4].log_softmax(-1)[over].item()
    found = answers(lm, item("She ate leftover pasta.", "leftover"))[0]
    assert found.log_probability == pytest.approx(first + second, abs=1e-5)
    assert dict(found.candidates)["leftover"] == pytest.approx(found.log_probability, abs=1e-5), "the same quantity"


# T5 -------------------------------------------------------------------------------------------------------------------


def test_t5_answers_what_it_was_made_to():
    tokenizer = t5_tokenizer()
    tokens = tokenizer.convert_tokens_to_ids(["<extra_id_0>", "▁rice", "<extra_id_1>"])
    found = answers(t5_model(chain(t5(len(tokenizer)), tokens)))
    assert found.candidates[0][0] == "rice"
    assert all(" " not in word and word.isalpha() for word, _ in found.candidates)


def t5_direct(lm, typed: str, written: list[list[int]], scored_from: int) -> list[float]:
    """Log-probabilities of what is written after the first `scored_from` tokens, by one plain forward pass each.

    In the place of the last one, a sentinel, the text may also end.
    """
    source = lm.subwords.tokenizer(typed, return_tensors="pt").input_ids
    values = []
    for ids in written:
        logits = (
            lm.model(input_ids=source, decoder_input_ids=torch.tensor([ids[:-1]])).logits[0].detach().log_softmax(-1)
        )
        last = len(ids) - 1
        end = float(logits[last - 1, [ids[last], 1]].logsumexp(-1))
        values.append(end + sum(float(logits[at - 1, ids[at]]) for at in range(scored_from, last)))
    return values


def test_t5_finds_the_best_of_all_answers():
    lm = t5_model(max_answer_tokens=2, candidates=900)
    tokenizer = lm.subwords.tokenizer
    vocabulary = tokenizer.get_vocab()
    zero, one = vocabulary["<extra_id_0>"], vocabulary["<extra_id_1>"]
    firsts = [i for token, i in vocabulary.items() if token[0] == "▁" and (token == "▁" or token[1:].isalpha())]
    laters = [i for token, i in vocabulary.items() if token.isalpha() and token[0] != "▁" and len(token) == 1]
    all_answers = [(first,) for first in firsts if first != vocabulary["▁"]]
    all_answers += list(itertools.product(firsts, laters))
    written = [[0, zero, *ids, one] for ids in all_answers]
    source = tokenizer("She ate<extra_id_0> for lunch.", return_tensors="pt").input_ids
    expected: dict[str, float] = {}
    for ids, value in zip(all_answers, t5_batched(lm.model, source, written), strict=True):
        word = "".join(tokenizer.convert_ids_to_tokens(ids)).replace("▁", "")
        expected[word] = math.log(math.exp(expected.get(word, -math.inf)) + math.exp(value))
    found = answers(lm)
    best = sorted(expected, key=lambda word: -expected[word])
    assert [word for word, _ in found.candidates[:50]] == best[:50]
    for word, value in found.candidates[:50]:
        assert value == pytest.approx(expected[word], abs=1e-3)


def t5_batched(model, source, written: list[list[int]]) -> list[float]:
    values = []
    for _, group in itertools.groupby(written, key=len):
        ids = torch.tensor(list(group))
        logits = model(input_ids=source.expand(len(ids), -1), decoder_input_ids=ids[:, :-1]).logits.log_softmax(-1)
        chosen = logits.gather(-1, ids[:, 1:, None])[..., 0]
        ends = torch.logaddexp(chosen[:, -1], logits[:, -1, 1])  # or </s>
        values += (chosen[:, 1:-1].sum(-1) + ends).tolist()  # the sentinel is given
    return values


def test_the_score_of_t5_is_that_of_answer_and_closing_sentinel():
    lm = t5_model()
    ids = lm.subwords.tokenizer.convert_tokens_to_ids(["<pad>", "<extra_id_0>", "▁pasta", "<extra_id_1>"])
    (expected,) = t5_direct(lm, "She ate<extra_id_0> for lunch.", [ids], scored_from=2)
    assert answers(lm).log_probability == pytest.approx(expected, abs=1e-4)


def test_the_bar_before_a_word_belongs_to_it():
    """As in T5's training no lone bar is left before the sentinel; one that stands for the word's space is answered."""
    lm = t5_model()
    asked = item("She ate Zoo for lunch.", "Zoo")
    encoded = lm.subwords.encode(asked)
    tokens = lm.subwords.tokenizer.convert_ids_to_tokens
    assert tokens(list(encoded.word_ids(0))) == ["▁", "Z", "o", "o"]
    assert tokens(encoded.fill([[lm.sentinels[0]]]))[:3] == ["▁She", "▁ate", "<extra_id_0>"]
    assert encoded.leading_space == (True,)
    assert answers(lm, asked)[0].subtokens == 4


def test_t5_with_two_blanks():
    """Blank 2 is answered after the model's own answer to blank 1, and scored after the learner's."""
    lm = t5_model()
    (blanks,) = lm.predict([item("She ate pasta for lunch and rice.", "pasta", "lunch")])
    names = ["<pad>", "<extra_id_0>", "▁pasta", "<extra_id_1>", "▁lunch", "<extra_id_2>"]
    ids = lm.subwords.tokenizer.convert_tokens_to_ids(names)
    typed = "She ate<extra_id_0> for<extra_id_1> and rice."
    (both,) = t5_direct(lm, typed, [ids], scored_from=2)
    (second,) = t5_direct(lm, typed, [ids], scored_from=4)
    first = both - second
    assert blanks[0].log_probability == pytest.approx(first, abs=1e-4)
    assert blanks[0].log_probability + blanks[1].log_probability == pytest.approx(both, abs=1e-4)
    own = lm.subwords.tokenizer(blanks[0].candidates[0][0], add_special_tokens=False).input_ids
    second = lm.subwords.tokenizer(blanks[1].candidates[0][0], add_special_tokens=False).input_ids
    (expected,) = t5_direct(lm, typed, [[*ids[:2], *own, ids[3], *second, ids[5]]], scored_from=3 + len(own))
    assert blanks[1].candidates[0][1] == pytest.approx(expected, abs=1e-4)


# BART -----------------------------------------------------------------------------------------------------------------


def test_bart_answers_what_it_was_made_to():
    tokenizer = byte_level_tokenizer()
    ids = tokenizer.get_vocab()
    model = always(bart(len(ids)), {ids["Ġrice"]: 5.0, ids["Ġpasta"]: 4.0, ids["Ġfor"]: 6.0, ids["</s>"]: 9.0})
    found = answers(bart_model(model))
    total = math.log(sum(map(math.exp, (5, 4, 6, 9))) + len(ids) - 4)
    # `for` follows the blank: it closes an answer, and is the likeliest one besides.
    assert [word for word, _ in found.candidates[:3]] == ["for", "rice", "pasta"]
    assert [value for _, value in found.candidates[:3]] == pytest.approx(
        [n + 6 - 2 * total for n in (6, 5, 4)], abs=1e-5
    )


def bart_direct(lm, source: str, written: str, scored: list[int]) -> float:
    """Log-probability of the tokens at the places `scored` of <s>written</s>, the encoder reading `source`."""
    tokenizer = lm.subwords.tokenizer
    ids = [2, *tokenizer(written).input_ids]
    logits = (
        lm.model(input_ids=tokenizer(source, return_tensors="pt").input_ids, decoder_input_ids=torch.tensor([ids[:-1]]))
        .logits[0]
        .detach()
    )
    return sum(float(logits[at - 1].log_softmax(-1)[ids[at]]) for at in scored)


def test_bart_writes_the_text_again_and_closes_with_what_follows():
    lm = bart_model(max_answer_tokens=1, candidates=500)
    tokens = lm.subwords.tokenizer.convert_ids_to_tokens(lm.subwords.encode(item()).ids)
    assert tokens.index("Ġpasta") == 3, "so its place after </s><s> is 5, and that of the closing Ġfor 6"
    found = answers(lm)
    for word in ("pasta", "rice", "soup"):
        expected = bart_direct(lm, "She ate<mask> for lunch.", f"She ate {word} for lunch.", [5, 6])
        assert dict(found.candidates)[word] == pytest.approx(expected, abs=1e-4)
    assert found.log_probability == pytest.approx(dict(found.candidates)["pasta"], abs=1e-5)
    values = [value for _, value in found.candidates]
    assert values == sorted(values, reverse=True)


@torch.no_grad()
def test_bart_finds_the_best_of_all_answers():
    lm = bart_model(max_answer_tokens=2, candidates=300)
    tokenizer = lm.subwords.tokenizer
    source = tokenizer("She ate<mask> for lunch.", return_tensors="pt").input_ids
    before = [2, *tokenizer("She ate").input_ids[:-1]]
    end = tokenizer.get_vocab()["Ġfor"]

    def following(ids: list[list[int]]) -> torch.Tensor:
        read = torch.tensor([[*before, *own] for own in ids])
        return lm.model(input_ids=source.expand(len(ids), -1), decoder_input_ids=read).logits[:, -1].log_softmax(-1)

    assert_all_answers_are_listed(lm, following, end)


@torch.no_grad()
def test_an_infilling_model_finds_the_best_of_all_answers():
    lm = ilm_model(max_answer_tokens=2, candidates=300)
    vocabulary = lm.vocabulary
    ids = vocabulary.encode(SENTENCE)
    place = vocabulary.tokenizer.convert_ids_to_tokens(ids).index("Ġpasta")
    blank = int(vocabulary.blanks[vocabulary.mask_types.index("word")])
    context = [*ids[:place], blank, *ids[place + 1 :], vocabulary.start_of_infill]

    def following(own: list[list[int]]) -> torch.Tensor:
        return lm.model(input_ids=torch.tensor([[*context, *o] for o in own])).logits[:, -1].log_softmax(-1)

    assert_all_answers_are_listed(lm, following, vocabulary.end_of_infill)


def assert_all_answers_are_listed(lm: ClozeModel, following, end: int) -> None:
    """The list begins with the best of all words of one or two tokens, by plain forward passes without a cache."""
    entries = {token: i for token, i in lm.subwords.tokenizer.get_vocab().items() if i != end}
    firsts = {t.removeprefix("Ġ"): i for t, i in entries.items() if t[0] == "Ġ" and t[1:].isascii() and t[1:].isalpha()}
    laters = {t: i for t, i in entries.items() if t.isascii() and t.isalpha()}
    if isinstance(lm, Bart):
        firsts["for"] = end
    (start,) = following([[]])
    seconds = following([[i] for i in firsts.values()])
    words = {word: float(start[i] + seconds[row, end]) for row, (word, i) in enumerate(firsts.items())}
    for row, (word, i) in enumerate(firsts.items()):
        ends = following([[i, later] for later in laters.values()])[:, end]
        for (piece, later), value in zip(laters.items(), ends.tolist(), strict=True):
            both = math.exp(float(start[i] + seconds[row, later]) + value)
            words[word + piece] = math.log(math.exp(words.get(word + piece, -math.inf)) + both)
    found = [(word, value) for word, value in answers(lm).candidates if word.isascii()]
    best = sorted(words, key=lambda word: -words[word])
    assert [word for word, _ in found[:50]] == best[:50]
    # What a word's rarest spelling would add, less likely than any answer listed, may be missing.
    assert [value for _, value in found[:50]] == pytest.approx([words[word] for word in best[:50]], abs=1e-2)


def test_bart_closes_at_the_end_of_the_text():
    lm = bart_model()
    found = answers(lm, item("She ate pasta"))[0]
    expected = bart_direct(lm, "She ate<mask>", "She ate pasta", [5, 6])
    assert found.log_probability == pytest.approx(expected, abs=1e-4)


def test_bart_with_two_blanks():
    lm = bart_model()
    (blanks,) = lm.predict([item(SENTENCE, "pasta", "lunch")])
    expected = bart_direct(lm, "She ate<mask> for<mask>.", SENTENCE, [5, 6])
    assert blanks[0].log_probability == pytest.approx(expected, abs=1e-4)
    expected = bart_direct(lm, "She ate<mask> for<mask>.", SENTENCE, [7, 8])
    assert blanks[1].log_probability == pytest.approx(expected, abs=1e-4)


# Infilling models -----------------------------------------------------------------------------------------------------


def infiller_of(lm: InfillingLM) -> Infiller:
    return Infiller(lm.model, lm.vocabulary)


def test_the_score_of_an_infilling_model_is_that_of_the_infiller():
    lm = ilm_model()
    (blanks,) = lm.predict([item(SENTENCE, "pasta", "lunch")])
    expected = infiller_of(lm).score("She ate [word] for [word].", ["pasta", "lunch"])
    assert sum(blank.log_probability for blank in blanks) == pytest.approx(expected, abs=1e-4)
    assert answers(lm).log_probability == pytest.approx(
        infiller_of(lm).score("She ate [word] for lunch.", ["pasta"]), abs=1e-4
    )


def test_candidates_of_an_infilling_model_have_the_probability_that_the_infiller_gives_them():
    lm = ilm_model()
    found = answers(lm)
    assert len(found.candidates) > 5
    for word, value in found.candidates:
        ids = lm.subwords.tokenizer(f"She ate {word} for lunch.").input_ids
        if len(ids) != len(lm.subwords.tokenizer(SENTENCE).input_ids):
            continue  # written in other tokens than the tokenizer's own
        assert value == pytest.approx(infiller_of(lm).score("She ate [word] for lunch.", [word]), abs=1e-3)


@pytest.mark.parametrize(("condition", "level"), [("own", "A1"), ("C1", "C1"), ("none", None)])
def test_a_conditioned_model_is_told_what_the_task_says(condition, level):
    vocabulary = ilm_vocabulary(("ngram", "word"))
    model = gpt2(vocabulary.size)
    model.config.infilling_condition = {"cefr_level": ["A1", "C1"], "l1": ["Thai"]}
    infiller = Infiller(model, vocabulary)
    found = answers(InfillingLM(infiller, options(condition=condition)))
    # Its L1, French, is not known to the model.
    context = infiller.context("She ate [word] for lunch.", decoding=Decoding(level=level))
    assert found.log_probability == pytest.approx(infiller.score(context, ["pasta"]), abs=1e-4)
    word, value = found.candidates[0]
    assert value == pytest.approx(infiller.score(context, [word]), abs=1e-4)


def test_an_infilling_model_is_asked_by_words_where_it_has_them():
    for types, expected in ((("word", "ngram"), "word"), (("document", "sentence"), "sentence")):
        assert types[ilm_model(types).mask_type] == expected


def test_the_last_answer_of_t5_may_end_with_the_text():
    """T5's training masks end the text, so </s> follows the last answer; FLAN-T5 knows no sentinels any more."""
    tokenizer = t5_tokenizer()
    tokens = tokenizer.convert_tokens_to_ids(["<extra_id_0>", "▁rice", "</s>"])
    lm = t5_model(chain(t5(len(tokenizer)), tokens))
    written = [0, tokens[0], tokens[1], tokenizer.get_vocab()["<extra_id_1>"]]
    (expected,) = t5_direct(lm, "She ate<extra_id_0> for lunch.", [written], scored_from=2)
    source = tokenizer("She ate<extra_id_0> for lunch.", return_tensors="pt").input_ids
    (by_sentinel, by_end) = (
        lm.model(input_ids=source, decoder_input_ids=torch.tensor([written[:3]])).logits[0, -1, [written[3], 1]]
    ).tolist()
    assert by_end > by_sentinel + 1
    assert answers(lm).candidates[0] == ("rice", pytest.approx(expected, abs=1e-4))


@pytest.mark.parametrize("kind", ["mt5", "flan-t5"])
def test_relatives_of_t5_answer_as_it_does(kind):
    rows = len(t5_tokenizer())
    sizes = {"d_model": 32, "d_kv": 16, "d_ff": 32, "num_layers": 1, "num_heads": 2, "initializer_factor": 3.0}
    ids = {"vocab_size": rows, "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 1}
    config, model = {
        "mt5": (MT5Config, MT5ForConditionalGeneration),
        "flan-t5": (T5Config, T5ForConditionalGeneration),
    }[kind]
    gated = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False} if kind == "flan-t5" else {}
    torch.manual_seed(0)
    lm = t5_model(model(config(**sizes, **ids, **gated)))
    written = lm.subwords.tokenizer.convert_tokens_to_ids(["<pad>", "<extra_id_0>", "▁pasta", "<extra_id_1>"])
    (expected,) = t5_direct(lm, "She ate<extra_id_0> for lunch.", [written], scored_from=2)
    found = answers(lm)
    assert found.log_probability == pytest.approx(expected, abs=1e-3)
    assert len(found.candidates) >= 10


# Masked architectures -------------------------------------------------------------------------------------------------

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
ARCHITECTURES = {
    "modernbert": {**SMALL, "pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3},
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 32},
    "albert": {**SMALL, "embedding_size": 16},
    "deberta-v2": {**SMALL, "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False},
    "electra": {**SMALL, "embedding_size": 16},
    "convbert": {**SMALL, "embedding_size": 32},  # what it computes depends on padding
}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_masked_architectures_answer_what_a_plain_pass_says_whatever_else_is_asked(architecture):
    tokenizer = bert_tokenizer()
    config = AutoConfig.for_model(architecture, vocab_size=len(tokenizer), **ARCHITECTURES[architecture])
    if hasattr(config, "initializer_range"):
        config.initializer_range = 0.3
    torch.manual_seed(0)
    lm = masked(AutoModelForMaskedLM.from_config(config), tokenizer)
    ids = tokenizer("She ate [MASK] for lunch.", return_tensors="pt").input_ids
    log_p = lm.model(input_ids=ids).logits[0, 3].log_softmax(-1).tolist()
    found, longer = answers(lm, item(), item("She likes soup, and it left for lunch and pasta.", "soup"))
    assert found.log_probability == pytest.approx(log_p[tokenizer.get_vocab()["pasta"]], abs=1e-4)
    assert longer.log_probability == pytest.approx(
        answers(lm, item("She likes soup, and it left for lunch and pasta.", "soup"))[0].log_probability, abs=1e-5
    )


def test_masked_models_answer_words_of_many_subtokens():
    """However many short beginnings are likelier."""
    word = "pasta" + 9 * "s"
    found = answers(masked(max_answer_tokens=20), item(f"She ate {word}.", word))[0]
    assert found.subtokens == 10
    assert len(found.candidates) >= 10


# All kinds ------------------------------------------------------------------------------------------------------------


@every_kind
def test_answers_do_not_depend_on_what_else_is_asked(kind):
    lm = KINDS[kind]()
    items = [
        item(),
        item("She likes soup, and it left.", "soup"),
        item("And she ate pasta for lunch and rice.", "rice"),
    ]
    together = answers(lm, *items)
    for asked, found in zip(items, together, strict=True):
        alone = answers(lm, asked)[0]
        assert [word for word, _ in found.candidates] == [word for word, _ in alone.candidates]
        assert found.log_probability == pytest.approx(alone.log_probability, abs=1e-4)


@every_kind
def test_a_batch_asked_again_gives_the_same_bits(kind):
    lm = KINDS[kind]()
    items = [item(), item("She likes soup, and it left.", "soup")]
    assert lm.predict(items) == lm.predict(items)


@every_kind
def test_lists_are_full_of_different_words_of_letters_best_first(kind):
    asked = ((SENTENCE, "pasta"), ("Pasta and rice.", "rice"), ('She likes "soup", it left.', "soup"))
    for found in answers(KINDS[kind](), *(item(text, word) for text, word in asked)):
        words = [word for word, _ in found.candidates]
        assert all(word.isalpha() for word in words)
        assert len(set(words)) == len(words)
        assert len({word.casefold() for word in words}) == 10
        values = [value for _, value in found.candidates]
        assert values == sorted(values, reverse=True)
        assert all(value < 0 for value in values)


def test_words_that_differ_by_case_take_one_place_of_the_list():
    ids = byte_level_tokenizer().get_vocab()
    tokenizer = byte_level_tokenizer()
    tokenizer.add_tokens(["ĠPasta", "ĠRice"])
    ids = tokenizer.get_vocab()
    names = ["Ġpasta", "ĠPasta", "Ġrice", "ĠRice", "Ġsoup"]
    model = always(roberta(len(ids)), {ids[name]: 9.0 - number for number, name in enumerate(names)})
    found = answers(masked(model, tokenizer))
    words = [word for word, _ in found.candidates]
    assert words[:5] == ["pasta", "Pasta", "rice", "Rice", "soup"]
    assert len({word.casefold() for word in words}) == 10


@every_kind
def test_answers_to_random_positions_may_hold_marks(kind):
    def words(positions: str) -> list[str]:
        predictor = KINDS[kind](positions=positions, candidates=60, max_answer_tokens=1)
        return [word for word, _ in answers(predictor).candidates]

    assert not all(word.isalpha() for word in words(RANDOM))
    assert all(word.isalpha() for word in words(EDITS))


@every_kind
def test_control_tokens_in_a_text_are_text(kind):
    text = "She ate pasta and [MASK] <mask> <extra_id_0> _ <|endofinfill|>."
    found = answers(KINDS[kind](), item(text))[0]
    assert found.failure is None
    assert found.candidates


@every_kind
def test_texts_that_are_too_long_are_told(kind):
    lm = KINDS[kind]()
    long, short = item("She ate pasta " + "for lunch " * 60), item()
    found = answers(lm, long, short)
    if kind == "t5":
        assert found[0].failure is None, "its positions are relative"
    else:
        assert (found[0].candidates, found[0].failure, found[0].unscored) == ((), TOO_LONG, TOO_LONG)
        assert found[0].log_probability is None
    assert found[1].log_probability == pytest.approx(answers(lm, short)[0].log_probability, abs=1e-4)


def test_the_longest_text_that_fits_is_answered():
    """64 positions, of which RoBERTa's embeddings have two more than it can use."""
    tokenizer = byte_level_tokenizer()
    for words, failure in ((60, None), (61, TOO_LONG)):
        text = "pasta" + " and" * words
        lm = masked(roberta(len(tokenizer)), tokenizer)
        assert len(lm.subwords.encode(item(text)).ids) == words + 2, "`pasta` without its space is two tokens"
        assert answers(lm, item(text))[0].failure == failure


def test_words_with_more_subtokens_than_masks_allowed():
    tokenizer = byte_level_tokenizer()
    asked = item("She ate leftover pasta.", "leftover")
    found = answers(masked(roberta(len(tokenizer)), tokenizer, max_answer_tokens=2), asked)[0]
    assert (found.failure, found.candidates) == (WORD_TOO_LONG, ())
    assert found.log_probability is not None, "its score needs no answer"


def test_words_that_the_tokenizer_does_not_know():
    found = answers(masked(), item("She ate Brot.", "Brot"))[0]
    assert (found.log_probability, found.unscored, found.failure) == (None, UNKNOWN, None)
    assert found.candidates


def test_words_that_share_a_token_with_their_neighbours():
    tokenizer = t5_tokenizer()
    backend = tokenizer.backend_tokenizer
    tokenizer.add_tokens(["lunch."])  # matched before anything else
    assert "lunch." in backend.encode("for lunch.").tokens
    pieces = Subwords(tokenizer, len(tokenizer))
    assert pieces.encode(item(SENTENCE, "lunch")) == SHARES_A_TOKEN


def test_no_answer_is_told_and_so_are_the_blanks_after_it():
    lm = t5_model()
    # Nothing may be written.
    lm.subwords.with_space[:] = lm.subwords.without_space[:] = False
    (blanks,) = lm.predict([item(SENTENCE, "pasta", "lunch")])
    assert [blank.failure for blank in blanks] == [NO_ANSWER, EARLIER]
    assert all(blank.log_probability is not None for blank in blanks)


def test_damaged_weights_are_told():
    lm = masked()
    with torch.no_grad():
        lm.model.get_output_embeddings().bias[7] = math.nan
    with pytest.raises(UserError, match="computes NaN"):
        lm.predict([item()])
