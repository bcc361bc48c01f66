"""The whole pipeline as typed: prepare, train, stop in every way, resume, evaluate; and mistakes on the way.

Commands are called as functions; `run_forked` is used where exit codes, signals or several processes matter.
"""

import itertools
import json
import math
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
import yaml
from safetensors.torch import load_file
from tensorboard.summary.writer import event_file_writer
from transformers import AutoModelForCausalLM, AutoTokenizer

from evaluate import evaluate
from ilm.errors import UserError
from ilm.training.callbacks.nonfinite import NonFiniteLoss
from prepare import prepare
from tests.conftest import SMALL_MODEL, compose, contents, rows_of_small_corpus, write_csv
from tests.forked import Forked, run_forked
from tests.run_logs import metrics, tensorboard
from train import train

STEPS = 14
RUN = (
    *SMALL_MODEL,
    f"trainer.max_steps={STEPS}",
    "trainer.log_every_n_steps=1",
    "validation.every_n_steps=5",
    "validation.max_examples=20",
    "checkpoint.every_n_minutes=0",  # at every step
    "data.batch_size=4",
    "trainer.accumulate_grad_batches=2",
    "logger=both",
)


class AtMicroBatch(pl.Callback):
    """A test's callback: does `action(module)` once micro-batch `number` of this call of fit is done."""

    def __init__(self, number: int, action: str):
        self.number, self.action = number, {"signal": self.signal, "poison": self.poison, "fail": self.fail}[action]

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if batch.index == self.number:
            self.action(module)

    def signal(self, module):
        os.kill(os.getpid(), signal.SIGTERM)

    def fail(self, module):
        raise OSError("the disk is full")

    @torch.no_grad()
    def poison(self, module):
        next(module.parameters()).fill_(math.nan)


def at_micro_batch(number: int, action: str) -> list[str]:
    node = f"{{_target_: {__name__}.AtMicroBatch, number: {number}, action: {action}}}"
    return [f"+callbacks.test={node}"]


def trained(overrides, *more: str) -> dict[str, float]:
    return train(*compose("train", *overrides, *more))


def folder_of(overrides, name: str) -> Path:
    (experiments,) = [o.partition("=")[2] for o in overrides if o.startswith("paths.experiments=")]
    return Path(experiments) / name


def status(folder: Path) -> dict:
    return json.loads((folder / "status.json").read_text())


def assert_equal_runs(one: Path, other: Path) -> None:
    assert metrics(one) == metrics(other)
    assert tensorboard(one) == tensorboard(other)
    weights = [(folder / "model" / "model.safetensors").read_bytes() for folder in (one, other)]
    assert weights[0] == weights[1]
    kept = ("step", "total_steps", "first", "best", "targets_seen", "state", "stopped_early")
    assert [status(one)[key] for key in kept] == [status(other)[key] for key in kept]


@pytest.fixture(scope="module")
def here(prepared, tmp_path_factory) -> list[str]:
    """Overrides for the runs of this file, which share one folder."""
    root = tmp_path_factory.mktemp("cli")
    return [
        "corpus=custom",
        "corpus.name=small",
        f"paths.data={prepared}",
        f"paths.experiments={root / 'experiments'}",
        f"paths.results={root / 'results'}",
        *RUN,
    ]


@pytest.fixture(autouse=True, scope="module")
def events_in_order():
    """TensorBoard names its files by the second: two of one folder within one would be read in the wrong order."""
    seconds = itertools.count(int(time.time()) + 3600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_file_writer, "time", SimpleNamespace(time=lambda: next(seconds)))
        yield


@pytest.fixture(scope="module")
def whole(here) -> Path:
    """A run that nothing interrupted."""
    trained(here, "name=whole")
    return folder_of(here, "whole")


def stop_after(process: Forked, folder: Path, step: int, stop) -> str:
    """Call `stop` once the run's last checkpoint is of `step` or later; returns what it printed."""
    deadline = time.monotonic() + 120
    while process.returncode is None and time.monotonic() < deadline:
        # The file is replaced atomically, so it is whole whenever it is there.
        if (folder / "status.json").exists() and status(folder)["step"] >= step:
            stop(process.pid)
            break
        time.sleep(0.002)
    done = process.wait(120)
    assert status(folder)["state"] != "finished", "the run was over before it could be stopped"
    return done.stdout + done.stderr


# A run and what is said of it -----------------------------------------------------------------------------------------


def test_what_a_run_leaves(whole):
    names = {path.name for path in whole.iterdir() if not path.name.startswith("events.")}
    assert names >= {"config.yaml", "run.json", "status.json", "train.log", "metrics.csv", "checkpoints", "model"}
    assert {path.name for path in (whole / "checkpoints").iterdir()} == {"last.ckpt", "previous.ckpt", "best.ckpt"}
    found = status(whole)
    assert (found["state"], found["stopped_early"]) == ("finished", False)
    assert found["step"] == found["total_steps"] == STEPS
    assert found["best"]["infill"] < found["first"]["infill"]
    validated = [int(row["step"]) for row in metrics(whole) if row["valid/infill_loss"]]
    assert validated == [0, 5, 10, STEPS]
    assert [int(row["step"]) for row in metrics(whole) if row["train/loss"]] == list(range(1, STEPS + 1))


def test_checkpoints_hold_plain_data(whole):
    for name in ("last.ckpt", "best.ckpt"):
        torch.load(whole / "checkpoints" / name, weights_only=True)


def test_the_exported_folder_is_a_usual_model(whole):
    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(whole / "model"),
        AutoTokenizer.from_pretrained(whole / "model"),
    )
    assert len(tokenizer) == 400 + 7
    assert model.get_input_embeddings().weight.shape[0] == 407
    ids = tokenizer("She<|infill_word|> here.<|startofinfill|>", return_tensors="pt").input_ids
    assert ids[0, -1] == 400
    assert model(input_ids=ids).logits.shape == (1, ids.shape[1], 407)
    best = torch.load(whole / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    for key, value in load_file(whole / "model" / "model.safetensors").items():
        assert torch.equal(best[f"model.{key}"], value), key


@pytest.mark.parametrize(
    ("level", "more"),
    [("all", []), ("A1", []), ("C1", ["objective=naive"]), ("B1", ["validation.max_examples=70"])],
)
def test_figures_of_training_equal_a_later_evaluation(here, level, more):
    name = f"same_{level}"
    best = trained(here, f"name={name}", f"cefr={level}", "trainer.max_steps=4", *more)
    count = 70 if level == "B1" else 20
    cfg, choices = compose(
        "evaluate",
        *here[:5],
        *(f"cefr={level}", f"models=[{name}]", "task.split=valid", f"task.max_examples={count}"),
    )
    found = evaluate(cfg, choices)
    found = found[(found["mask_type"] == "all") & (found["level"] == level)].set_index("kind")
    for kind in ("context", "infill", "infill_textonly"):
        assert found["loss"][kind] == pytest.approx(best[kind], abs=1e-5)
        assert found["perplexity"][kind] == pytest.approx(math.exp(best[kind]), rel=1e-5)


@pytest.mark.parametrize("objective", ["ilm", "no_context_ilm", "naive", "lm", "reverse_lm"])
def test_every_objective_finishes(here, objective):
    """Most have no context targets: their context loss is undefined, not a reason to fail at the very end."""
    name = f"objective_{objective}"
    best = trained(here, f"name={name}", f"objective={objective}", "trainer.max_steps=2")
    assert status(folder_of(here, name))["state"] == "finished"
    assert best["infill"] > 0
    assert (best["context"] is None) is (objective not in ("ilm", "naive"))


def test_a_finished_run_is_not_trained_again(whole, here, monkeypatch):
    monkeypatch.setattr(pl.Trainer, "fit", lambda *args, **kwargs: pytest.fail("trained again"))
    before = contents(whole)
    best = trained(here, "name=whole", "overwrite=no")
    assert best["step"] == status(whole)["best"]["step"]
    after = contents(whole)
    assert {key for key in before if before[key] != after.get(key)} == set()


def test_a_dry_run_leaves_no_folder(here):
    assert trained(here, "name=dry", "dry_run=true") == {}
    assert not folder_of(here, "dry").exists()


def test_a_run_that_grows_is_the_longer_run(here, whole):
    trained(here, "name=grown", "trainer.max_steps=7")
    with pytest.raises(UserError, match=r"trainer\.max_steps: 7 there, 6 now"):
        trained(here, "name=grown", "trainer.max_steps=6")
    trained(here, "name=grown")
    grown = folder_of(here, "grown")
    assert (grown / "model" / "model.safetensors").read_bytes() == (whole / "model" / "model.safetensors").read_bytes()
    assert status(grown)["step"] == STEPS


def test_a_folder_of_something_else_is_left_alone(here):
    (folder_of(here, "notes") / "chapter").mkdir(parents=True)
    with pytest.raises(UserError, match="notes exists but is not a run folder"):
        trained(here, "name=notes")


def test_the_batch_may_be_divided_otherwise(here, whole):
    """8 examples a step: 1 x 8 instead of 2 x 4, in the same folder and with the same losses."""
    trained(here, "name=divided", "data.batch_size=8", "trainer.accumulate_grad_batches=1")
    for one, other in zip(metrics(whole), metrics(folder_of(here, "divided")), strict=True):
        for key in ("valid/infill_loss", "valid/context_loss", "train/loss"):
            assert one[key] == other[key] == "" or float(other[key]) == pytest.approx(float(one[key]), abs=1e-4)


def test_a_run_goes_on_with_its_steps_divided_otherwise(here, whole):
    """Half-way from 2 micro-batches of 4 to 1 of 8: the step, not the micro-batch, is where a run stands."""
    trained(here, "name=redivided", "trainer.max_steps=7")
    trained(here, "name=redivided", "data.batch_size=8", "trainer.accumulate_grad_batches=1")
    redivided = folder_of(here, "redivided")
    # The last two rows are the metrics and the validation of the last step.
    for one, other in zip(metrics(whole)[-2:], metrics(redivided)[-2:], strict=True):
        assert one["step"] == other["step"] == str(STEPS)
        key = "train/loss" if one["train/loss"] else "valid/infill_loss"
        assert float(other[key]) == pytest.approx(float(one[key]), abs=1e-3)
    assert status(redivided)["best"]["infill"] == pytest.approx(status(whole)["best"]["infill"], abs=1e-3)


# Stopping and going on ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("micro_batch", [0, 5, 2 * STEPS - 3])
def test_sigterm_saves_at_the_end_of_the_step(here, whole, micro_batch):
    name = f"term{micro_batch}"
    with pytest.raises(SystemExit) as caught:
        trained(here, f"name={name}", "checkpoint.every_n_minutes=10", *at_micro_batch(micro_batch, "signal"))
    assert caught.value.code == 128 + signal.SIGTERM
    found = status(folder_of(here, name))
    # A signal in the last micro-batch of a step may be seen at the end of that step or of the next.
    assert (found["state"], found["step"] - micro_batch // 2 in (1, 2)) == ("interrupted", True)
    trained(here, f"name={name}", "checkpoint.every_n_minutes=10")
    assert_equal_runs(whole, folder_of(here, name))


def test_signals_are_as_before_once_a_run_is_over(here):
    """During the export, and between the jobs of a sweep, `kill` must kill."""
    before = [signal.signal(number, signal.default_int_handler) for number in (signal.SIGTERM, signal.SIGINT)]
    try:
        trained(here, "name=signals", "trainer.max_steps=1")
        assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        for number, handler in zip((signal.SIGTERM, signal.SIGINT), before, strict=True):
            signal.signal(number, handler)


def test_a_run_that_is_stopped_again_and_again(here, whole):
    for micro_batch in (3, 6, 11, 2 * STEPS - 3):
        with pytest.raises(SystemExit):
            trained(here, "name=again", *at_micro_batch(micro_batch, "signal"))
    trained(here, "name=again", "data.num_workers=1")
    assert_equal_runs(whole, folder_of(here, "again"))


def test_an_exception_saves_nothing_and_loses_little(here, whole):
    with pytest.raises(OSError, match="disk is full"):
        trained(here, "name=failed", *at_micro_batch(10, "fail"))
    assert status(folder_of(here, "failed"))["step"] == 5
    trained(here, "name=failed")
    assert_equal_runs(whole, folder_of(here, "failed"))


def test_a_run_that_died_before_its_first_checkpoint(here, whole):
    """Its rows in metrics.csv and events would otherwise stand there twice."""
    with pytest.raises(OSError, match="disk is full"):
        trained(here, "name=early", "checkpoint.every_n_minutes=10", *at_micro_batch(13, "fail"))
    assert len(metrics(folder_of(here, "early"))) > 5
    trained(here, "name=early")
    assert_equal_runs(whole, folder_of(here, "early"))


def test_a_damaged_last_row_of_metrics_is_made_good(here, whole):
    with pytest.raises(SystemExit):
        trained(here, "name=row", *at_micro_batch(10, "signal"))
    with open(folder_of(here, "row") / "metrics.csv", "a") as file:
        file.write("7,5.3,")
    trained(here, "name=row")
    assert_equal_runs(whole, folder_of(here, "row"))


@pytest.mark.parametrize(
    ("name", "stop", "code"),
    [
        ("killed", os.kill, -signal.SIGKILL),
        ("terminated", os.killpg, 128 + signal.SIGTERM),
        ("ctrl_c", os.killpg, 128 + signal.SIGINT),
    ],
)
def test_stopped_from_outside(here, whole, tmp_path, name, stop, code):
    """As a scheduler and a terminal do it: the signal reaches the whole group, with it the loader's worker."""
    sent = -code if code < 0 else code - 128
    process = Forked(tmp_path, "train.py", *here, f"name={name}", "data.num_workers=1")
    out = stop_after(process, folder_of(here, name), 4, lambda pid: stop(pid, sent))
    assert process.returncode == code, out
    if code > 0:
        assert "Traceback" not in out
        assert status(folder_of(here, name))["state"] == "interrupted"
        assert "repeat the command to resume" in out
    trained(here, f"name={name}")
    assert_equal_runs(whole, folder_of(here, name))


# What goes wrong while training ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more", [["optimizer.lr=1e30"], ["optimizer=sgd", "optimizer.lr=1e30", "trainer.gradient_clip_val=null"]]
)
def test_a_rate_that_explodes_stops_the_run(here, more):
    name = f"explodes{len(more)}"
    with pytest.raises(NonFiniteLoss, match=r"optimizer step \d+; the model was not updated"):
        trained(here, f"name={name}", "validation.every_n_steps=1", *more)
    assert not (folder_of(here, name) / "model").exists()


def test_weights_that_became_nan_overwrite_nothing(here):
    with pytest.raises(NonFiniteLoss, match="loss is nan"):
        trained(here, "name=nan", "validation.every_n_steps=100", *at_micro_batch(8, "poison"))
    folder = folder_of(here, "nan")
    for name in ("last.ckpt", "best.ckpt"):
        saved = torch.load(folder / "checkpoints" / name, weights_only=True)
        assert saved["global_step"] <= 4
        assert all(value.isfinite().all() for value in saved["state_dict"].values())
    assert status(folder)["state"] == "failed"
    assert "The loss is nan" in status(folder)["reason"]
    assert not (folder / "model").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["trainer.strategy=fast"], "trainer.strategy=fast"),
        (["trainer.precision=fast"], "trainer.precision=fast"),
        (["optimizer.weight_decay=-1"], "weight_decay"),
        (["data.max_length=1100"], "data.max_length=1024"),
        (["model.architecture.n_head=5"], "num_heads"),
        (["model.architecture.model_type=gtp2"], "gtp2"),
        (["+model.architecture.n_layers=2"], "n_layers"),
        (["masking=words"], "python prepare.py"),
        (["corpus.name=other"], "holds no prepared corpus"),
        (["corpus.sample_size=50"], "corpus.sample_size"),
        (["split.seed=1"], "split.seed"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(here, more, message):
    name = more[0].strip("+").split("=")[0]
    with pytest.raises(UserError) as caught:
        trained(here, f"name={name}", *more)
    assert message in str(caught.value)
    assert not folder_of(here, name).exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there(here):
    with pytest.raises(UserError, match=r"trainer\.accelerator=gpu"):
        trained(here, "name=refused", "trainer=gpu", "trainer.precision=32-true")
    cfg, choices = compose("evaluate", *here[:5], "task.device=cuda")
    with pytest.raises(UserError, match=r"task\.device=cuda"):
        evaluate(cfg, choices)


@pytest.mark.parametrize("config", [None, "{}", "not json"])
def test_a_folder_that_holds_no_model(here, tmp_path, config):
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    overrides = [override for override in here if not override.startswith(("experiment", "model"))]
    with pytest.raises(UserError) as caught:
        trained(overrides, "name=no_model", "model=custom", f"model.path={tmp_path}", "model.name=none")
    assert str(tmp_path) in str(caught.value)
    assert not folder_of(here, "no_model").exists()


def test_a_model_trained_here_is_trained_further(here, whole):
    overrides = [override for override in here if not override.startswith(("experiment", "model"))]
    settings = ["model=custom", f"model.path={whole / 'model'}", "model.name=further", "trainer.max_steps=1"]
    best = trained(overrides, "name=further", *settings)
    assert status(folder_of(here, "further"))["first"]["infill"] == pytest.approx(status(whole)["best"]["infill"])
    assert best["step"] in (0, 1)


# Mistakes of preparing and evaluating ---------------------------------------------------------------------------------

GOOD = rows_of_small_corpus({"A1": 20, "B1": 20})


def faulty_csv(path: Path, fault: str) -> Path:
    rows = [dict(row) for row in GOOD]
    if fault == "missing":
        return path
    if fault == "no text column":
        rows = [{key: value for key, value in row.items() if key != "text"} for row in rows]
    elif fault == "one id twice":
        rows.append({**rows[3], "text": "Another text."})
    elif fault == "other levels":
        rows[7]["cefr_level"] = "Z9"
    elif fault == "empty texts":
        rows[7]["text"] = " "
    elif fault == "latin-1":
        rows = [{**row, "text": "Le café est fermé."} for row in rows]
    write_csv(path, rows, "latin-1" if fault == "latin-1" else "utf-8")
    if fault == "cut off in a quote":
        path.write_bytes(path.read_bytes() + b'A1-999,French,A1,"I am writing to')
    if fault == "empty":
        path.write_bytes(b"")
    return path


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("missing", "no such file; give its path: corpus.csv=FILE"),
        ("empty", "is empty"),
        ("no text column", "type corpus.columns.text=HEADER"),
        ("one id twice", "rows 5 and 42 have the same id 'A1-003' but different contents (text)"),
        ("other levels", "levels found: 'Z9' (1)"),
        ("empty texts", "empty text: 1 (rows 9)"),
        ("latin-1", "corpus.encoding="),
        ("cut off in a quote", "the quoted field that opens in row 42 never ends"),
    ],
)
def test_a_faulty_file_writes_nothing(tmp_path, fault, message):
    path = faulty_csv(tmp_path / "texts.csv", fault)
    cfg, _ = compose(
        "prepare", "corpus=custom", "corpus.name=mine", f"corpus.csv={path}", f"paths.data={tmp_path / 'data'}"
    )
    with pytest.raises(UserError) as caught:
        prepare(cfg)
    assert message in str(caught.value)
    assert not (tmp_path / "data").exists()


def test_a_mask_function_that_refuses_its_arguments_writes_nothing(tmp_path, small_csv):
    cfg, _ = compose(
        "prepare",
        *("corpus=custom", "corpus.name=mine", f"corpus.csv={small_csv}", f"paths.data={tmp_path / 'data'}"),
        "masking.function.p=2",
    )
    with pytest.raises(UserError, match="expected a probability"):
        prepare(cfg)
    assert not (tmp_path / "data").exists()


def test_prepared_data_are_not_replaced_unasked(tmp_path):
    overrides = ["corpus=sample", f"paths.data={tmp_path}", "num_workers=1", "masking.masks_per_document=2"]
    prepare(compose("prepare", *overrides, "corpus.synthetic.size=60")[0])
    before = contents(tmp_path)
    for other in ("corpus.synthetic.size=70", "corpus.synthetic.seed=1", "split.seed=1", "corpus.sample_size=50"):
        with pytest.raises(UserError, match="prepared with other settings"):
            prepare(compose("prepare", *overrides, "corpus.synthetic.size=60", other)[0])
        assert contents(tmp_path) == before, other
    prepare(compose("prepare", *overrides, "corpus.synthetic.size=60")[0])
    after = contents(tmp_path)
    assert {key for key in before if before[key] != after[key]} <= {"sample/prepare.log"}


def test_a_level_with_an_empty_split_is_refused_by_training_and_evaluation(tmp_path):
    path = write_csv(tmp_path / "texts.csv", rows_of_small_corpus({"A1": 20, "C1": 2}))
    mine = ["corpus=custom", "corpus.name=mine", f"paths.data={tmp_path / 'data'}", "corpus.levels=[A1,C1]"]
    prepare(compose("prepare", *mine, f"corpus.csv={path}", "num_workers=1", "masking.masks_per_document=2")[0])
    mine += [f"paths.experiments={tmp_path / 'experiments'}"]
    run = [*mine, *SMALL_MODEL, "masking.masks_per_document=2", "trainer.max_steps=1", "data.batch_size=4"]
    with pytest.raises(UserError, match=r"level C1 has no documents in"):
        trained(run, "cefr=C1")
    assert not (tmp_path / "experiments").exists()
    trained(run, "cefr=A1")
    cfg, choices = compose("evaluate", *mine, "models=[A1]", "task.levels=[C1]")
    with pytest.raises(UserError, match=r"level C1 has no documents in"):
        evaluate(cfg, choices)


def test_all_means_the_levels_of_the_corpus_which_is_named_by_its_name_alone(tmp_path, without_figures):
    """Two levels of one's own, another seed of the split: the manifest knows."""
    path = write_csv(tmp_path / "texts.csv", [r for r in rows_of_small_corpus() if r["cefr_level"] in ("A2", "B1")])
    data, levels = f"paths.data={tmp_path / 'data'}", "corpus.levels=[A2,B1,Q7]"
    mine = ["corpus=custom", "corpus.name=mine", f"corpus.csv={path}", data, levels, "split.seed=3"]
    prepare(compose("prepare", *mine, "num_workers=1", "masking.masks_per_document=2")[0])
    named = ["corpus.name=mine", data, f"paths.experiments={tmp_path / 'experiments'}"]
    run = [*SMALL_MODEL, "masking.masks_per_document=2", "trainer.max_steps=1", "data.batch_size=4"]
    trained([*named, *run], "cefr=all")
    trained([*named, *run], "cefr=A2")
    stored = yaml.safe_load((tmp_path / "experiments" / "mine_all_ilm_tiny_debug" / "config.yaml").read_text())
    assert (stored["cefr_level"]["levels"], stored["split"]["seed"]) == (["A2", "B1"], 3)
    with pytest.raises(UserError, match=r"holds no prepared corpus; did you mean corpus\.name=mine\?"):
        trained([*named[1:], *run], "corpus.name=mien")
    cfg, choices = compose("evaluate", *named, f"paths.results={tmp_path / 'results'}", "limit=2")
    assert {"A2", "B1"} <= set(evaluate(cfg, choices)["level"])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "No finished model"),
        (["models=[A1]"], "No finished model of level A1"),
        (["models=[nope]"], "'nope' is not a level, run, folder or pattern of runs"),
        (["corpus.name=other"], "holds no prepared corpus"),
    ],
)
def test_nothing_to_evaluate(small, overrides, message):
    cfg, choices = compose("evaluate", *small, *overrides)
    with pytest.raises(UserError) as caught:
        evaluate(cfg, choices)
    assert message in str(caught.value)


def test_an_unfinished_run_is_not_evaluated(here, whole):
    with pytest.raises(SystemExit):
        trained(here, "name=unfinished", *at_micro_batch(4, "signal"))
    cfg, choices = compose("evaluate", *here[:5], "models=[unfinished]")
    with pytest.raises(UserError, match="repeat its training command"):
        evaluate(cfg, choices)


def test_a_folder_of_results_that_is_none_is_not_replaced(here, whole, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.tex").write_text("all my work")
    options = [f"paths.results={tmp_path}", "name=notes", "models=[whole]", "task.max_examples=5"]
    cfg, choices = compose("evaluate", *here[:4], *options)
    with pytest.raises(UserError, match="notes"):
        evaluate(cfg, choices)
    assert contents(tmp_path) == {"notes/thesis.tex": b"all my work"}


# As it is typed -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        (
            "train.py",
            ["datta.batch_size=3"],
            "Could not override 'datta.batch_size': there is no such key; did you mean data.batch_size?",
        ),
        ("train.py", ["cerf=A1"], "no such key; did you mean cefr?"),
        ("train.py", ["checkpoint.zzz=1"], "no such key; checkpoint.* has every_n_minutes\n"),
        ("train.py", ["zzz=1"], "no such key; type python train.py --help for the keys\n"),
        ("train.py", ["-m", "cefr=A1,A2", "adapter=lora", "optimizer.lrr=1"], "did you mean optimizer.lr?"),
        ("evaluate.py", ["task.max_example=1"], "did you mean task.max_examples?"),
        ("train.py", ["+foo=1", "seed=x"], "2 mistakes in the configuration:"),
        ("evaluate.py", [], "python prepare.py corpus=sample"),
        ("prepare.py", ["corpus=custom", "corpus.name=mine", "corpus.csv=nope.csv"], "nope.csv: no such file"),
        (
            "prepare.py",
            ["corpus=custom", "corpus.csv=my (1).csv"],
            "need two kinds of quotes, the shell's and Hydra's: type \"corpus.csv='my (1).csv'\"",
        ),
        ("train.py", ["cefr=D9"], "error: cefr=D9: expected one of A1, A2, B1, B2, C1, all\n"),
        ("train.py", ["cefr=C2"], "type cefr_level.name=C2 'cefr_level.levels=[C2]'"),
        ("infill.py", ["--cefr", "A1"], "--cefr: type options without dashes: cefr=A1"),
        ("infill.py", ["models=[B1,", "B2]"], "a list with spaces needs quotes: type models=[B1,B2]"),
    ],
)
def test_a_mistake_is_one_message_and_leaves_nothing(tmp_path, script, arguments, message):
    done = run_forked(tmp_path, script, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_hub_that_cannot_be_reached(here, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    overrides = [override for override in here if not override.startswith(("experiment", "model"))]
    began = time.monotonic()
    with pytest.raises(UserError) as caught:
        trained(overrides, "model=gpt2", "name=no_hub")
    (line,) = str(caught.value).splitlines()
    assert line.startswith("The model 'openai-community/gpt2' is not on this machine")
    assert "model=tiny" in line
    assert not folder_of(here, "no_hub").exists()
    assert time.monotonic() - began < 60  # at once where nothing else runs


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("name=sweep1,.bad", "name=.bad: 1 mistake in the configuration:"),
        ("corpus.name=small,nothing", "nothing holds no prepared corpus"),
        ("masking=hierarchical,words", "masking=words: No masks at"),
        ("cefr_level.levels=[A1],[Z9]", "level Z9 has no documents"),
    ],
)
def test_a_mistake_in_one_run_of_a_sweep_starts_none(here, tmp_path, option, message):
    done = run_forked(tmp_path, "train.py", "-m", *here, "cefr=A1", "trainer.max_steps=1", option)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.endswith("nothing was started\n")
    assert not folder_of(here, "sweep1").exists()
    assert list(tmp_path.iterdir()) == []
