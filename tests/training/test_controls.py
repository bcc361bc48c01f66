"""Runs that are there to be compared, trained for a few steps each: matched, balanced, from another run, with LoRA."""

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ilm.config.check import check
from ilm.config.train import Train
from ilm.corpus.store import PreparedCorpus
from ilm.corpus.verify import verify_cache
from ilm.errors import UserError
from ilm.masking.store import verify_masks
from ilm.models.loading import pretrained_model
from ilm.models.scoring import score
from ilm.runs.finder import Finder
from ilm.runs.folder import total_targets
from ilm.training.plan import RunPlan, plan_run
from ilm.training.prepared import open_prepared
from tests.conftest import compose
from train import train

# As conftest's SMALL_MODEL, without its experiment.
MODEL = (
    *("model=tiny", "trainer=cpu", "model.tokenizer_size=400", "model.architecture.n_layer=2"),
    *("model.architecture.n_embd=32", "model.architecture.n_head=2", "data.num_workers=0"),
    *("logger=none", "validation.max_examples=20", "data.batch_size=16"),
)


@pytest.fixture(scope="module")
def here(prepared, tmp_path_factory) -> list[str]:
    """Overrides for the runs of this file, which share one folder, and a corpus of which they may change the caches."""
    root = tmp_path_factory.mktemp("fair")
    shutil.copytree(prepared, root / "data")
    folders = [f"paths.{name}={root / name}" for name in ("data", "experiments", "results")]
    return ["corpus=custom", "corpus.name=small", *folders, *MODEL]


@pytest.fixture(scope="module")
def specialist(here) -> Path:
    train(*compose("train", *here, "cefr=C1", "trainer.max_steps=5"))
    return folder_of(here, "small_C1_ilm_tiny")


@pytest.fixture(scope="module")
def generalist(here) -> Path:
    train(*compose("train", *here, "trainer.max_steps=4"))
    return folder_of(here, "small_all_ilm_tiny")


def folder_of(here, name: str) -> Path:
    return experiments_of(here) / name


def experiments_of(here) -> Path:
    return next(Path(o.partition("=")[2]) for o in here if o.startswith("paths.experiments="))


def corpus_of(here) -> PreparedCorpus:
    data = next(o.partition("=")[2] for o in here if o.startswith("paths.data="))
    return PreparedCorpus.open(Path(data) / "small")


def planned(here, *overrides: str) -> RunPlan:
    cfg, choices = compose("train", *here, *overrides)
    return plan_run(open_prepared(check(cfg, Train, choices)))


def status(folder: Path) -> dict:
    return json.loads((folder / "status.json").read_text())


def change_json(path: Path, **values) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model" / "model.safetensors")


def infill_loss(run: RunPlan, model_folder: Path) -> float:
    """Of the model in a folder, on the validation examples of a run."""
    valid = run.valid
    examples = [valid[int(number)] for number in run.validation]
    return score(pretrained_model(str(model_folder)), examples, 512, torch.device("cpu")).losses()["infill"]


# Matched with a specialist --------------------------------------------------------------------------------------------


def test_a_matched_generalist_ends_at_the_first_step_with_the_specialists_targets(here, specialist):
    theirs = status(specialist)["targets_seen"]
    targets = sum(theirs["infill"].values())
    assert theirs["infill"]["C1"] == targets > 0
    run = planned(here, "experiment=token_matched", "match=C1")
    assert run.name == "small_all_ilm_tiny_matched-C1"
    seen = [run.train.counts_of(run.steps.step(step)) for step in range(run.total_steps)]
    by_step = [int(counts.infill_targets.sum()) for counts in seen]
    assert sum(by_step[:-1]) < targets <= sum(by_step)
    assert f"stops at the first step with the {targets:,} infill targets that small_C1_ilm_tiny" in run.summary()
    assert "NOTE" not in run.summary()
    train(*compose("train", *here, "experiment=token_matched", "match=C1"))
    found = status(run.path)
    assert found["matched"] == {"run": "small_C1_ilm_tiny", "on": "infill", "amount": targets, "step": run.total_steps}
    assert (found["state"], found["step"]) == ("finished", run.total_steps)
    assert sum(found["targets_seen"]["infill"].values()) == sum(by_step)


def test_matched_on_all_targets(here, specialist):
    theirs = status(specialist)["targets_seen"]
    run = planned(here, "experiment=token_matched", "match=C1", "match_on=all")
    assert run.name == "small_all_ilm_tiny_matched-all-C1"
    assert run.match.amount == sum(theirs["infill"].values()) + sum(theirs["context"].values())


def test_a_specialist_told_in_other_ways_is_the_same_match(here, specialist):
    identity = planned(here, "experiment=token_matched", "match=C1").identity
    for match in ("small_C1_ilm_tiny", str(specialist)):
        run = planned(here, "experiment=token_matched", f"match={match}")
        assert run.identity == identity
        assert run.name == "small_all_ilm_tiny_matched-C1"


def test_another_recipe_is_told(here, specialist, generalist):
    sheet = planned(here, "experiment=token_matched", "match=C1", "optimizer.lr=1e-4", "data.batch_size=8").summary()
    assert "small_C1_ilm_tiny was trained with different settings: examples_per_step, optimizer.lr" in sheet
    options = (f"init_from={generalist}", "masking.resample_each_epoch=true")
    sheet = planned(here, "experiment=token_matched", "match=C1", *options).summary()
    assert "small_C1_ilm_tiny was trained with different settings: data.init_from, masking.resample_each_epoch" in sheet


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["match=B2"], r"match=B2: No finished model of level B2"),
        (["match=nowhere"], r"match=nowhere: .*not a level, run, folder"),
        (
            ["match=C1", "objective=naive"],
            r"match=C1: no finished run matches: small_C1_ilm_tiny has objective=ilm instead of naive",
        ),
        (["match=C1", "model.architecture.n_layer=1"], r"has model\.architecture="),
        (["match=small_all_ilm_tiny"], "small_all_ilm_tiny is a generalist"),
    ],
)
def test_a_specialist_that_does_not_fit(here, specialist, generalist, overrides, message):
    with pytest.raises(UserError, match=message):
        planned(here, "experiment=token_matched", *overrides)


def test_a_specialist_that_is_not_finished_or_of_other_data(here, specialist, tmp_path):
    other = shutil.copytree(specialist, tmp_path / "small_C1_ilm_tiny")
    change_json(other / "status.json", state="interrupted")
    with pytest.raises(UserError, match="is interrupted, not finished"):
        planned(here, "experiment=token_matched", f"match={other}")
    identity = json.loads((other / "run.json").read_text())["identity"]
    change_json(other / "status.json", state="finished")
    change_json(other / "run.json", identity={**identity, "data.documents": "abc"})
    for option in ("match", "init_from"):
        level = ["experiment=token_matched"] if option == "match" else ["cefr=A1"]
        with pytest.raises(UserError, match=r"trained on other documents \(abc\).*finished run on these documents"):
            planned(here, *level, f"{option}={other}")


def test_of_several_the_one_without_an_experiment_is_meant(here, specialist):
    others = [shutil.copytree(specialist, specialist.with_name(name)) for name in ("second", "third")]
    try:
        for other in others:
            identity = json.loads((other / "run.json").read_text())["identity"]
            change_json(other / "run.json", identity={**identity, "experiment_name": "mine"})
        assert planned(here, "experiment=token_matched", "match=C1").match.run == "small_C1_ilm_tiny"
        shutil.copyfile(specialist / "run.json", others[0] / "run.json")
        with pytest.raises(UserError, match="could be second, small_C1_ilm_tiny: give the name of one"):
            planned(here, "experiment=token_matched", "match=C1")
    finally:
        for other in others:
            shutil.rmtree(other)


# A random subset ------------------------------------------------------------------------------------------------------


def test_a_placebo_has_a_levels_targets_and_steps_but_not_its_texts(here, specialist):
    run = planned(here, "experiment=random_subset", "data.like=C1")
    assert run.name == "small_all_ilm_tiny_random_subset_like-C1"
    level, everything = planned(here, "cefr=C1").train, planned(here)
    targets = int(level.counts.infill_targets.sum())
    of_texts = np.bincount(run.train.keys()[0], run.train.counts.infill_targets)
    assert 0 <= of_texts.sum() - targets < of_texts.max()
    assert run.total_steps == status(specialist)["step"]
    assert np.array_equal(run.valid.documents, everything.valid.documents)
    # Its levels have the shares that they have in the corpus, within the error of a sample.
    shares = [
        np.bincount(run.level_codes[d.documents], minlength=5) / len(d.documents) for d in (run.train, everything.train)
    ]
    error = np.sqrt(shares[1] * (1 - shares[1]) / len(run.train.documents))
    assert (np.abs(shares[0] - shares[1]) < 3 * error).all()
    assert f"stops after {run.total_steps} steps, as small_C1_ilm_tiny did" in run.summary()


def test_draws_differ_and_are_runs_of_one_model(here, specialist):
    placebo = ("experiment=random_subset", "data.like=C1")
    first, again, second = (planned(here, *placebo, f"data.draw={draw}") for draw in (0, 0, 1))
    assert np.array_equal(first.train.documents, again.train.documents)
    assert not np.array_equal(first.train.documents, second.train.documents)
    assert first.identity == again.identity
    assert {key for key in first.identity if first.identity[key] != second.identity[key]} == {"data.draw"}
    assert second.name == f"{first.name}_d1"


# Texts of one first language ------------------------------------------------------------------------------------------


def test_a_specialist_of_a_first_language_has_its_texts_only(here):
    run, plain = planned(here, "cefr=B1", "data.only={l1: [French]}"), planned(here, "cefr=B1")
    documents = corpus_of(here).documents
    for dataset, of_level in ((run.train, plain.train), (run.valid, plain.valid)):
        of_language = documents["l1"][of_level.documents] == "French"
        assert np.array_equal(dataset.documents, of_level.documents[of_language])
        assert 0 < len(dataset.documents) < len(of_level.documents)
    assert run.name == "small_B1_ilm_tiny_l1-French"
    assert run.identity["data.only.l1"] == ["French"]
    assert run.identity != planned(here, "cefr=B1", "data.only={l1: [French, German]}").identity
    assert f"small, B1, l1 French: {len(run.train.documents)} train" in run.summary()


@pytest.mark.parametrize(
    ("only", "message"),
    [
        ("{l2: [French]}", r"only=\{l2: \[French\]\}: the corpus has no such column"),
        ("{l1: [Frensh]}", "no text has l1 Frensh. There are French"),
        (
            "{cefr_level: [A1]}",
            r"data.only=\{cefr_level: \[A1\]\}: small has no such text of cefr=B1 in train and valid",
        ),
    ],
)
def test_texts_that_are_not_there(here, only, message):
    with pytest.raises(UserError, match=message):
        planned(here, "cefr=B1", f"data.only={only}")


# Levels drawn equally -------------------------------------------------------------------------------------------------


def test_every_step_of_a_balanced_generalist_has_as_many_of_each_level(here):
    run = planned(here, "experiment=balanced_generalist", "trainer.max_epochs=2")
    levels = run.level_codes[run.train.keys()[0]]
    natural = planned(here, "trainer.max_epochs=2")
    assert run.total_steps == natural.total_steps
    drawn = []
    for step in range(run.total_steps):
        counts = np.bincount(levels[run.steps.step(step)], minlength=5)
        assert counts.max() - counts.min() <= 1
        drawn.append(counts)
    times = np.sum(drawn, axis=0) / np.bincount(levels)
    told = ", ".join(f"{level} {count:.3g}" for level, count in zip(run.levels, times, strict=True))
    assert f"drawn equally; mean number of times that an example is seen: {told}" in run.summary()
    assert run.identity != natural.identity


# From another run -----------------------------------------------------------------------------------------------------


def test_a_specialist_begins_where_the_generalist_ended(here, generalist):
    options = ["cefr=B1", f"init_from={generalist}", "trainer.max_steps=2"]
    run = planned(here, *options)
    assert run.name == "small_B1_ilm_tiny_from-all"
    assert "starts from the best weights of small_all_ilm_tiny" in run.summary()
    assert not run.identity["data.new_rows"]
    train(*compose("train", *here, *options))
    found = status(run.path)
    assert found["first"]["infill"] == pytest.approx(infill_loss(run, generalist / "model"), abs=1e-5)
    assert found["best"]["infill"] < found["first"]["infill"]
    finder = Finder(experiments_of(here), corpus_of(here).folder)
    (model,) = finder.find(["small_B1_ilm_tiny_from-all"])
    assert model.family["experiment"] == "from-all"
    with pytest.raises(UserError, match="none of small_B1_ilm_tiny_from-all is of level A1"):
        finder.find(["small_B1_ilm_tiny_from-all"], level="A1")


def test_the_mean_of_several_runs_is_a_run_without_steps(here, generalist):
    """Their weights, averaged; it is finished at once, and knows what they were trained on."""
    train(*compose("train", *here, "cefr=B1", "trainer.max_steps=2"))
    options = ["cefr=all", f"init_from=[{generalist},B1]", "trainer.max_steps=0"]
    run = planned(here, *options)
    assert run.name == "small_all_ilm_tiny_average-all-B1"
    losses = train(*compose("train", *here, *options))
    models = [generalist, experiments_of(here) / "small_B1_ilm_tiny", run.path]
    first, second, mean = (load_file(path / "model" / "model.safetensors") for path in models)
    for name, weight in mean.items():
        torch.testing.assert_close(weight, (first[name] + second[name]) / 2)
    found = status(run.path)
    assert (found["state"], found["step"], found["first"]) == ("finished", 0, found["best"])
    assert losses["infill"] == pytest.approx(infill_loss(run, run.path / "model"), abs=1e-5)
    parts = [status(path)["targets_seen"]["infill"] for path in models]
    assert found["targets_inherited"]["infill"] == {level: parts[0][level] + parts[1][level] for level in parts[0]}
    assert sum(parts[2].values()) == 0
    (same,) = Finder(experiments_of(here), corpus_of(here).folder).find([run.name])
    assert total_targets([same.run.status]) == found["targets_inherited"]
    assert train(*compose("train", *here, *options)) == losses


def test_the_weights_it_starts_from_are_part_of_a_runs_identity(here, generalist, tmp_path):
    identities = [
        planned(here, "cefr=B1", f"init_from={run}").identity
        for run in (generalist, generalist / "model", "small_all_ilm_tiny", "all")
    ]
    assert all(identity == identities[0] for identity in identities)
    assert identities[0]["data.init_from"] is not None
    other = shutil.copytree(generalist, tmp_path / "small_all_ilm_tiny")
    with open(other / "model" / "model.safetensors", "r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x01")
    changed = planned(here, "cefr=B1", f"init_from={other}").identity
    assert {key for key in changed if changed[key] != identities[0][key]} == {"data.init_from"}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["init_from=missing"], "init_from=missing: .*not a level, run, folder"),
        (["init_from=all", "model=gpt2"], r"no finished run matches: small_all_ilm_tiny has model\.name=tiny"),
        (["init_from=all", "objective=naive"], "small_all_ilm_tiny has objective=ilm instead of naive"),
    ],
)
def test_a_start_that_does_not_fit(here, generalist, overrides, message):
    options = [o for o in here if not o.startswith("model.")] if "model=gpt2" in overrides else here
    with pytest.raises(UserError, match=message):
        planned(options, "cefr=B1", *overrides)


# LoRA -----------------------------------------------------------------------------------------------------------------


def test_a_run_with_lora(here, generalist):
    """Interrupted or not it ends in the same weights; they are a plain model, which scores as training did."""
    options = ["cefr=A2", "init_from=small_all_ilm_tiny", "adapter=lora", "optimizer.lr=1e-2", "adapter.dropout=0.1"]
    run = planned(here, *options, "trainer.max_steps=6")
    assert run.name == "small_A2_ilm_tiny_from-all_lora"
    train(*compose("train", *here, *options, "trainer.max_steps=6", "validation.every_n_steps=2"))
    best = status(run.path)["best"]
    assert infill_loss(run, run.path / "model") == pytest.approx(best["infill"], abs=1e-5)
    assert best["infill"] < status(run.path)["first"]["infill"]

    before, after = weights(generalist), weights(run.path)
    assert set(after) == set(before)
    base = run.vocabulary.base_size
    changed = {key for key in after if not torch.equal(after[key], before[key])}
    assert all(part in key for key in changed for part in (".weight",))
    assert not {key for key in changed if "ln_" in key or "wpe" in key}
    rows = "transformer.wte.weight"
    assert torch.equal(after[rows][:base], before[rows][:base])
    assert not torch.equal(after[rows][base:], before[rows][base:])
    states = torch.load(run.path / "checkpoints" / "last.ckpt", weights_only=True)["optimizer_states"][0]["state"]
    trained = 1 + 2 * 4 * 2  # the new rows; two factors of four layers in two blocks
    assert len(states) == trained
    assert (run.path / "adapter" / "adapter_model.safetensors").stat().st_size < 200_000

    for steps in (3, 6):
        train(
            *compose("train", *here, *options, "name=parts", "validation.every_n_steps=2", f"trainer.max_steps={steps}")
        )
    parts = folder_of(here, "parts")
    assert (parts / "model" / "model.safetensors").read_bytes() == (run.path / "model/model.safetensors").read_bytes()


# Masks of each epoch --------------------------------------------------------------------------------------------------

RESAMPLED = ("cefr=C1", "masking.resample_each_epoch=true", "trainer.max_epochs=3", "data.batch_size=64")
RESAMPLED += ("validation.every_n_steps=4",)


def masks_folders(here) -> list[str]:
    return sorted(path.name.rpartition("-")[0] for path in (corpus_of(here).folder / "masks").iterdir())


def test_each_epoch_has_masks_of_its_own(here):
    run, plain = planned(here, *RESAMPLED), planned(here, "cefr=C1", "trainer.max_epochs=3", "data.batch_size=64")
    assert run.name == "small_C1_ilm_tiny_resampled"
    # Only of the epochs that it reaches: `_epoch3` would be a fourth.
    assert masks_folders(here) == ["hierarchical", "hierarchical-epoch1", "hierarchical-epoch2"]
    corpus = corpus_of(here)
    findings = [verify_cache(path, corpus, verify_masks) for path in (corpus.folder / "masks").iterdir()]
    assert not any(finding.faults or finding.skipped for finding in findings)
    assert "masks       different in each of 3 epochs" in run.summary()
    assert run.identity["data.masks"] == plain.identity["data.masks"]
    assert run.identity != plain.identity
    assert np.array_equal(run.validation, plain.validation)

    epochs = [[], [], []]
    for step in range(run.total_steps):
        numbers = run.steps.step(step)
        epoch = int(run.steps.epochs_until(step))
        assert set(numbers) <= set(run.train.numbers(epoch))
        epochs[epoch] += [tuple(example.input_ids) for example in run.train.lay_out(numbers)]
    first = sorted(tuple(example.input_ids) for example in map(plain.train.__getitem__, range(len(epochs[0]))))
    assert sorted(epochs[0]) == first, "the first epoch has the prepared masks"
    assert all(len(set(epochs[e]) & set(first)) < len(first) / 2 for e in (1, 2))
    assert sorted(epochs[1]) != sorted(epochs[2])
    # As data loaders that spawn their workers do it.
    pickled = pickle.dumps(run.train)
    assert corpus.documents["text"][0].encode() not in pickled
    again = pickle.loads(pickled)
    numbers = np.array(run.train.numbers(2)[:5])
    assert np.array_equal(again.lay_out(numbers).input_ids, run.train.lay_out(numbers).input_ids)


def test_resampled_masks_are_drawn_once_for_all_models(here, monkeypatch):
    planned(here, *RESAMPLED)
    monkeypatch.setattr("ilm.masking.generate.write_masks", lambda *_: pytest.fail("drawn again"))
    run = planned(here, *RESAMPLED, "cefr=all", "trainer.max_steps=3")
    assert run.total_steps == 3
    assert "nothing is resampled" in run.summary()


def test_a_resampled_run_goes_on_in_the_middle_of_an_epoch(here):
    total = planned(here, *RESAMPLED).total_steps
    for name, bounds in (("whole", [total]), ("in_parts", [total // 2, total])):
        for steps in bounds:
            train(*compose("train", *here, *RESAMPLED, f"name={name}", f"trainer.max_steps={steps}"))
    files = [(folder_of(here, name) / "checkpoints" / "last.ckpt") for name in ("whole", "in_parts")]
    whole, parts = (torch.load(file, weights_only=True)["state_dict"] for file in files)
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


# Contradictions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["match=C1"], r"match=C1 with trainer\.max_steps=60000: the specialist decides when it ends"),
        (["experiment=token_matched"], "set no limit: give one a positive number, or type match=C1"),
        (["experiment=token_matched", "match=C1", "cefr=A1"], "match=C1 with cefr=A1: it stops the generalist"),
        (["experiment=token_matched", "match=all"], "match=all: expected what to match the generalist with"),
        (["experiment=balanced_generalist", "cefr=B1"], "data.levels_drawn=equally with cefr=B1: a specialist has one"),
        (["experiment=random_subset"], "of experiment=random_subset: data.like=C1"),
        (["experiment=random_subset", "data.like=D1"], "data.like=D1: expected a level, one of A1, A2"),
        (["data.like=C1", "cefr=A1"], "data.like=C1 with cefr=A1: texts of all levels are drawn"),
        (["data.like=C1", "data.only={l1: [Thai]}"], "data.like=C1 with data.only"),
        (["data.draw=1"], "data.draw=1 draws nothing: type data.like=C1"),
        (["data.levels_drawn=equaly"], "data.levels_drawn=equaly: expected one of natural, equally"),
        (
            ["data.levels_drawn=equally", "masking.resample_each_epoch=true"],
            "data.levels_drawn=equally with masking.resample_each_epoch=true",
        ),
        (["adapter=lora", "adapter.rank=0"], "adapter.rank=0: expected at least 1"),
        (["adapter=lora", "adapter.dropout=1.0"], r"adapter.dropout=1.0: expected less than 1"),
    ],
)
def test_what_contradicts_itself(overrides, message):
    cfg, choices = compose("train", *overrides)
    with pytest.raises(UserError, match=message):
        check(cfg, Train, choices)


def test_the_papers_settings():
    cfg, choices = compose("train", "experiment=acl2020", "model=tiny")
    settings = check(cfg, Train, choices)
    assert settings.data.batch_size * settings.trainer.accumulate_grad_batches == 24
    assert (settings.optimizer.lr, settings.early_stopping.patience) == (5e-5, 5)
