"""Every shipped option composes, passes the check and can be instantiated."""

from itertools import product

import hydra
import pytest
import torch
from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import OmegaConf

from ilm.config.infill import Decoding
from ilm.config.keys import flat
from ilm.masking import functions
from ilm.masking.generate import mask_function
from ilm.training.trainer import with_precision
from tests.config.checked import CONF, SCHEMAS, checked
from tests.conftest import compose

GROUPS = {
    "train": {
        *("callbacks", "cefr", "cefr_level", "corpus", "experiment", "launcher", "logger", "masking", "model"),
        *("adapter", "optimizer", "trainer", "paths", "hydra"),
    },
    "prepare": {"corpus", "masking", "paths", "hydra"},
    "evaluate": {"cefr", "corpus", "task", "paths", "hydra"},
    "infill": {"cefr", "corpus", "masking", "paths", "hydra"},
}
# What an option needs besides.
NEEDS = {
    ("corpus", "custom"): ["corpus.name=mine", "corpus.csv=mine.csv"],
    ("corpus", "efcamdat"): ["corpus.csv=all.csv"],
    ("model", "custom"): ["model.path=org/model"],
    ("experiment", "token_matched"): ["match=C1"],
    ("experiment", "random_subset"): ["data.like=C1"],
}
# Experiments of the generalist.
OF_ALL = ("token_matched", "balanced_generalist", "random_subset", "conditioned")
OPTIONS = sorted((path.parent.name, path.stem) for path in CONF.glob("*/*.yaml") if path.parent.name != "base")
BY_ROOT = [(root, group, option) for root, groups in GROUPS.items() for group, option in OPTIONS if group in groups]
LEVELS = ("A1", "A2", "B1", "B2", "C1", "all")
MAX_STEPS = {"A1": 50_000, "A2": 40_000, "B1": 30_000, "B2": 20_000, "C1": 10_000, "all": 60_000}


def test_every_group_is_known_here():
    assert {group for group, _ in OPTIONS} == set().union(*GROUPS.values())


@pytest.mark.parametrize(("root", "group", "option"), BY_ROOT)
def test_every_shipped_option_is_valid(root, group, option):
    settings = checked(root, f"{group}={option}", *NEEDS.get((group, option), []))
    if group not in ("cefr", "experiment", "launcher", "hydra") and (group, option) != ("adapter", "none"):
        assert getattr(settings, group) is not None


@pytest.mark.parametrize("root", SCHEMAS)
def test_defaults_are_valid(root):
    checked(root)


def test_decoding_has_one_set_of_defaults():
    assert checked("infill").decoding == Decoding()


@pytest.mark.parametrize("option", [option for group, option in OPTIONS if group == "masking"])
def test_mask_functions_are_made(option, monkeypatch):
    monkeypatch.setattr(functions, "require_tagger", lambda: None)  # the tagger's data cannot be counted on
    function = mask_function(checked("prepare", f"masking={option}").masking.function)
    assert function.mask_types


@pytest.mark.parametrize("option", [option for group, option in OPTIONS if group == "optimizer"])
def test_optimizers_are_made(option):
    settings = checked("train", f"optimizer={option}", "optimizer.lr=0.25")
    optimizer = instantiate(settings.optimizer.model_dump())([torch.nn.Parameter(torch.zeros(2))])
    assert optimizer.param_groups[0]["lr"] == 0.25


@pytest.mark.parametrize("option", [option for group, option in OPTIONS if group == "trainer"])
def test_trainers_are_made(option):
    devices = ["trainer.accelerator=cpu", "trainer.devices=1"]
    settings = checked("train", f"trainer={option}", *devices)
    trainer = instantiate(
        with_precision(settings, None).trainer.model_dump(),
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
    )
    assert trainer.max_steps == 60_000
    assert trainer.max_epochs == 1


@pytest.mark.parametrize("option", [option for group, option in OPTIONS if group == "logger"])
def test_loggers_are_made(option, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    nodes = checked("train", f"logger={option}").logger
    several = {"both": {"csv", "tensorboard"}, "all": {"csv", "tensorboard", "wandb"}, "none": set()}
    assert set(nodes) == several.get(option, {option})
    for node in nodes.values() if option not in several else ():
        logger = instantiate(node)(save_dir=str(tmp_path), purge_step=None)
        logger.log_metrics({"x": 1.0}, step=1)
        logger.finalize("success")
        assert list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("experiment", "level"),
    list(
        product([option for group, option in OPTIONS if group == "experiment" and option not in OF_ALL], ("A2", "all"))
    ),
)
def test_an_experiment_keeps_the_level_that_is_asked_for(experiment, level):
    settings = checked("train", f"experiment={experiment}", f"cefr={level}")
    assert settings.cefr_level.name == level
    assert settings.cefr_level.levels == (None if level == "all" else [level])


@pytest.mark.parametrize("level", LEVELS)
def test_six_models(level):
    settings = checked("train", f"cefr={level}")
    assert settings.cefr_level.name == level
    assert settings.trainer.max_steps == MAX_STEPS[level]
    assert settings.trainer.max_epochs == 1
    assert settings == checked("train", f"cefr_level={level}")


def test_what_experiments_change():
    debug = checked("train", "experiment=debug")
    assert (debug.model.name, debug.trainer.max_steps) == ("tiny", 20)
    assert checked("train", "experiment=debug", "trainer.max_steps=7").trainer.max_steps == 7
    assert checked("train", "experiment=debug", "model=gpt2").model.name == "gpt2"
    quickstart = checked("train", "experiment=quickstart")
    assert (quickstart.trainer.accelerator, quickstart.model.name) == ("cpu", "tiny")
    assert checked("train", "experiment=full_epoch").trainer.max_steps == -1


def test_random_weights_learn_at_their_own_rate_unless_one_is_given():
    assert checked("train", "model=gpt2").optimizer.lr == 5e-5
    assert checked("train", "model=tiny").optimizer.lr == 1e-3
    assert checked("train", "model=tiny", "optimizer.lr=3e-4").optimizer.lr == 3e-4


@pytest.mark.parametrize("root", SCHEMAS)
def test_the_folder_of_hydra_is_left_alone(root):
    """Hydra makes no folder and no log before the configuration is checked."""
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        made = hydra.compose(root, ["paths.experiments=runs"], return_hydra_config=True).hydra
    assert (made.run.dir, made.output_subdir) == (".", None)
    assert made.sweep.dir.startswith("runs/.sweeps/")
    assert made.job_logging.root is made.hydra_logging.root is None


def test_only_options_are_listed():
    """What the options of a group share is none of them."""
    with pytest.raises(HydraException) as caught:
        compose("train", "corpus=x")
    listed = str(caught.value).split("Available options")[1].splitlines()[1:]
    assert [line.strip() for line in listed if line.startswith("\t")][:3] == ["custom", "efcamdat", "sample"]


@pytest.mark.parametrize("path", sorted(CONF.rglob("*.yaml")), ids=lambda path: str(path.relative_to(CONF)))
def test_no_seed_of_the_data_is_swept(path):
    """Three seeds: only `seed` may be swept or set by an experiment."""
    if path.parent.name == "experiment":
        keys = [key for key, _ in flat(OmegaConf.to_container(OmegaConf.load(path)))]
        assert not [key for key in keys if key.endswith(".seed") and key != "hydra.sweeper.params.seed"]
