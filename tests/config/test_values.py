"""Values out of range, and values that make no sense together."""

import pytest
from hydra.errors import HydraException

from ilm.config.keys import flat
from tests.config.checked import checked, mistakes
from tests.conftest import compose

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
        ("trainer.max_steps=1.5e0", "trainer.accumulate_grad_batches=1.5", "trainer.gradient_clip_val=-1"),
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
    checked(root, f"{section}.row_tokens=512")
    (line,) = mistakes(root, f"{section}.row_tokens=511")
    assert line.startswith(f"{section}.row_tokens=511")


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
        (["corpus.csv=x.csv"], "corpus.csv=x.csv with a synthetic corpus"),
        (["corpus.keep_columns=[age,Topic]"], "corpus.keep_columns=[age,Topic]: Topic: documents already have"),
        (["corpus.synthetic=null", "corpus.reference=x"], "corpus.keep_columns with corpus.reference"),
        (["corpus=custom"], "corpus.name has no value"),
    ],
)
def test_values_that_make_no_sense_together(overrides, expected):
    assert any(line.startswith(expected) for line in mistakes("train", *overrides))


def test_what_prepare_is_to_keep_together_and_to_test_on():
    (line,) = mistakes("prepare", "split.keep_together=[near_duplicates]", "split.near_duplicates=null")
    assert line.startswith("split.keep_together names near_duplicates, but split.near_duplicates is null")
    for override in ("split.keep_together=[l1]", "split.test_on=text", "corpus.sample_size=0"):
        (line,) = mistakes("prepare", override)
        assert line.startswith(override.partition("=")[0])


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


@pytest.mark.parametrize(
    "override", ["task.max_chars=null", "task=cloze task.drop_last=true", "task=cloze task.n_mask=2"]
)
def test_hydra_refuses_options_of_another_task(override):
    with pytest.raises(HydraException, match="Could not override"):
        compose("evaluate", *override.split())


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (
            ["input=x.csv"],
            ["input is not for task=perplexity, which is about prepared texts; task=cloze reads a file"],
        ),
        (["+task.zzzz=1"], ["unknown key task.zzzz"]),
        (
            ["task.name=bleu"],
            ["task.name=bleu: expected one of perplexity, comparison, cloze, forms, levels, memorisation, surprisal"],
        ),
        (
            ["task=cloze", "task.n_masks=0", "limit=0"],
            ["limit=0: expected at least 1", "task.n_masks=0: expected at least 1"],
        ),
        (
            ["task=cloze", "input=x.csv", "task.split=valid"],
            ["task.split is for prepared texts, and input=x.csv gives others"],
        ),
    ],
)
def test_options_of_tasks(overrides, expected):
    assert sorted(mistakes("evaluate", *overrides)) == expected
    checked("evaluate", "task=cloze", "task.split=valid", "task.device=cpu", "task.levels=[A1]", "limit=5")
