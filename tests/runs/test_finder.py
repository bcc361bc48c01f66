"""One rule for what a name means, wherever models are named."""

import logging
import shutil
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from evaluate import evaluate
from ilm.config.check import check
from ilm.config.train import Train
from ilm.corpus.store import PreparedCorpus
from ilm.errors import UserError
from ilm.files import write_json
from ilm.infilling.mixture import find_models
from ilm.models.loading import save_model
from ilm.runs.finder import Finder
from ilm.runs.trained_model import INFILLING, TrainedModel, model_in
from infill import infill
from tests.conftest import compose
from tests.infilling.small_models import ENTRIES, random_model, vocabulary
from train import train

MODEL = ("model=tiny", "model.architecture.n_layer=1", "trainer=cpu", "logger=none")
MAKE_RUN = Callable[..., Path]


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "exported"
    save_model(random_model("gpt2", ENTRIES + 5), vocabulary(), path)
    return path


@pytest.fixture
def make_run(prepared, small, tmp_path, exported) -> MAKE_RUN:
    """Writes the folder of a run as training leaves it."""
    corpus = PreparedCorpus.open(prepared / "small")
    (masks,) = (corpus.folder / "masks").glob("hierarchical-*")

    def make(name: str, *overrides: str, state: str = "finished", documents: str = "", experiment=None, **identity):
        cfg, choices = compose("train", *small, *MODEL, *overrides)
        config = check(cfg, Train, choices).model_dump()
        folder = tmp_path / "experiments" / name
        shutil.copytree(exported, folder / "model")
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        drawn = masks.name if config["masking"]["name"] == "hierarchical" else "other-0"
        data = {"data.documents": documents or corpus.documents_hash, "data.masks": drawn}
        identity = {"corpus.name": "small", **data, "seed": config["seed"], "experiment_name": experiment} | identity
        identity["token_store"] = "gpt2"
        write_json(folder / "run.json", {"identity": identity, "commands": []})
        write_json(folder / "status.json", {"state": state, "targets_seen": {"infill": {"A1": 1}}})
        return folder

    return make


@pytest.fixture
def finder(prepared, tmp_path) -> Finder:
    return Finder(tmp_path / "experiments", prepared / "small")


def names(finder: Finder, *wanted: str, level: str | None = None) -> list[str]:
    """As a new command finds them: a finder reads the runs once."""
    return [model.name for model in replace(finder).find(list(wanted) or None, level)]


@pytest.mark.parametrize(
    ("overrides", "options"),
    [
        ((), {"experiment": "full_epoch"}),
        (("masking=words",), {}),
        (("adapter=lora",), {"experiment": "lora"}),
    ],
)
def test_a_level_means_the_plain_run(make_run, finder, overrides, options):
    make_run("variant", "cefr=A1", *overrides, **options)
    assert names(finder, "A1") == ["variant"]  # the only one there is
    make_run("plain", "cefr=A1")
    make_run("other_level", "cefr=B1")
    assert names(finder, "A1") == names(finder, level="A1") == ["plain"]
    assert names(finder) == ["other_level", "plain", "variant"]


def test_seeds_of_one_model_are_all_meant_or_the_lowest(make_run, finder):
    make_run("second", "cefr=A1", "seed=2")
    make_run("tenth", "cefr=A1", "seed=10")
    make_run("first", "cefr=A1", "seed=1")
    assert names(finder, "A1") == ["first", "second", "tenth"]
    assert finder.find_one("A1", "match").name == "first"
    assert [model.name for model in finder.find(["A1"], all_seeds=False)] == ["first"]


def test_of_several_seeds_that_of_the_run_that_asks(make_run, finder):
    for seed in (1, 2):
        make_run(f"from_generalist_{seed}", "cefr=A1", f"seed={seed}", **{"data.init_from": f"weights of seed {seed}"})
    assert [finder.find_one("A1", "init_from", seed=seed).seed for seed in (0, 1, 2)] == [1, 1, 2]


def test_draws_of_one_model_are_all_meant_or_the_lowest(make_run, finder):
    for draw in (1, 0):
        make_run(f"draw_{draw}", "data.like=C1", f"data.draw={draw}", experiment="like-C1", **{"data.draw": draw})
    assert names(finder, "all") == ["draw_0", "draw_1"]
    assert finder.find_one("all", "init_from").name == "draw_0"


@pytest.mark.parametrize("second", [{"data.max_length": 64}, {}], ids=["another recipe", "the same run twice"])
def test_several_that_could_be_meant_are_refused_with_their_list(make_run, finder, second):
    make_run("a", "cefr=A1")
    make_run("b", "cefr=A1", **second)
    for find in (lambda: finder.find(["A1"]), lambda: finder.find(None, "A1"), lambda: finder.find_one("A1", "models")):
        with pytest.raises(UserError, match="models=A1 could be a, b: give the name of one of them, models=a"):
            find()
    assert names(finder, "a") == ["a"]


def test_a_name_or_folder_means_itself_whatever_the_corpus(make_run, finder, exported, tmp_path, monkeypatch):
    folder = make_run("elsewhere", "cefr=A1", documents="abc", **{"corpus.name": "another"})
    without_corpus = Finder(finder.experiments, tmp_path / "nothing" / "here")
    for name in ("elsewhere", str(folder), f"{folder}/model"):
        (model,) = without_corpus.find([name])
        assert (model.name, model.level, model.path, model.corpus_name) == (
            "elsewhere",
            "A1",
            folder / "model",
            "another",
        )
    (model,) = without_corpus.find([str(exported)])
    assert (model.name, model.run, model.seed, model.level) == ("exported", None, None, "exported")
    monkeypatch.chdir(tmp_path)
    assert names(without_corpus, "experiments/elsewhere") == ["elsewhere"]
    with pytest.raises(UserError, match="holds no prepared corpus"):
        without_corpus.find(["A1"])


def test_a_pattern_means_all_it_matches(make_run, finder, caplog):
    for level in ("A1", "B1"):
        make_run(f"run_{level}", f"cefr={level}")
    make_run("run_C1", "cefr=C1", state="interrupted")
    make_run("run_of_another", "cefr=A1", documents="abc", **{"corpus.name": "another"})
    assert names(finder, "run_*") == ["run_A1", "run_B1", "run_of_another"]
    assert "run_C1 is interrupted, not finished" in caplog.text
    assert names(finder, "run_[AB]1", "run_A1", "B1") == ["run_A1", "run_B1"]
    assert names(finder, "run_*", level="B1") == ["run_B1"]
    with pytest.raises(UserError, match=r"init_from=run_\* could be run_A1, run_B1"):
        finder.find_one("run_*", "init_from")


def test_without_names_every_finished_run_on_the_corpus(make_run, finder, caplog):
    with pytest.raises(UserError, match="No finished model trained on small"):
        finder.find(None)
    make_run("done", "cefr=A1")
    make_run("begun", "cefr=A1", state="running")
    make_run("older", "cefr=A1", documents="abc")
    make_run("elsewhere", "cefr=A1", documents="abc", **{"corpus.name": "another"})
    assert names(finder) == ["done"]
    assert "begun is running, not finished" in caplog.text
    assert "older was trained on other documents" in caplog.text
    assert "elsewhere" not in caplog.text


def test_models_of_another_objective(make_run, finder, caplog):
    make_run("copying", "cefr=A1", "objective=lm")
    infilling = Finder(finder.experiments, finder.corpus, INFILLING)
    with pytest.raises(UserError, match=r"has objective=ilm: copying \(lm\)"):
        infilling.find(["A1"])
    make_run("filling", "cefr=A1", objective="ilm")
    assert names(infilling, "A1") == ["filling"]
    assert names(infilling) == ["filling"]
    assert "skipped copying: its objective is lm, not ilm" in caplog.text
    with pytest.raises(UserError, match="could be copying, filling"):
        finder.find(["A1"])
    with pytest.raises(UserError, match="filling blanks needs a model with objective=ilm"):
        infilling.find(["copying"])[0].require_infilling()


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ([], r"models=\[\] names no model"),
        (["nope"], "models=nope: 'nope' is not a level, run, folder or pattern of runs. Runs in .*: begun"),
        (["nope_*"], "is not a level, run, folder or pattern of runs"),
        (["./nope"], "The model folder nope does not exist"),
        (["begun"], "begun is running, not finished"),
        (["B2"], "models=B2: No finished model of level B2"),
    ],
)
def test_names_that_mean_nothing(make_run, finder, wanted, message):
    make_run("begun", "cefr=A1", state="running")
    with pytest.raises(UserError, match=message):
        finder.find(wanted)


def test_models_of_one_name_are_called_by_their_folders(exported, tmp_path):
    others = [shutil.copytree(exported, tmp_path / part / "exported") for part in "ab"]
    nested = shutil.copytree(exported, tmp_path / "a" / "model")
    found = Finder(tmp_path, tmp_path).find([*map(str, others), str(nested), f"{others[0]}/"])
    assert [model.name for model in found] == [*map(str, others), "a/model"]
    assert model_in(others[0]).name == "exported"


def test_a_mixture_is_of_the_specialists_of_all_levels_there_are(make_run, finder):
    def found(*wanted: str, members: list[str] | None = None, level: str | None = None) -> list:
        return find_models(replace(finder), members, 2.5, list(wanted), level)

    make_run("of_all", "cefr=all")
    with pytest.raises(UserError, match=r"needs at least two members, found none.*mixture_of="):
        found("mixture")
    make_run("low", "cefr=A1")
    make_run("again", "cefr=A1", "seed=2")
    with pytest.raises(UserError, match="needs at least two members, found low"):
        found("mixture")
    make_run("high", "cefr=B1")
    make_run("words", "cefr=B1", "masking=words")
    (mixture,) = found("mixture")
    assert ([model.name for model in mixture.members], mixture.temperature) == (["low", "high"], 2.5)
    assert [model.name for model in found("mixture", "all")] == ["mixture", "of_all"]
    assert [model.name for model in found("B1", "mixture")] == ["high", "mixture"]
    (mixture,) = found("mixture", members=["words", "A1"])
    assert [model.name for model in mixture.members] == ["words", "low"]
    with pytest.raises(UserError, match="mixture_of=nope: 'nope' is not a level"):
        found("mixture", members=["nope", "A1"])
    with pytest.raises(UserError, match=r"cefr=A1: .* Drop cefr"):
        found("mixture", level="A1")


FEW_TEXTS = ("limit=1", "task.max_length=64")
FEW_ITEMS = ("task=cloze", "limit=1", "task.levels=[A1]", "task.samples_per_text=1", "task.max_answer_tokens=1")
COMMANDS: dict[str, Callable[[list[str], str], object]] = {
    "perplexity": lambda small, name: evaluate(*compose("evaluate", *small, f"models=[{name}]", *FEW_TEXTS)),
    "cloze": lambda small, name: evaluate(*compose("evaluate", *small, f"models=[{name}]", *FEW_ITEMS)),
    "infill": lambda small, name: infill(*compose("infill", *small, f"models=[{name}]", "input=/no/such/file")),
    "match": lambda small, name: train(
        *compose("train", *small, *MODEL, "experiment=token_matched", f"match={name}", "data.num_workers=0")
    ),
    "init_from": lambda small, name: train(*compose("train", *small, *MODEL, "cefr=B1", f"init_from={name}")),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_keeps_the_rule(make_run, small, command, caplog, capsys):
    option = command if command in ("match", "init_from") else "models"
    make_run("other", "cefr=A1", "masking=words")
    make_run("plain", "cefr=A1")
    logging.getLogger("ilm").addHandler(caplog.handler)  # which a command takes away when it sets up its own
    with caplog.at_level(logging.INFO, logger="ilm"), suppress(UserError):
        COMMANDS[command](small, "A1")
    assert f"{option}=A1: plain\n" in caplog.text + capsys.readouterr().err
    make_run("twin", "cefr=A1")
    with pytest.raises(UserError, match=f"{option}=A1 could be plain, twin: give the name of one of them"):
        COMMANDS[command](small, "A1")


@pytest.mark.parametrize("command", ["perplexity", "cloze", "infill"])
def test_a_run_means_itself_in_every_command_whatever_the_default_corpus(make_run, small, command):
    folder = make_run("plain", "cefr=A1")
    elsewhere = [option.replace("corpus.name=small", "corpus.name=nowhere") for option in small]
    # What each asks for once it has found the run.
    message = {"perplexity": "plain was trained on the mask types", "infill": "no/such/file"}.get(command)
    refused = pytest.raises(UserError, match=message) if message else nullcontext()
    for name in ("plain", str(folder)):
        with refused:
            COMMANDS[command](elsewhere, name)


def test_the_keys_of_a_run_of_another_version_are_named(make_run):
    file = make_run("old") / "config.yaml"
    settings = yaml.safe_load(file.read_text())
    del settings["data"]["levels_drawn"]
    settings["data"]["shuffle"] = True
    file.write_text(yaml.safe_dump(settings))
    message = r"another version.*: (?=.*unknown key data\.shuffle)(?=.*data\.levels_drawn is missing)"
    with pytest.raises(UserError, match=message):
        model_in(file.parent)
    for damaged in ("", "- a", "data: [", "\udcff"):
        file.write_text(damaged, errors="surrogateescape")
        with pytest.raises(UserError, match=r"config\.yaml is damaged: "):
            model_in(file.parent)


def test_seeds_of_a_matched_model_are_one_though_they_validate_at_other_steps():
    def recipe(**identity) -> str:
        model = TrainedModel("m", Path("model"))
        model.__dict__["identity"] = {"experiment_name": "matched-A2", **identity}
        return model.recipe

    def matched(seed: int, steps: int, amount: str | None) -> str:
        return recipe(**{"seed": seed, "validation.every_n_steps": steps, "data.matched": amount})

    assert matched(0, 4, "2266 infill") == matched(1, 5, "2536 infill")
    assert matched(0, 4, None) != matched(1, 5, None)
