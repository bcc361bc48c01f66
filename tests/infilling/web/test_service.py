"""What the page's server answers, over HTTP: every answer is right, and one's own."""

import math
import re
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from ilm.errors import UserError
from ilm.infilling.infiller import Infiller
from ilm.infilling.mixture import Specialists
from ilm.infilling.model_cache import ModelCache
from ilm.infilling.web.queue import Job
from ilm.infilling.web.schema import InfillRequest, LevelsRequest
from ilm.infilling.web.service import WebService
from ilm.models.loading import save_model
from ilm.runs.trained_model import model_in
from tests.conftest import REPOSITORY
from tests.infilling.small_models import random_model, vocabulary
from tests.infilling.web.serving import (
    DEFAULTS,
    JSON,
    ROWS,
    ServedModel,
    ask,
    post,
    running,
    send,
    served,
    service_with,
    slow,
)


def test_the_page_shows_no_mixture():
    with pytest.raises(UserError, match="the page does not support the mixture"):
        WebService([Specialists((), 1.0)], ModelCache(Infiller.of, 1), DEFAULTS)


def filling(model: str) -> InfillRequest:
    return InfillRequest(**DEFAULTS.model_dump(), model=model, text="I _.")


def test_models_are_listed_with_their_blanks_and_loaded_when_asked(infillers):
    service = service_with([served("a1", "A1", infillers["a1"]), served("b2", "B2", infillers["b2"])])
    with running(service) as server:
        before = ask(server, "GET", "/models")[2]
        assert post(server, "/infill", model="b2", text="I _ pasta.")[0] == 200
        after = ask(server, "GET", "/models")[2]
    blanks = ["sentence", "ngram", "word"]
    assert before["models"] == [
        {"name": "a1", "level": "A1", "blanks": blanks, "condition": {}, "loaded": False},
        {"name": "b2", "level": "B2", "blanks": blanks, "condition": {}, "loaded": False},
    ]
    assert [model["loaded"] for model in after["models"]] == [False, True]
    assert before["settings"]["candidates"] == 2
    assert before["settings"]["max_answer_tokens"] == 6


def test_candidates_are_those_of_the_infiller_with_their_tokens(server, infillers):
    text = "I [word] pasta and {leftover lunch} here."
    status, found = post(server, "/infill", model="random", text=text, candidates=4, seed=5, top_p=None)
    direct = infillers["random"](
        "I [word] pasta and [ngram] here.", DEFAULTS.replace(candidates=4, seed=5, top_p=None)
    )[0]
    assert status == 200
    assert found["text"] == "I [word] pasta and [ngram] here."
    assert found["answers"] == [None, "leftover lunch"]
    expected = sorted(direct, key=lambda infilling: -infilling.log_probability)
    assert [candidate["text"] for candidate in found["candidates"]] == [infilling.text for infilling in expected]
    for candidate, infilling in zip(found["candidates"], expected, strict=True):
        assert candidate["log_probability"] == pytest.approx(infilling.log_probability)
        assert candidate["complete"] == infilling.complete
        assert candidate["left_out"] == [0, 0]
        for answer, whole in zip(candidate["answers"], infilling.answers, strict=True):
            assert answer["text"] == whole
            assert candidate["text"][answer["start"] :][: answer["length"]] == whole
            assert "".join(token for token, _ in answer["tokens"]) == whole
            assert answer["tokens"][-1][0] == ""
            assert math.fsum(value for _, value in answer["tokens"]) == pytest.approx(answer["log_probability"])
        values = [answer["log_probability"] for answer in candidate["answers"]]
        assert math.fsum(values) == pytest.approx(candidate["log_probability"])


def test_limits_search_and_long_texts_reach_the_infiller(server):
    status, found = post(
        server, "/infill", model="random", text="I [ngram:2 tokens] a [word:pa...].", method="beam", candidates=3
    )
    assert status == 200
    for candidate in found["candidates"]:
        assert len(candidate["answers"][0]["tokens"]) == 3
        assert candidate["answers"][1]["text"].startswith("pa")
    values = [candidate["log_probability"] for candidate in found["candidates"]]
    assert values == sorted(values, reverse=True)
    status, found = post(server, "/infill", model="a1", text="many words " * 100 + "I _", cut=True)
    assert status == 200
    assert found["candidates"][0]["left_out"][0] > 500


def test_twenty_requests_at_once_get_their_own_answers(server, infillers):
    def request(number: int):
        model = ("random", "a1", "b2")[number % 3]
        text = f"I like {'very ' * (number % 4)}[word] number {number}."
        return model, text, post(server, "/infill", model=model, text=text, seed=number)

    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(request, range(20)))
    for number, (model, text, (status, answer)) in enumerate(found):
        direct = infillers[model](text, DEFAULTS.replace(seed=number))[0]
        assert status == 200
        assert {candidate["text"] for candidate in answer["candidates"]} == {infilling.text for infilling in direct}


def test_the_level_whose_model_finds_the_answers_likelier_has_the_larger_share(server, infillers):
    status, found = post(server, "/levels", models=["a1", "b2", "random"], text="I {eat} pasta and {eat}.")
    scores = {
        name: infiller.score("I [word] pasta and [word].", ["eat", "eat"]) for name, infiller in infillers.items()
    }
    assert status == 200
    assert {row["model"]: row["log_probability"] for row in found["models"]} == pytest.approx(scores)
    shares = {row["level"]: row["share"] for row in found["levels"]}
    assert list(shares) == ["A1", "B2"], "in the order of the models"
    odds = math.exp(scores["a1"] - scores["b2"])
    assert shares == pytest.approx({"A1": odds / (1 + odds), "B2": 1 / (1 + odds)})
    assert max(shares, key=shares.get) == {"a1": "A1", "b2": "B2"}[max(("a1", "b2"), key=scores.get)]
    judged = found["models"][0]
    assert (judged["text"], judged["blanked"]) == ("I eat pasta and eat.", "I [word] pasta and [word].")
    assert [judged["text"][a["start"] :][: a["length"]] for a in judged["answers"]] == ["eat", "eat"]
    candidate = post(server, "/levels", models=["a1", "b2"], text="I [word] pasta and [word].", answers=["eat", "eat"])
    assert candidate[1]["levels"] == [{"level": level, "share": pytest.approx(shares[level])} for level in shares]


def test_the_requests_of_the_docs_are_taken(server):
    page = (REPOSITORY / "docs" / "web.md").read_text(encoding="utf-8")
    requests = re.findall(r"7860(/\w+) \\\n\s+-d '(.*)'", page)
    assert {path for path, _ in requests} == {"/infill", "/levels"}
    for path, body in requests:
        named = body.replace("sample_A1_ilm", "a1").replace("sample_B2_ilm", "b2")
        assert ask(server, "POST", path, named.encode(), JSON)[0] == 200


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/infill", {"model": "a1", "text": "No blank."}, "has no blank"),
        ("/infill", {"model": "a1", "text": "many words " * 200 + "_"}, "tokens"),
        ("/infill", {"model": "nope", "text": "_"}, "No model 'nope'"),
        ("/infill", {"model": "../../etc/passwd", "text": "_"}, "No model"),
        ("/infill", {"text": "_"}, "model is missing"),
        ("/infill", {"model": "a1", "text": ["x"], "seeds": 1}, "text=[x]: expected text; unknown key seeds"),
        ("/infill", {"model": "a1", "text": "_", "schema": 1, "self": 1}, "unknown key schema"),
        ("/infill", {"model": "a1", "text": "_", "candidates": 1000}, "candidates=1000: expected at most 20"),
        ("/infill", {"model": "a1", "text": "_", "candidates": True}, "candidates=true: expected a number"),
        ("/infill", {"model": "a1", "text": "_", "candidates": "3"}, "candidates=3: expected a whole number"),
        ("/infill", {"model": "a1", "text": 3}, "text=3: expected text"),
        ("/infill", {"model": "a1", "text": "_", "candidates": 0}, "candidates=0: expected at least 1"),
        ("/infill", {"model": "a1", "text": "_", "temperature": 1e308 * 10}, "not JSON"),
        (
            "/infill",
            {"model": "a1", "text": "_", "beams": 1, "candidates": 2},
            "expected candidates=2 or more",
        ),
        ("/infill", {"model": "a1", "text": "_", "seed": None}, "seed=null: expected a whole number"),
        ("/infill", {"model": "a1", "text": "_", "method": "best"}, "expected one of sample, greedy, beam"),
        ("/infill", {"model": "a1", "text": "_", "request": "x" * 65}, "request=x"),
        ("/infill", {"model": "a1", "text": "{document: all} _"}, ""),
        ("/levels", {"models": [], "text": "{a}"}, "models=[]: expected one or more"),
        ("/levels", {"models": [[]], "text": "{a}"}, "models[0]=[]: expected text"),
        ("/levels", {"models": ["a1"], "text": "_", "answers": [{}]}, "answers[0]={}: expected text"),
        ("/levels", {"models": ["nope"], "text": "{a}"}, "No model 'nope'"),
    ],
)
def test_faults_are_told(server, path, body, message):
    status, answer = post(server, path, **body)
    if message:
        assert status == 400
        assert message in answer["error"]
        assert "Traceback" not in answer["error"]
    else:  # "document" is no type that any of these models has: it is part of the answer
        assert answer["answers"] == ["document: all", None]


@pytest.mark.parametrize(
    ("text", "answers", "message"),
    [
        ("I eat.", None, "Put braces around"),
        ("I {eat} _", None, "2 blank(s), but 1 answer"),
        ("I [word].", ["eat", "play"], "1 blank(s), but 2 answer"),
        ("I [word].", [""], "one per blank and none empty"),
    ],
)
def test_what_cannot_be_judged_is_told_by_model(server, text, answers, message):
    status, found = post(server, "/levels", models=["a1", "b2"], text=text, answers=answers)
    assert status == 200
    assert found["levels"] == []
    assert all(message in row["error"] for row in found["models"])


def test_defaults_beyond_what_a_request_may_ask_for_are_told_at_the_start():
    with pytest.raises(UserError, match=r"Beyond the bounds of the page: decoding\.candidates=50: expected at most 20"):
        WebService([], ModelCache(Infiller.of, max_loaded=1), DEFAULTS.replace(candidates=50))


def test_models_are_read_from_folders_when_first_asked(tmp_path, infillers):
    random = infillers["random"]
    save_model(random.model, random.vocabulary, tmp_path / "m")
    model = model_in(tmp_path / "m")
    assert Infiller.of(model, "cpu", "bfloat16").model.dtype == torch.bfloat16
    assert (model.level, model.mask_types) == ("m", ("sentence", "ngram", "word"))
    service = WebService([model], ModelCache(Infiller.of, max_loaded=1), DEFAULTS)
    found = service.infill(filling("m"), Job())
    direct = random("I _.", DEFAULTS)[0]
    assert {candidate["text"] for candidate in found["candidates"]} == {infilling.text for infilling in direct}


def test_no_more_models_are_in_memory_than_may(infillers):
    loads, alive = [], weakref.WeakSet()

    def model(name: str) -> ServedModel:
        def load() -> Infiller:
            loads.append(name)
            assert len(alive) < 2  # the one that makes room is gone before the other is read
            alive.add(infiller := Infiller(infillers["a1"].model, infillers["a1"].vocabulary))
            return infiller

        return ServedModel(name, name, load)

    service = service_with([model(name) for name in "abc"], max_loaded=2)
    for name in "abacab":
        assert service.infill(filling(name), Job())["fingerprint"] == f"of {name}"
    # a and b are read; then a is asked again, so that c takes the place of b, and at the end b that of c.
    assert loads == ["a", "b", "c", "b"]
    assert [found["loaded"] for found in service.models()["models"]] == [True, True, False]
    found = service.levels(LevelsRequest(models=["a", "b", "c"], text="I {eat}.", cut=True), Job())
    assert len({row["log_probability"] for row in found["models"]}) == 1


@pytest.mark.parametrize(
    "text", ["I {eat}.", "many words " * 60 + "I {eat}.", "I {eat} " + "many words " * 60 + "{it}."]
)
def test_judging_holds_no_model_that_makes_room(infillers, text):
    """Neither one that has judged, in whole or in part, nor one that could not."""
    alive = weakref.WeakSet()

    def load() -> Infiller:
        assert not alive
        alive.add(infiller := Infiller(infillers["a1"].model, infillers["a1"].vocabulary))
        return infiller

    models = [ServedModel(name, name, load) for name in "abc"]
    service = service_with(models, max_loaded=1)
    found = service.levels(LevelsRequest(models=["a", "b", "c"], text=text, cut=True), Job())
    assert len({row.get("log_probability", row.get("error")) for row in found["models"]}) == 1


def test_the_original_answers_stand_beside_the_candidates(server, infillers):
    found = post(server, "/infill", model="random", text="I {eat} pasta for {the lunch}.", seed=3)[1]
    original = found["original"]
    assert original["text"] == "I eat pasta for the lunch."
    assert [original["text"][a["start"] :][: a["length"]] for a in original["answers"]] == ["eat", "the lunch"]
    expected = infillers["random"].score("I [word] pasta for [ngram].", ["eat", "the lunch"])
    assert original["log_probability"] == pytest.approx(expected)
    assert sum(answer["log_probability"] for answer in original["answers"]) == pytest.approx(expected)
    assert (found["level"], found["settings"]["seed"], found["fingerprint"]) == ("all", 3, "of random")
    assert post(server, "/infill", model="random", text="I [word] pasta.")[1]["original"] is None


def test_originals_are_judged_beside_blanks_that_have_none(server, infillers):
    found = post(server, "/infill", model="random", text="I [word] pasta {with} the _.", seed=3)[1]
    assert found["answers"] == [None, "with", None]
    original, first = found["original"], found["candidates"][0]
    whole = [first["answers"][0]["text"], "with", first["answers"][2]["text"]]
    expected = infillers["random"].answer_scores("I [word] pasta [word] the _.", whole)[1]
    assert original["assumed"] == [0, 2]
    assert original["log_probability"] == pytest.approx(expected)
    (answer,) = original["answers"]
    assert original["text"][answer["start"] :][: answer["length"]] == "with"


def test_of_a_long_text_the_original_is_judged_on_what_the_candidates_were_given(server, infillers):
    text = "many words " * 60 + "I {eat} pasta." + " and so on" * 60
    found = post(server, "/infill", model="random", text=text, cut=True)[1]
    before, after = found["original"]["left_out"]
    assert [before, after] == found["candidates"][0]["left_out"]
    assert min(before, after) > 100
    part = text.replace("{eat}", "[word]")[before : len(text) + 1 - after]
    assert found["original"]["log_probability"] == pytest.approx(infillers["random"].score(part, ["eat"]))


def test_all_models_judge_the_same_part_of_a_long_text(infillers):
    longer = Infiller(random_model("gpt2", ROWS, positions=192), vocabulary())
    own = infillers["random"]
    service = service_with([served("long", "A1", longer), served("short", "B1", own)])
    text = "many words " * 20 + "I {eat} pasta." + " and so on" * 20
    blanked = text.replace("{eat}", "[word]")
    request = LevelsRequest(models=["long", "short"], text=text, cut=True)
    found = service.levels(request, Job())
    before, after = found["left_out"]
    assert min(before, after) > 50
    part = blanked[before : len(blanked) - after]
    scores = [infiller.score(part, ["eat"]) for infiller in (longer, own)]
    assert [row["log_probability"] for row in found["models"]] == pytest.approx(scores)
    assert len(found["levels"]) == 2
    # Alone the longer one reads more.
    assert service.levels(request.model_copy(update={"models": ["long"]}), Job())["left_out"] != (before, after)
    refused = service.levels(request.model_copy(update={"cut": False}), Job())
    assert all("the model is limited to" in row["error"] for row in refused["models"])
    assert refused["levels"] == []


def test_how_far_a_request_is_can_be_asked(infillers):
    infiller = slow(infillers)
    service = service_with([served("slow", "A1", infiller)])
    with running(service) as server:
        connections = [send(server, "slow", request=name) for name in ("first", "second")]
        assert infiller.begun.wait(10)
        deadline = time.monotonic() + 10
        while len(jobs := ask(server, "GET", "/progress")[2]["jobs"]) < 2 or jobs[0]["steps"] < 3:
            assert time.monotonic() < deadline
        assert sorted(job["request"] for job in jobs) == ["first", "second"]
        assert [(job["doing"], job["model"]) for job in jobs] == [("filling", "slow"), ("waiting", "")]
        for connection in connections:
            connection.close()
        while ask(server, "GET", "/progress")[2]["jobs"]:
            assert time.monotonic() < deadline


@pytest.mark.parametrize("files", [[], ["config.json"]])
def test_a_folder_without_a_model_is_told_at_the_start(tmp_path, files):
    for name in files:
        (tmp_path / name).write_text("{}")
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(UserError):
            WebService([model_in(path)], ModelCache(Infiller.of, max_loaded=1), DEFAULTS)
