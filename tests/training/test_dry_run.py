"""The cost sheet: its arithmetic with a fake clock, and a dry run compared with the run it estimates."""

import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from ilm.config.check import check
from ilm.config.train import Train
from ilm.errors import UserError
from ilm.training.dry_run import FEWEST, WARM_UP, Stopwatch, cost_sheet, extrapolated, measure
from ilm.training.plan import RunPlan, plan_run, starting_model_settings
from ilm.training.prepared import open_prepared
from prepare import prepare
from tests.conftest import SMALL_MODEL, compose, contents
from train import train


def example(total_steps: int = 100, interval: int = 25) -> tuple[float, float, int]:
    """10 steps of 400 tokens took 5 s, and a validation of 20 examples 2 s."""
    timed = Stopwatch()
    timed.steps, timed.seconds, timed.tokens = 10, 5.0, 4000
    timed.validated, timed.validation_seconds = 20, 2.0
    settings = SimpleNamespace(validation=SimpleNamespace(interval=interval))
    steps = SimpleNamespace(means=lambda: (8.0, 800.0))
    plan = SimpleNamespace(total_steps=total_steps, settings=settings, steps=steps, validation=range(500))
    return extrapolated(timed, plan)


def test_time_grows_with_tokens():
    """So 100 steps of 800 tokens take 100 s; 5 validations of 500 examples, 0.1 s each: 250 s."""
    assert example() == (pytest.approx(100.0), pytest.approx(250.0), 5)


@pytest.mark.parametrize(("steps", "interval", "expected"), [(100, 25, 5), (101, 25, 6), (99, 25, 5), (10, 1000, 2)])
def test_validations_before_at_every_interval_and_after(steps, interval, expected):
    assert example(steps, interval)[2] == expected


@pytest.fixture
def run(small) -> RunPlan:
    options = [*SMALL_MODEL, "cefr=A1", "trainer=cpu", "trainer.max_steps=20", "dry_run=true"]
    cfg, choices = compose("train", *small, *options)
    return plan_run(open_prepared(check(cfg, Train, choices)))


def test_a_stopwatch_times_steps_and_leaves_validations_out(run, monkeypatch):
    """A clock that moves on by a second whenever it is read: once after every step."""
    ticks = iter(range(1000))
    monkeypatch.setattr(Stopwatch.__init__, "__defaults__", (lambda: float(next(ticks)),))
    found, _ = measure(run)
    # The last of the 20 steps is left out, since a validation follows it.
    assert found.steps == 19 - WARM_UP >= FEWEST
    assert found.seconds == found.steps
    tokens = sum(len(run.train[int(n)].input_ids) for step in range(WARM_UP, 19) for n in run.steps.step(step))
    assert found.tokens == tokens
    assert found.validation_seconds > 0


def test_the_disk_of_a_real_run_is_what_the_sheet_says(run, small, tmp_path):
    _, summary = cost_sheet(run)
    train(*compose("train", *small, *SMALL_MODEL, "cefr=A1", "trainer=cpu", "trainer.max_steps=20", "name=real"))
    folder = tmp_path / "experiments" / "real"
    files = contents(folder / "checkpoints") | {"model": (folder / "model" / "model.safetensors").read_bytes()}
    # A checkpoint says more than its tensors, some 10 kB of it; the tiny weights are 220 kB.
    assert summary["disk_gib"] * 2**30 == pytest.approx(sum(map(len, files.values())), rel=0.1)
    assert summary["hours"] > 0


def test_a_dry_run_leaves_only_caches_for_the_run(small_csv, tmp_path, capsys, monkeypatch):
    """Here the masks of its second epoch, its own tokenizer and tokens, but not what it measured."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    corpus = ["corpus=custom", "corpus.name=fresh", f"paths.data={tmp_path / 'data'}"]
    prepare(compose("prepare", *corpus, f"corpus.csv={small_csv}", "num_workers=1")[0])
    before = contents(tmp_path)
    options = ["cefr=C1", "masking.resample_each_epoch=true", "trainer.max_epochs=2", "trainer.max_steps=-1"]
    there = [*corpus, f"paths.experiments={tmp_path / 'experiments'}"]
    assert train(*compose("train", *there, *SMALL_MODEL, *options, "trainer=cpu", "dry_run=true")) == {}
    lines = ("parameters", "memory", "disk", "time", "measured", "assumed")
    said = capsys.readouterr().err
    assert [line.split()[0] for line in said.splitlines()[-6:]] == [*lines]
    assert "modules     transformer.wte" in said
    after = contents(tmp_path)
    assert {name: after[name] for name in before} == before
    caches = {Path(name).relative_to("data/fresh").parts[0] for name in {*after} - {*before}}
    assert caches == {"masks", "tokenizers", "tokens"}
    assert {path.name for path in tmp_path.iterdir()} == {"data", "tmp"}
    assert list((tmp_path / "tmp").iterdir()) == []
    with pytest.raises(UserError, match=f"{tmp_path / 'data' / 'nothing'}"):
        train(*compose("train", *there, "corpus.name=nothing", *SMALL_MODEL, "dry_run=true"))


def test_weights_that_are_not_here_are_drawn_for_a_dry_run_only():
    def pretrained(*overrides: str) -> bool:
        cfg, choices = compose("train", "model.path=org/not-there", "model.name=x", *overrides)
        return starting_model_settings(check(cfg, Train, choices), None).pretrained

    assert not pretrained("dry_run=true")
    for real in (["dry_run=false"], ["dry_run=true", "model.architecture=null"]):
        with pytest.raises(UserError, match="is not on this machine"):
            pretrained(*real)
