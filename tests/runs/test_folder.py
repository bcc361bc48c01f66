"""Names, identities and folders of runs; what an entry point prints and which code it exits with."""

import errno
import json
import logging
import os
import platform
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf.errors import ConfigKeyError

from ilm.cli.logging import set_up_logging
from ilm.cli.main import entry_point, job
from ilm.config.check import check
from ilm.config.train import Train
from ilm.errors import UserError
from ilm.files import write_json
from ilm.hardware import is_first_process
from ilm.runs import folder as runs
from ilm.runs.folder import RunFolder
from ilm.runs.identity import identity_differences, run_identity, run_name
from ilm.runs.trained_model import model_in
from tests.conftest import REPOSITORY, compose, contents, environment

DATA = {"documents": "d0", "masks": "hierarchical-m0", "tokenizer": "t0", "new_rows": True}


def named(*overrides: str) -> str:
    return run_name(composed(*overrides))


@cache
def composed(*overrides: str) -> Train:
    cfg, choices = compose("train", *overrides)
    return check(cfg, Train, choices)


def identity(*overrides: str, examples_per_step: int = 8, **data) -> dict:
    return run_identity(composed(*overrides), "gpt2", {**DATA, **data}, {"examples_per_step": examples_per_step})


def differences(*overrides: str, before: tuple[str, ...] = (), **kwargs) -> list[str]:
    return identity_differences(identity(*before), identity(*before, *overrides, **kwargs))


# Names ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ([], "sample_all_ilm"),
        (["cefr=A1"], "sample_A1_ilm"),
        (["cefr_level=B2"], "sample_B2_ilm"),
        (["corpus=efcamdat", "cefr=A1"], "efcamdat_A1_ilm"),
        (["corpus=custom", "corpus.name=mine", "cefr=C1"], "mine_C1_ilm"),
        (["objective=naive"], "sample_all_naive"),
        (["model=distilgpt2"], "sample_all_ilm_distilgpt2"),
        (["model=tiny"], "sample_all_ilm_tiny"),
        (["model.pretrained=false"], "sample_all_ilm_scratch"),
        (["model=gpt2-medium", "model.pretrained=false"], "sample_all_ilm_gpt2-medium_scratch"),
        (["model=custom", "model.path=org/small-lm"], "sample_all_ilm_small-lm"),
        (["model=custom", "model.path=/models/mine/"], "sample_all_ilm_mine"),
        (["model=custom", "model.path=org/small-lm", "model.name=other"], "sample_all_ilm_other"),
        (["masking=words"], "sample_all_ilm_words"),
        (["experiment=full_epoch"], "sample_all_ilm_full_epoch"),
        (["experiment=debug"], "sample_all_ilm_tiny_debug"),
        (["seed=1"], "sample_all_ilm_s1"),
        (["seed=0"], "sample_all_ilm"),
        (["experiment=token_matched", "match=C1"], "sample_all_ilm_matched-C1"),
        (
            ["experiment=token_matched", "match=experiments/sample_C1_ilm_tiny_debug", "model=tiny", "seed=2"],
            "sample_all_ilm_tiny_matched-C1-debug_s2",
        ),
        (["experiment=token_matched", "match=my_run"], "sample_all_ilm_matched-my_run"),
        (["cefr=A1", "init_from=experiments/sample_all_ilm"], "sample_A1_ilm_from-all"),
        (
            ["cefr=A1", "init_from=experiments/sample_all_ilm_s1/model", "adapter=lora"],
            "sample_A1_ilm_from-all-s1_lora",
        ),
        (["cefr=A1", "data.only={l1: [Portuguese]}"], "sample_A1_ilm_l1-Portuguese"),
        (
            ["cefr=A1", "data.only={topic: [b/c d], l1: [Thai, Arabic]}", "init_from=A1", "experiment=full_epoch"],
            "sample_A1_ilm_full_epoch_l1-Arabic-Thai_topic-b-c-d_from-A1",
        ),
        (["experiment=random_subset", "data.like=C1"], "sample_all_ilm_random_subset_like-C1"),
        (
            ["experiment=random_subset", "data.like=C1", "data.draw=3", "seed=1"],
            "sample_all_ilm_random_subset_like-C1_d3_s1",
        ),
        (
            ["experiment=random_subset", "data.like=C1", "match_on=infill"],
            "sample_all_ilm_random_subset_like-C1_matched-C1",
        ),
        (["experiment=finetuned_generalist", "cefr=C1", "seed=1"], "sample_C1_ilm_from-all_s1"),
        (["experiment=conditioned"], "sample_all_ilm_conditioned-level"),
        (["data.condition=[l1,cefr_level]", "seed=1"], "sample_all_ilm_conditioned-level-first-language_s1"),
        (["experiment=balanced_generalist"], "sample_all_ilm_balanced_generalist"),
        (["masking.resample_each_epoch=true"], "sample_all_ilm_resampled"),
        (["optimizer.lr=1e-4", "trainer=cpu", "data.batch_size=4"], "sample_all_ilm"),
        (
            ["cefr=A2", "objective=lm", "model=tiny", "masking=words", "experiment=full_epoch", "seed=12"],
            "sample_A2_lm_tiny_words_full_epoch_s12",
        ),
        (["name=mine", "seed=3", "model=tiny"], "mine"),
    ],
)
def test_run_names(overrides, name):
    assert named(*overrides) == name


@pytest.mark.parametrize(("experiment", "more"), [("token_matched", ["match=C1"]), ("debug", []), ("six_models", [])])
def test_a_copied_experiment_behaves_like_the_original(experiment, more, tmp_path):
    (tmp_path / "experiment").mkdir()
    shutil.copyfile(REPOSITORY / "conf" / "experiment" / f"{experiment}.yaml", tmp_path / "experiment" / "copied.yaml")
    copied = composed(f"hydra.searchpath=[file://{tmp_path}]", "experiment=copied", *more)
    assert copied == composed(f"experiment={experiment}", *more)
    assert run_name(copied) == named(f"experiment={experiment}", *more)


def test_a_copied_experiment_needs_what_the_original_needs(tmp_path):
    (tmp_path / "experiment").mkdir()
    text = (REPOSITORY / "conf" / "experiment" / "token_matched.yaml").read_text()
    (tmp_path / "experiment" / "copied.yaml").write_text(text)
    with pytest.raises(UserError, match="or type match=C1"):
        composed(f"hydra.searchpath=[file://{tmp_path}]", "experiment=copied")


def test_six_models_have_six_names():
    assert len({named(f"cefr={level}") for level in ("A1", "A2", "B1", "B2", "C1", "all")}) == 6


# Identities -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "overrides",
    [
        ["paths.data=/elsewhere"],
        ["paths.experiments=/elsewhere", "paths.results=/elsewhere"],
        ["logger=csv"],
        ["logger=none"],
        ["callbacks=none"],
        ["data.num_workers=4"],
        ["trainer.log_every_n_steps=7"],
        ["trainer.accelerator=cpu"],
        ["trainer=cpu"],
        ["trainer=ddp"],
        ["trainer.devices=2", "data.batch_size=4"],
        ["data.batch_size=2", "trainer.accumulate_grad_batches=4"],
        ["checkpoint.every_n_minutes=1"],
        ["dry_run=true"],
        ["overwrite=true"],
        ["name=other"],
        ["trainer.max_steps=70000"],
        ["trainer.max_steps=-1"],
        ["trainer.max_epochs=2"],
        ["trainer.max_epochs=-1"],
    ],
)
def test_free_to_change(overrides):
    assert differences(*overrides) == []


def test_where_the_corpus_lies_is_free():
    before = ("corpus=custom", "corpus.name=mine")
    assert differences("corpus.csv=/elsewhere.csv", before=before) == []


@pytest.mark.parametrize(
    ("overrides", "lines"),
    [
        (["seed=1"], ["seed: 0 there, 1 now"]),
        (["optimizer.lr=1e-4"], ["optimizer.lr: 5e-05 there, 0.0001 now"]),
        (["trainer.precision=bf16-mixed"], ["trainer.precision: 'auto' there, 'bf16-mixed' now"]),
        (["trainer.gradient_clip_val=null"], ["trainer.gradient_clip_val: 1.0 there, None now"]),
        (["objective=lm"], ["objective: 'ilm' there, 'lm' now"]),
        (["data.max_length=128"], ["data.max_length: 512 there, 128 now"]),
        (["masking.masks_per_document=8"], ["masking.masks_per_document: 16 there, 8 now"]),
        (["masking.seed=1"], ["masking.seed: 0 there, 1 now"]),
        (["split.seed=1"], ["split.seed: None there, 1 now"]),
        (["schedule.warmup_steps=10"], ["schedule.warmup_steps: 0 there, 10 now"]),
        (["early_stopping.patience=3"], ["early_stopping.patience: None there, 3 now"]),
        (["validation.every_n_steps=10"], ["validation.every_n_steps: None there, 10 now"]),
        (["trainer.max_steps=59999"], ["trainer.max_steps: 60000 there, 59999 now"]),
        (["model.pretrained=false"], ["model.pretrained: True there, False now"]),
        (["+trainer.benchmark=true"], ["trainer.benchmark: None there, True now"]),
    ],
)
def test_not_free_to_change(overrides, lines):
    assert differences(*overrides) == lines


@pytest.mark.parametrize(
    ("shape", "old", "new", "allowed"),
    [
        ("constant", 20, 30, True),
        ("constant", 20, 20, True),
        ("constant", 20, 10, False),
        ("constant", 20, -1, True),
        ("constant", -1, 20, False),
        ("linear", 20, 30, False),
        ("cosine", 20, 30, False),
        ("linear", 20, 20, True),
    ],
)
def test_a_run_may_grow_under_a_constant_schedule_only(shape, old, new, allowed):
    before = identity(f"schedule.shape={shape}", f"trainer.max_steps={old}")
    now = identity(f"schedule.shape={shape}", f"trainer.max_steps={new}")
    assert (identity_differences(before, now) == []) is allowed


def test_the_batch_may_be_divided_but_not_changed():
    assert identity_differences(identity(), identity(examples_per_step=16)) == ["examples_per_step: 8 there, 16 now"]


@pytest.mark.parametrize("key", DATA)
def test_the_data_are_part_of_the_identity(key):
    (line,) = identity_differences(identity(), identity(**{key: "other"}))
    assert line.startswith(f"data.{key}: ")


def test_an_experiment_is_part_of_the_identity():
    assert "experiment_name: None there, 'full_epoch' now" in differences("experiment=full_epoch")


def test_identities_survive_json():
    found = identity("experiment=debug")
    assert identity_differences(json.loads(json.dumps(found)), found) == []


# Folders --------------------------------------------------------------------------------------------------------------


def opened(path: Path, overwrite: bool = False, **changed) -> RunFolder:
    identity = {"seed": 0, "lr": 0.1, **changed}
    folder = RunFolder.open(path, identity, overwrite)
    folder.begin(composed("variant='é'"), identity, overwrite)
    return folder


def test_a_folder_that_cannot_be_written_is_one_message_and_stays(tmp_path):
    opened(tmp_path / "run")
    (tmp_path / "run" / "checkpoints").rmdir()
    (tmp_path / "run" / "checkpoints").touch()  # whoever runs the tests, nothing can be written in it
    before = contents(tmp_path)
    for overwrite in (False, True):
        with pytest.raises(UserError, match=r"checkpoints cannot be written to .* type paths\.experiments=\.\.\."):
            opened(tmp_path / "run", overwrite)
    assert contents(tmp_path) == before


def test_a_new_folder_holds_what_the_run_is(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train.py", "cefr=A1"])
    folder = opened(tmp_path / "e" / "a")
    assert folder.settings == composed("variant='é'")
    assert folder.checkpoints.is_dir()
    record = json.loads((folder.path / "run.json").read_text())
    assert record["identity"] == {"seed": 0, "lr": 0.1}
    (begun,) = record["commands"]
    assert begun["command"] == "python train.py cefr=A1"
    assert {"python", "torch", "transformers", "pytorch-lightning", "commit"} <= set(begun["versions"])
    assert folder.status == {}


def test_commands_are_remembered_in_order_as_they_can_be_typed(tmp_path, monkeypatch):
    for argument in ("x", "name=a b"):
        monkeypatch.setattr(sys, "argv", ["train.py", argument])
        folder = opened(tmp_path / "a")
    commands = json.loads((folder.path / "run.json").read_text())["commands"]
    assert [begun["command"] for begun in commands] == ["python train.py x", "python train.py 'name=a b'"]


def test_another_identity_is_refused_and_changes_nothing(tmp_path):
    opened(tmp_path / "a")
    before = contents(tmp_path)
    with pytest.raises(UserError) as caught:
        opened(tmp_path / "a", lr=0.2, seed=1)
    assert str(caught.value).splitlines() == [
        f"{tmp_path / 'a'} holds another run:",
        "  - lr: 0.1 there, 0.2 now",
        "  - seed: 0 there, 1 now",
        "Type its values to resume it, name=... for a separate run, or overwrite=true to delete it and start over.",
    ]
    assert contents(tmp_path) == before


def test_overwrite_begins_anew(tmp_path):
    folder = opened(tmp_path / "a")
    (folder.checkpoints / "last.ckpt").write_text("old")
    folder.set_status(state="finished")
    folder = opened(tmp_path / "a", overwrite=True, lr=0.2)
    assert (list(folder.checkpoints.iterdir()), folder.status) == ([], {})
    assert opened(tmp_path / "a", lr=0.2).path == folder.path


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_is_no_run_is_never_touched(tmp_path, overwrite):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "thesis.tex").write_text("all my work")
    with pytest.raises(UserError, match="not a run folder"):
        opened(tmp_path / "a", overwrite=overwrite)
    assert contents(tmp_path) == {"a/thesis.tex": b"all my work"}


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "a").mkdir()
    assert opened(tmp_path / "a").checkpoints.is_dir()


def test_status_is_added_to_and_says_who_wrote_it(tmp_path):
    folder = opened(tmp_path / "a")
    folder.set_status(state="running", step=1)
    folder.set_status(step=2)
    found = folder.status
    assert (found["state"], found["step"], found["pid"]) == ("running", 2, os.getpid())
    assert datetime.fromisoformat(found["updated"]) <= datetime.now(UTC)


@pytest.mark.parametrize("damaged", ["", '{"identity": {', "[]", "{}"])
def test_a_damaged_record_is_told_and_a_damaged_status_is_none(tmp_path, damaged):
    folder = opened(tmp_path / "a")
    (folder.path / "status.json").write_text(damaged)
    assert opened(tmp_path / "a").status == {}
    (folder.path / "run.json").write_text(damaged)
    with pytest.raises(UserError, match=r"run\.json, which identifies this run, is damaged"):
        opened(tmp_path / "a")
    assert opened(tmp_path / "a", overwrite=True).record["commands"]


def test_a_run_that_was_killed_is_told_from_one_that_runs(tmp_path):
    folder = opened(tmp_path / "a")
    assert folder.state == "not begun"
    folder.set_status(state="running")
    assert folder.state == "running"
    gone = subprocess.Popen(["true"])
    gone.wait()
    write_json(folder.path / "status.json", {**folder.status, "pid": gone.pid})
    assert folder.state == "killed"
    with pytest.raises(UserError, match="is killed, not finished"):
        model_in(folder.path)
    write_json(folder.path / "status.json", {**folder.status, "host": "another"})
    assert folder.state == "running"


def test_what_a_kill_left_half_written_is_removed(tmp_path):
    folder = opened(tmp_path / "a")
    gone = folder.checkpoints / f".last.ckpt.tmp-{platform.node()}-{os.getpid()}-0123abcd"
    gone.write_text("half")
    opened(tmp_path / "a")
    assert not gone.exists()


def test_a_run_killed_before_it_was_written_down_is_no_obstacle(tmp_path):
    gone = subprocess.Popen(["true"])
    gone.wait()
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / f".run.json.tmp-{platform.node()}-{gone.pid}-0123abcd").write_text("{")
    assert opened(tmp_path / "a").checkpoints.is_dir()


def test_two_processes_do_not_share_a_run(tmp_path):
    with RunFolder.claimed(tmp_path / "a"):
        opened(tmp_path / "a").set_status(state="running")
        told = pytest.raises(UserError, match=f"being trained by another process .process {os.getpid()} on ")
        with told, RunFolder.claimed(tmp_path / "a"):
            pytest.fail("claimed twice")
        with RunFolder.claimed(tmp_path / "b"):
            pass
    with RunFolder.claimed(tmp_path / "a"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_the_other_processes_of_a_run_need_no_claim(tmp_path, monkeypatch):
    with RunFolder.claimed(tmp_path / "a"):
        for name, value in {"TORCHELASTIC_RUN_ID": "1", "RANK": "1"}.items():
            monkeypatch.setenv(name, value)
        with RunFolder.claimed(tmp_path / "a"):
            pass


def test_a_file_system_without_locks_is_no_obstacle(tmp_path, monkeypatch, caplog):
    def flock(*args):
        raise OSError(errno.ENOSYS, "not here")

    monkeypatch.setattr("filelock._unix.fcntl.flock", flock)
    monkeypatch.setattr(logging.getLogger("ilm"), "propagate", True)
    with RunFolder.claimed(tmp_path / "a"):
        assert "has no file locks" in caplog.text


@pytest.mark.parametrize(
    ("environment", "first"),
    [
        ({}, True),
        ({"TORCHELASTIC_RUN_ID": "1", "RANK": "0", "LOCAL_RANK": "0"}, True),
        ({"TORCHELASTIC_RUN_ID": "1", "RANK": "2", "LOCAL_RANK": "0"}, False),
        ({"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "0"}, True),
        ({"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "3"}, False),
        ({"ILM_PARENT_PROCESS": str(os.getppid()), "LOCAL_RANK": "1"}, False),
        ({"MASTER_ADDR": "node0", "NODE_RANK": "1"}, False),
        ({"MASTER_ADDR": "node0", "NODE_RANK": "0"}, True),
        # Left behind by a shell, not said by a launcher.
        ({"RANK": "1"}, True),
        ({"LOCAL_RANK": "1", "ILM_PARENT_PROCESS": "1"}, True),
        ({"SLURM_PROCID": "3", "SLURM_NTASKS": "4"}, True),
        ({"NODE_RANK": "1"}, True),
    ],
)
def test_only_the_first_process_writes(environment, first, monkeypatch, tmp_path):
    for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID", "NODE_RANK", "MASTER_ADDR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_first_process() is first
    opened(tmp_path / "a", overwrite=True)
    assert (tmp_path / "a").exists() is first


# Exit codes -----------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def as_typed(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train.py"])


def raising(error: BaseException):
    def main():
        raise error

    return main


def with_cause(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (UserError("type name=..."), "error: type name=...\n"),
        (UserError("two\nlines"), "error: two\nlines\n"),
        (with_cause(UserError("ours"), ValueError("theirs")), "error: ours\n"),
        (HydraException("hydra says"), "error: hydra says\n"),
        (with_cause(HydraException("outer"), ValueError("inner\nmore")), "error: outer\ninner\n"),
        (ConfigKeyError("no such key"), "error: no such key\n"),
    ],
)
def test_mistakes_are_one_message_and_code_2(error, message, capsys):
    with pytest.raises(SystemExit) as caught:
        entry_point(raising(error))
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", message)


def test_only_training_divides_its_work_over_processes(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["evaluate.py"])
    for name, value in {"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "0", "SLURM_JOB_NAME": "x"}.items():
        monkeypatch.setenv(name, value)
    main = raising(ZeroDivisionError())
    with pytest.raises(SystemExit, match="2"):
        entry_point(main)
    assert "srun started 2 processes of evaluate.py" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["train.py"])
    with pytest.raises(ZeroDivisionError):
        entry_point(main)


def test_ctrl_c_is_130(capsys):
    with pytest.raises(SystemExit) as caught:
        entry_point(raising(KeyboardInterrupt()))
    assert caught.value.code == 130
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(("error", "code"), [("KeyboardInterrupt", 130), ("SystemExit(143)", 143)])
def test_a_signal_is_not_lost_while_an_object_is_deleted(error, code):
    program = f"""
import ilm.cli.interrupts, time
from ilm.cli.main import entry_point
class Deleted:
    def __del__(self):
        raise {error}
def main():
    Deleted()
    time.sleep(30)
entry_point(main)
"""
    done = subprocess.run([sys.executable, "-c", program], env=environment(), capture_output=True, text=True)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)


def test_bugs_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        entry_point(raising(ZeroDivisionError("bug")))


@pytest.mark.parametrize("mode", [RunMode.RUN, RunMode.MULTIRUN])
def test_a_mistake_ends_a_run_at_once_but_not_a_sweep(mode, monkeypatch, capsys):
    class Config:
        runtime = SimpleNamespace(choices={"hydra/launcher": "basic"})
        overrides = SimpleNamespace(task=[])

    Config.mode = mode
    monkeypatch.setattr(HydraConfig, "get", staticmethod(lambda: Config))
    with pytest.raises(SystemExit if mode == RunMode.RUN else UserError), job():
        raise UserError("a mistake")


@pytest.fixture
def logging_as_before():
    yield
    for handler in logging.getLogger("ilm").handlers[:]:
        logging.getLogger("ilm").removeHandler(handler)
        handler.close()
    logging.getLogger("ilm").propagate = True


def test_the_log_is_appended_to_and_not_doubled(tmp_path, capsys, logging_as_before):
    for line in ("one", "two"):
        set_up_logging(tmp_path / "x" / "train.log")
        logging.getLogger("ilm").info(line)
    assert capsys.readouterr().err == "one\ntwo\n"
    lines = (tmp_path / "x" / "train.log").read_text().splitlines()
    assert [line.rsplit(" ", 1)[1] for line in lines] == ["one", "two"]


def test_a_name_that_is_not_utf_8_is_logged(tmp_path, capsys, logging_as_before):
    set_up_logging(tmp_path / "train.log")
    logging.getLogger("ilm").info("read: %s", os.fsdecode(b"caf\xe9.csv"))
    assert (tmp_path / "train.log").read_text(encoding="utf-8").endswith("read: caf\\udce9.csv\n")
    assert "cannot be written" not in capsys.readouterr().err


def test_a_log_that_cannot_be_opened_is_told_once_and_stops_nothing(tmp_path, capsys, logging_as_before):
    (tmp_path / "train.log").mkdir()
    set_up_logging(tmp_path / "train.log")
    for line in ("one", "two"):
        logging.getLogger("ilm").info(line)
    told = capsys.readouterr().err.splitlines()
    assert [line for line in told if "train.log cannot be written" not in line] == ["one", "two"]
    assert len(told) == 3


def test_versions_do_not_need_git(monkeypatch):
    monkeypatch.setenv("PATH", "")
    found = runs.versions.__wrapped__()
    assert found["commit"] == "unknown"
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))


def test_no_environment_variable_is_left_behind(monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    entry_point(lambda: None)
    assert os.environ["HYDRA_FULL_ERROR"] == "0"
