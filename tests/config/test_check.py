"""Every shipped option composes, passes the check and can be instantiated; every mistake is named, all at once."""

import importlib.util
from itertools import product
from pathlib import Path

import hydra
import pytest
import torch
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import OmegaConf

from ilm.config.check import check
from ilm.config.evaluate import Evaluate
from ilm.config.infill import Infill
from ilm.config.keys import flat
from ilm.config.prepare import Prepare
from ilm.config.train import Train
from ilm.errors import UserError
from ilm.masking.generate import mask_function
from tests.conftest import REPOSITORY, compose

CONF = REPOSITORY / "conf"
SCHEMAS = {"prepare": Prepare, "train": Train, "evaluate": Evaluate}
GROUPS = {
    "train": {
        *("callbacks", "cefr", "cefr_level", "corpus", "experiment", "launcher", "logger", "masking", "model"),
        *("adapter", "optimizer", "trainer", "paths", "hydra"),
    },
    "prepare": {"corpus", "masking", "paths", "hydra"},
    "evaluate": {"cefr", "corpus", "task", "paths", "hydra"},
}
# What an option needs besides.
NEEDS = {
    ("corpus", "custom"): ["corpus.name=mine", "corpus.csv=mine.csv"],
    ("corpus", "efcamdat"): ["corpus.csv=all.csv"],
    ("model", "custom"): ["model.path=org/model"],
    ("experiment", "token_matched"): ["match=C1"],
}
# Experiments of the generalist.
OF_ALL = ("token_matched", "balanced_generalist")
OPTIONS = sorted((path.parent.name, path.stem) for path in CONF.glob("*/*.yaml") if path.parent.name != "base")
BY_ROOT = [(root, group, option) for root, groups in GROUPS.items() for group, option in OPTIONS if group in groups]
LEVELS = ("A1", "A2", "B1", "B2", "C1", "all")
MAX_STEPS = {"A1": 50_000, "A2": 40_000, "B1": 30_000, "B2": 20_000, "C1": 10_000, "all": 60_000}


def checked(root: str, *overrides: str) -> dict:
    cfg, choices = compose(root, *overrides)
    return check(cfg, SCHEMAS[root], choices)


def mistakes(root: str, *overrides: str) -> list[str]:
    """The lines of the one error that is raised."""
    with pytest.raises(UserError) as caught:
        checked(root, *overrides)
    first, *lines = str(caught.value).splitlines()
    assert first == f"{len(lines)} mistake{'s' * (len(lines) > 1)} in the configuration:"
    assert all(line.startswith("  - ") for line in lines)
    return [line.removeprefix("  - ") for line in lines]


# Shipped options ------------------------------------------------------------------------------------------------------


def test_every_group_is_known_here():
    assert {group for group, _ in OPTIONS} == set().union(*GROUPS.values())


@pytest.mark.parametrize(("root", "group", "option"), BY_ROOT)
def test_every_shipped_option_is_valid(root, group, option):
    if (
        option in ("slurm", "submitit_local")
        and importlib.util.find_spec("hydra_plugins.hydra_submitit_launcher") is None
    ):
        pytest.skip("hydra-submitit-launcher is not installed")
    settings = checked(root, f"{group}={option}", *NEEDS.get((group, option), []))
    if group not in ("cefr", "experiment", "launcher", "hydra") and (group, option) != ("adapter", "none"):
        assert getattr(settings, group) is not None


@pytest.mark.parametrize("root", SCHEMAS)
def test_defaults_are_valid(root):
    checked(root)


@pytest.mark.parametrize("option", [option for group, option in OPTIONS if group == "masking"])
def test_mask_functions_are_made(option):
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
        settings.trainer.model_dump(), logger=False, enable_checkpointing=False, enable_model_summary=False
    )
    assert trainer.max_steps == 60_000
    assert trainer.max_epochs == 1


@pytest.mark.parametrize("option", [option for group, option in OPTIONS if group == "logger"])
def test_loggers_are_made(option, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    nodes = checked("train", f"logger={option}").logger
    several = {"both": {"csv", "tensorboard"}, "all": {"csv", "tensorboard", "wandb"}, "none": set()}
    assert set(nodes) == several.get(option, {option})
    for node in nodes.values():
        logger = instantiate(node)(save_dir=str(tmp_path), name="", version="", purge_step=None)
        logger.log_metrics({"x": 1.0}, step=1)
        logger.finalize("success")
        assert list(tmp_path.iterdir())


@pytest.mark.parametrize("option", [option for group, option in OPTIONS if group == "callbacks"])
def test_callbacks_are_made(option):
    nodes = checked("train", f"callbacks={option}").callbacks
    assert set(nodes) == (set() if option == "none" else {"progress_bar"})
    for node in nodes.values():
        instantiate(node)


@pytest.mark.parametrize(
    ("experiment", "level"),
    list(product([option for group, option in OPTIONS if group == "experiment" and option not in OF_ALL], LEVELS)),
)
def test_an_experiment_keeps_the_level_that_is_asked_for(experiment, level):
    settings = checked("train", f"experiment={experiment}", f"cefr={level}")
    assert settings.cefr_level.name == level
    assert settings.cefr_level.levels == (list(LEVELS[:-1]) if level == "all" else [level])


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
        assert not [key for key, _ in flat(OmegaConf.to_container(OmegaConf.load(path))) if key.endswith(".seed")]


# Keys -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("override", ["datta.batch_size=3", "data.batchsize=3", "optimizer.learning_rate=1", "foo=1"])
def test_hydra_refuses_unknown_keys(override):
    with pytest.raises(HydraException, match="Could not override"):
        compose("train", override)


@pytest.mark.parametrize(
    ("root", "override", "options"),
    [
        ("train", "cefr=D9", "A1\n\tA2\n\tB1\n\tB2\n\tC1\n\tall"),
        ("train", "experiment=debgu", "debug"),
        ("train", "masking=word", "words"),
        ("evaluate", "cefr=D9", "A1"),
        ("evaluate", "task=bleu", "cloze\n\tperplexity"),
        ("prepare", "corpus=efcamdt", "efcamdat"),
    ],
)
def test_an_unknown_option_lists_those_that_are_there(root, override, options):
    with pytest.raises(HydraException, match="Available options") as caught:
        compose(root, override)
    assert options in str(caught.value)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("+foo=1", "unknown key foo"),
        ("+data.batchsize=4", "unknown key data.batchsize; did you mean data.batch_size?"),
        ("+sed=1", "unknown key sed; did you mean seed?"),
        ("+batch_size=4", "unknown key batch_size; did you mean data.batch_size?"),
        ("+corpus.columns.txt=a", "unknown key corpus.columns.txt; did you mean corpus.columns.text?"),
        (
            "+trainer.acumulate_grad_batches=2",
            "trainer.acumulate_grad_batches: pytorch_lightning.Trainer takes no such argument; did you mean "
            "trainer.accumulate_grad_batches?",
        ),
        (
            "+masking.function.q=1",
            "unknown key masking.function.q: ilm.masking.functions.Hierarchical takes no such argument; it takes p, "
            "ngram_probability, max_ngram_words",
        ),
        ("+trainer.acelerator=cpu", "did you mean trainer.accelerator?"),
    ],
)
def test_a_plus_does_not_hide_a_typo(override, expected):
    (line,) = mistakes("train", override)
    assert line.endswith(expected)


def test_mistakes_in_an_experiment_file_are_found(tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(
        "# @package _global_\n"
        "trainer:\n  max_step: 100\n"
        "optimizer:\n  lerning_rate: 0.1\n"
        "data:\n  batchsize: 4\n  max_length: long\n"
        "validation:\n  every_n_stps: 5\n"
        "seeed: 3\n"
    )
    lines = mistakes("train", f"hydra.searchpath=[file://{tmp_path}]", "experiment=mine", "cefr=A2")
    assert sorted(line.split(":")[0].split(";")[0] for line in lines) == [
        "data.max_length=long",
        "unknown key data.batchsize",
        "unknown key optimizer.lerning_rate",
        "unknown key seeed",
        "unknown key trainer.max_step",
        "unknown key validation.every_n_stps",
    ]


@pytest.mark.parametrize(
    "override",
    ["~seed", "~data", "~data.batch_size", "~trainer", "~optimizer", "~model", "~masking.function", "~paths"],
)
def test_a_missing_key_is_named(override):
    lines = mistakes("train", override)
    assert any(line.startswith(override[1:]) for line in lines)


# Types ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("false", ["no", "off", '"false"', "0", "n"])
def test_no_is_false(false):
    """`overwrite=no` is text to Hydra: taken for true, it would delete a run."""
    settings = checked("train", f"overwrite={false}", f"dry_run={false}", f"model.pretrained={false}")
    assert settings.overwrite is settings.dry_run is settings.model.pretrained is False


def test_values_come_back_in_the_type_of_the_schema():
    found = dict(
        flat(
            checked(
                "train", 'seed="3"', 'data.batch_size="8"', "name=2024", "checkpoint.every_n_minutes=1", "dry_run=1"
            ).model_dump()
        )
    )
    expected = {"seed": 3, "data.batch_size": 8, "name": "2024", "checkpoint.every_n_minutes": 1.0, "dry_run": True}
    assert {key: (found[key], type(found[key])) for key in expected} == {
        key: (value, type(value)) for key, value in expected.items()
    }


def test_numbers_for_names_become_text():
    settings = checked("train", "corpus=custom", "corpus.name=2024", "corpus.levels=[1,2]", "cefr_level.levels=[1]")
    assert settings.corpus.name == "2024"
    assert settings.corpus.levels == ["1", "2"]
    assert settings.cefr_level.levels == ["1"]


@pytest.mark.parametrize(
    "overrides",
    [
        ("seed=x", "data.batch_size=8.0", "paths.data=null", "overwrite=perhaps", "corpus.levels=A1", "name=[a]"),
        ("seed=1.5", "data.batch_size=true", "corpus.columns=null", "corpus.max_dropped=few", "model.tokenizer=[a]"),
        ("seed=null", "data=null", "corpus.synthetic=3", "schedule.warmup_steps=[1]"),
    ],
)
def test_wrong_types_are_named(overrides):
    lines = mistakes("train", *overrides)
    for override in overrides:
        assert any(line.startswith(override.split("=")[0]) for line in lines), (override, lines)


def test_a_list_without_brackets():
    """One model may stand without them; elsewhere the message says how a list is typed."""
    cfg, choices = compose("evaluate", "models=A1")
    assert check(cfg, Evaluate, choices).models == ["A1"]
    (line,) = mistakes("evaluate", "task.levels=A1")
    assert line.endswith("task.levels=[A1]")


def test_what_cannot_be_resolved_is_a_user_error():
    cfg, choices = compose("train")
    cfg.name = "${nothing.here}"
    with pytest.raises(UserError, match=r"nothing\.here|nothing"):
        check(cfg, Train, choices)


def test_all_mistakes_at_once():
    lines = mistakes(
        "train", "seed=x", "data.batch_size=y", "+foo=1", "~overwrite", "+optimizer.rate=1", "corpus=custom"
    )
    starts = (
        "seed=x",
        "data.batch_size=y",
        "unknown key foo",
        "overwrite",
        "unknown key optimizer.rate",
        "corpus.name",
    )
    assert len(lines) == len(starts)
    for start in starts:
        assert sum(line.startswith(start) for line in lines) == 1, (start, lines)


def test_all_wrong_values_at_once():
    lines = mistakes("train", "objective=z", "data.batch_size=0", "schedule.shape=round", "seed=-1", "optimizer.lr=-1")
    assert len(lines) == 5


# Values ---------------------------------------------------------------------------------------------------------------

AT_LEAST = {
    "train": {
        **dict.fromkeys(("corpus.sample_size", "masking.masks_per_document", "masking.tries"), 1),
        **dict.fromkeys(("data.batch_size", "validation.every_n_steps", "validation.max_examples"), 1),
        **dict.fromkeys(("early_stopping.patience", "trainer.accumulate_grad_batches", "trainer.log_every_n_steps"), 1),
        **dict.fromkeys(("seed", "split.seed", "masking.seed", "corpus.max_dropped", "data.num_workers"), 0),
        **dict.fromkeys(("schedule.warmup_steps", "checkpoint.every_n_minutes", "trainer.gradient_clip_val"), 0),
        "data.max_length": 2,
    },
    "prepare": {
        **dict.fromkeys(("corpus.sample_size", "corpus.synthetic.size", "masking.tries"), 1),
        **dict.fromkeys(("preview", "num_workers", "split.seed"), 0),
    },
    "evaluate": {
        **dict.fromkeys(("task.masks_per_document", "limit", "task.max_examples"), 1),
        **dict.fromkeys(("task.batch_size",), 1),
        "task.max_length": 2,
    },
}


@pytest.mark.parametrize("root", AT_LEAST)
def test_least_values(root):
    checked(root, *(f"{key}={least}" for key, least in AT_LEAST[root].items()))
    lines = mistakes(root, *(f"{key}={least - 1}" for key, least in AT_LEAST[root].items()))
    assert len(lines) == len(AT_LEAST[root])
    for key, least in AT_LEAST[root].items():
        (line,) = [line for line in lines if line.startswith(f"{key}={least - 1}")]
        assert str(least) in line


@pytest.mark.parametrize(
    ("root", "key", "allowed", "wrong"),
    [
        ("train", "objective", ("ilm", "no_context_ilm", "naive", "lm", "reverse_lm"), "ILM"),
        ("train", "schedule.shape", ("constant", "linear", "cosine"), "step"),
        ("train", "model.tokenizer", ("gpt2", "null"), "bpe"),
        ("evaluate", "task.split", ("valid", "test"), "train"),
    ],
)
def test_choices_of_values(root, key, allowed, wrong):
    for value in allowed:
        checked(root, f"{key}={value}")
    (line,) = mistakes(root, f"{key}={wrong}")
    assert line.startswith(f"{key}={wrong}: expected")
    assert allowed[0] in line


@pytest.mark.parametrize("rate", ["0", "-1", "null", "fast", "nan", "inf", "true"])
def test_learning_rates_are_positive_numbers(rate):
    (line,) = mistakes("train", f"optimizer.lr={rate}")
    assert line.startswith("optimizer.lr=")


@pytest.mark.parametrize(
    "overrides",
    [
        ("trainer.max_steps=many", "trainer.accumulate_grad_batches=two", "trainer.gradient_clip_val=strong"),
        ("trainer.max_steps=1e3", "trainer.accumulate_grad_batches=1.5", "trainer.gradient_clip_val=-1"),
        ("trainer.max_steps=2.5", "trainer.max_epochs=-2", "trainer.log_every_n_steps=true"),
        ("checkpoint.every_n_minutes=nan", "trainer.gradient_clip_val=nan", "corpus.max_dropped=inf"),
    ],
)
def test_numbers_below_a_target_are_checked_too(overrides):
    lines = mistakes("train", *overrides)
    assert sorted(line.split("=")[0] for line in lines) == sorted(override.split("=")[0] for override in overrides)


@pytest.mark.parametrize("end", ["trainer.max_steps=-1", "trainer.max_steps=null"])
def test_a_run_needs_an_end(end):
    checked("train", end)
    (line,) = mistakes("train", end, "trainer.max_epochs=-1")
    assert "max_steps" in line
    assert "max_epochs" in line


def test_zero_steps_or_epochs_are_no_way_to_say_unbounded():
    assert mistakes("train", "trainer.max_epochs=0")
    assert mistakes("train", "trainer.max_steps=0")


@pytest.mark.parametrize(("section", "root"), [("data", "train"), ("task", "evaluate")])
def test_a_row_holds_the_longest_example(section, root):
    checked(root, f"{section}.row_tokens=256")
    (line,) = mistakes(root, f"{section}.row_tokens=255")
    assert line.startswith(f"{section}.row_tokens=255")


def test_batches_of_tokens_are_whole_blocks():
    for given in ("null", "1024", "32768"):
        checked("train", f"data.max_tokens_per_batch={given}")
    for given, close in ((0, 1024), (-1024, 1024), (255, 1024), (10_000, 10_240)):
        (line,) = mistakes("train", f"data.max_tokens_per_batch={given}")
        assert line == f"data.max_tokens_per_batch={given}: expected a multiple of 1024 tokens, such as {close}"
    checked("train", "data.max_length=2000", "data.max_tokens_per_batch=2048")
    assert mistakes("train", "data.max_length=2000", "data.max_tokens_per_batch=1024")
    # A wrong length is one mistake, not two or a traceback.
    (line,) = mistakes("train", "data.max_length=-3", "data.max_tokens_per_batch=1024")
    assert line.startswith("data.max_length")


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["model=custom"], "model.path"),
        (["model.path=null"], "model.path"),
        (["model=tiny", "model.architecture=null"], "model.path"),
        (["model=tiny", "model.pretrained=true", "model.path=x"], "model.pretrained=true"),
        (["model=tiny", "model.tokenizer_size=256"], "model.tokenizer_size=256"),
        (["model=tiny", "model.tokenizer_size=null"], "model.tokenizer_size=null"),
        (["masking.function=null"], "masking.function"),
        (["cefr_level.levels=[]"], "cefr_level.levels"),
        (["cefr_level.levels=[A1,Z]"], "cefr_level.levels"),
        (["corpus.csv=x.csv"], "corpus.csv=x.csv for a synthetic corpus"),
        (["corpus=custom"], "corpus.name has no value"),
    ],
)
def test_values_that_make_no_sense_together(overrides, expected):
    assert any(line.startswith(expected) for line in mistakes("train", *overrides))


def test_the_least_values_of_a_new_model_are_fine():
    checked("train", "model=tiny", "model.tokenizer_size=257")
    checked("train", "model.pretrained=false", "model.path=null")


@pytest.mark.parametrize("value", [".", "..", "../x", "a/b", "/tmp/x", "''", ".hidden", "'~'", "'a b'"])
def test_names_of_folders_are_plain(value):
    """`name=. overwrite=true` would delete all runs."""
    keys = ("name", "corpus.name", "masking.name", "model.name")
    lines = mistakes("train", *(f"{key}={value}" for key in keys))
    assert sorted(line.split("=")[0] for line in lines) == sorted(keys)


def test_usual_names_are_taken():
    names = {"name": "A1.v2", "corpus.name": "x+y_z", "masking.name": "gpt2-xl", "model.name": "'été'"}
    found = dict(flat(checked("train", *(f"{key}={value}" for key, value in names.items())).model_dump()))
    assert {key: found[key] for key in names} == {key: value.strip("'") for key, value in names.items()}


# cefr and cefr_level --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", [("A1", "A2"), ("A1", "all"), ("all", "A2")])
def test_two_levels_contradict_each_other(pair):
    (line,) = mistakes("train", f"cefr={pair[0]}", f"cefr_level={pair[1]}")
    assert line.startswith(f"cefr={pair[0]} and cefr_level={pair[1]} contradict")


def test_an_experiment_may_choose_the_level_by_cefr_only(tmp_path):
    (tmp_path / "experiment").mkdir()
    for name, group in (("good", "cefr"), ("bad", "cefr_level")):
        text = f"# @package _global_\ndefaults:\n  - override /{group}: B1\n"
        (tmp_path / "experiment" / f"{name}.yaml").write_text(text)
    path = f"hydra.searchpath=[file://{tmp_path}]"
    assert checked("train", path, "experiment=good").cefr_level.name == "B1"
    assert checked("train", path, "experiment=good", "cefr=A2").cefr_level.name == "A2"
    # Otherwise `experiment=bad cefr=A2` would train B1 in silence.
    assert mistakes("train", path, "experiment=bad", "cefr=A2")


def test_float16_needs_an_optimizer_that_leaves_the_scaling_to_others():
    (line,) = mistakes("train", "trainer.precision=16-mixed")
    assert line.startswith("optimizer.fused=true with trainer.precision=16-mixed")
    checked("train", "trainer.precision=16-mixed", "optimizer.fused=false")


def test_the_same_level_twice_is_no_contradiction():
    assert checked("train", "cefr=A1", "cefr_level=A1").cefr_level.name == "A1"


# _target_ -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "override", ["trainer._target_=no.such.Trainer", "optimizer._target_=torch.optim.Nope", "optimizer._target_=x"]
)
def test_a_target_that_cannot_be_imported(override):
    lines = mistakes("train", override)
    assert any(line.startswith(f"{override} cannot be imported") for line in lines)


def test_a_target_that_fails_while_it_is_imported(tmp_path, monkeypatch):
    (tmp_path / "broken_masks.py").write_text("raise RuntimeError('half-written')\n")
    monkeypatch.syspath_prepend(tmp_path)
    lines = mistakes("train", "masking.function._target_=broken_masks.Mine")
    assert any("broken_masks.Mine cannot be imported" in line and "half-written" in line for line in lines)


def test_an_argument_that_a_target_needs():
    cfg, choices = compose("train")
    OmegaConf.set_struct(cfg, False)
    cfg.callbacks.stop = {"_target_": "pytorch_lightning.callbacks.EarlyStopping", "patience": 3}
    with pytest.raises(UserError, match=r"callbacks\.stop\.monitor has no value"):
        check(cfg, Train, choices)


def test_the_check_builds_nothing(monkeypatch):
    """A typo must be found before a model is read: no target is called."""
    import pytorch_lightning as pl

    monkeypatch.setattr(pl.Trainer, "__init__", lambda *args, **kwargs: pytest.fail("Trainer was made"))
    cfg, choices = compose("train")
    check(cfg, Train, choices)


def test_configuration_is_left_as_it_was():
    cfg, choices = compose("train", "overwrite=no")
    before = OmegaConf.to_yaml(cfg)
    check(cfg, Train, choices)
    assert OmegaConf.to_yaml(cfg) == before


def test_slurm_launcher_is_described_where_it_is_missing():
    text = (Path(CONF) / "launcher" / "slurm.yaml").read_text()
    if any("submitit" in plugin.__name__.lower() for plugin in Plugins.instance().discover()):
        pytest.skip("hydra-submitit-launcher is installed")
    extra = text.split("[")[1].split("]")[0]
    assert f"\n{extra} = [" in (REPOSITORY / "pyproject.toml").read_text()


@pytest.mark.parametrize(
    "override", ["task.max_chars=null", "task=cloze task.drop_last=true", "task=cloze task.n_mask=2"]
)
def test_hydra_refuses_options_of_another_task(override):
    with pytest.raises(HydraException, match="Could not override"):
        compose("evaluate", *override.split())


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["input=x.csv"], ["input is for task=cloze"]),
        (["+task.zzzz=1"], ["unknown key task.zzzz"]),
        (["task.name=bleu"], ["task.name=bleu: expected one of perplexity, cloze"]),
        (
            ["task=cloze", "task.n_masks=0", "limit=0"],
            ["limit=0: expected at least 1", "task.n_masks=0: expected at least 1"],
        ),
        (["task.levels=[Z]"], ["task.levels=[Z]: expected one or more of corpus.levels=[A1,A2,B1,B2,C1]"]),
        (
            ["task=cloze", "input=x.csv", "task.split=valid"],
            ["task.split is for prepared texts, and input=x.csv gives others"],
        ),
    ],
)
def test_options_of_tasks(overrides, expected):
    assert sorted(mistakes("evaluate", *overrides)) == expected
    checked("evaluate", "task=cloze", "task.split=valid", "task.device=cpu", "task.levels=[A1]", "limit=5")


def test_mistakes_of_every_kind_at_once():
    """An unknown key, a value out of range, an unknown choice, and two values that contradict each other."""
    lines = mistakes(
        "train", "+typo=1", "data.batch_size=0", "objective=foo", "data.max_length=300", "data.row_tokens=100"
    )
    assert sorted(line.split(":")[0] for line in lines) == [
        "data.batch_size=0",
        "data.row_tokens=100 is shorter than data.max_length=300; a row holds whole examples",
        "objective=foo",
        "unknown key typo",
    ]


@pytest.mark.parametrize("root", ["evaluate", "infill"])
def test_the_level_is_the_chosen_option(root):
    for overrides, level in (([], None), (["cefr=A1"], "A1")):
        cfg, choices = compose(root, *overrides)
        assert check(cfg, {"evaluate": Evaluate, "infill": Infill}[root], choices).cefr == level
