"""Every mistake is named, all at once: unknown and missing keys, wrong types, arguments of a `_target_`."""

import pytest
from hydra.errors import HydraException
from omegaconf import OmegaConf

from ilm.config.check import check
from ilm.config.evaluate import Evaluate
from ilm.config.infill import Infill
from ilm.config.keys import flat
from ilm.config.train import Train
from ilm.errors import UserError
from tests.config.checked import checked, mistakes
from tests.conftest import compose


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
        ("evaluate", "task=bleu", "cloze\n\tcomparison\n\tforms\n\tlevels\n\tmemorisation\n\tperplexity"),
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


@pytest.mark.parametrize("false", ["no", "off", '"false"', "0", "n"])
def test_no_is_false(false):
    """`overwrite=no` is text to Hydra: taken for true, it would delete a run."""
    settings = checked("train", f"overwrite={false}", f"dry_run={false}", f"model.pretrained={false}")
    assert settings.overwrite is settings.dry_run is settings.model.pretrained is False


def test_values_come_back_in_the_type_of_the_schema():
    found = dict(
        flat(
            checked(
                "train",
                'seed="3"',
                'data.batch_size="8"',
                "name=2024",
                "checkpoint.every_n_minutes=1",
                "dry_run=1",
                "trainer.max_steps=1e3",
            ).model_dump()
        )
    )
    expected = {"seed": 3, "data.batch_size": 8, "name": "2024", "checkpoint.every_n_minutes": 1.0, "dry_run": True}
    expected["trainer.max_steps"] = 1000
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
        ("seed=x", "data.batch_size=8.5", "paths.data=null", "overwrite=perhaps", "corpus.levels=A1", "name=[a]"),
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


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ("null", "corpus.extra=null: expected a list"),
        ("3", "corpus.extra=3: expected a list, in brackets: corpus.extra=[3]"),
        ("[x.csv,3]", "corpus.extra[1]=3: expected a group of keys"),
        ("[{csv: x, columns: {txt: a}}]", "unknown key corpus.extra[0].columns.txt; did you mean corpus.columns.text?"),
        ("[{name: x}]", "corpus.extra[0].csv is missing"),
    ],
)
def test_mistakes_within_lists(extra, expected):
    assert mistakes("prepare", f"corpus.extra={extra}") == [expected]


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
