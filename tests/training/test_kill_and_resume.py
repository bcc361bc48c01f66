"""A run that is killed at random moments and restarted ends bit-identical to an undisturbed one.

Runs train.py in a terminal, with progress bar, loggers, a data worker and gradient accumulation. Each round kills one
run several times: during start-up, planning, the first validation, a step, the writing of a checkpoint or the export;
sometimes last.ckpt is damaged too. Processes are forked from one that has imported the libraries, except for kills
during start-up. `make kill-and-resume` does 20 rounds; KILL_ROUNDS=... sets their number, KILL_SEED=... makes others.
"""

import json
import os
import pty
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.conftest import REPOSITORY, SMALL_MODEL, environment
from tests.forked import Forked
from tests.run_logs import metrics, tensorboard

ROUNDS = int(os.environ.get("KILL_ROUNDS", "2"))
SEED = int(os.environ.get("KILL_SEED", "0"))
KILLS = 3  # a round, at most
STEPS = 40
RUN = (
    *SMALL_MODEL,
    f"trainer.max_steps={STEPS}",
    "trainer.log_every_n_steps=3",
    "validation.every_n_steps=7",
    "validation.max_examples=40",
    "checkpoint.every_n_minutes=0.002",
    "data.batch_size=4",
    "data.num_workers=1",
    "trainer.accumulate_grad_batches=2",
    "logger=both",
    "cefr=all",
)
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)
STATUS = ("state", "step", "total_steps", "stopped_early", "first", "best", "targets_seen")


def _default_signals() -> None:
    # What is started in the background, or by nohup, ignores some of them.
    for number in set(SIGNALS) - {signal.SIGKILL}:
        signal.signal(number, signal.SIG_DFL)


class Started:
    """train.py in a terminal, forked or in a `fresh` Python; `printed` is what it wrote there."""

    def __init__(self, overrides: list[str], *, fresh: bool = False):
        terminal, its_end = pty.openpty()
        if fresh:
            self.process: subprocess.Popen | Forked = subprocess.Popen(
                [sys.executable, str(REPOSITORY / "train.py"), *overrides],
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=its_end,
                stderr=its_end,
                start_new_session=True,
                preexec_fn=_default_signals,
            )
        else:
            self.process = Forked(Path.cwd(), "train.py", *overrides, terminal=os.ttyname(its_end))
        self._terminal, self._its_end, self._parts = terminal, its_end, []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                part = os.read(self._terminal, 65536)
            except OSError:  # nobody has the other end open
                break
            if not part:
                break
            self._parts.append(part)
        os.close(self._terminal)

    @property
    def printed(self) -> str:
        return b"".join(self._parts).decode(errors="replace")

    def wait_until(self, condition: Callable[[], bool], seconds: float = 120) -> None:
        """Until the condition holds or the process has ended."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and not condition() and time.monotonic() < deadline:
            time.sleep(0.0005)

    def kill(self, number: int) -> None:
        if self.process.poll() is None:
            self.wait_until(lambda: os.getpgid(self.process.pid) == self.process.pid)
            # SIGKILL as the kernel sends it, to one process; the others as a terminal or a scheduler, to all.
            (os.kill if number == signal.SIGKILL else os.killpg)(self.process.pid, number)

    def ended(self) -> int:
        self.process.wait(180)
        os.close(self._its_end)  # the last one, so that the reader ends
        self._reader.join(timeout=20)
        code = self.process.poll()
        assert code is not None
        return code


MOMENTS = ("start-up", "planning", "first validation", "step", "step", "checkpoint", "best", "export")


def wait_for(which: str, draw: random.Random, started: Started, folder: Path) -> None:
    """Wait for one of the `MOMENTS`, and a random time."""
    began_at = status(folder).get("step", 0)
    if which == "start-up":
        time.sleep(draw.uniform(0, 3))
    elif which == "planning":
        started.wait_until(lambda: "  steps  " in started.printed)
        time.sleep(draw.uniform(0, 1))
    elif which == "first validation":
        own = started.process.pid
        started.wait_until(lambda: (status(folder).get("state"), status(folder).get("pid")) == ("running", own))
        time.sleep(draw.uniform(0, 0.1))
    elif which == "step":
        goal = began_at + draw.randint(1, STEPS // 2)
        started.wait_until(lambda: status(folder).get("step", 0) >= goal)
        time.sleep(draw.uniform(0, 0.1))
    elif which in ("checkpoint", "best"):
        name = ".last.ckpt.tmp-*" if which == "checkpoint" else ".best.ckpt.tmp-*"
        goal = began_at + draw.randint(1, STEPS // 2)
        started.wait_until(lambda: status(folder).get("step", 0) >= goal)
        started.wait_until(lambda: any((folder / "checkpoints").glob(name)))
        time.sleep(draw.uniform(0, 0.003))
    else:
        started.wait_until(lambda: any(folder.glob(".model.tmp-*")))
        time.sleep(draw.uniform(0, 0.05))


def damage(draw: random.Random, folder: Path) -> str:
    """Spoil last.ckpt as disks and copies do, if there is another checkpoint."""
    last = folder / "checkpoints" / "last.ckpt"
    if not (last.exists() and last.with_name("previous.ckpt").exists()):
        return ""
    held = bytearray(last.read_bytes())
    how = draw.choice(("cut", "zeros", "one byte", "gone"))
    if how == "cut":
        held = held[: draw.randrange(len(held))]
    elif how == "zeros":
        held = bytes(len(held))
    elif how == "one byte":
        # In the middle of the weights: elsewhere it may fall on padding, where it does no harm.
        held[len(held) // 2] ^= 1 << draw.randrange(8)
    if how == "gone":
        last.unlink()
    else:
        last.write_bytes(held)
    return f", last.ckpt: {how}"


def status(folder: Path) -> dict[str, Any]:
    # Replaced atomically, so it is whole whenever it is there.
    try:
        return json.loads((folder / "status.json").read_text())
    except FileNotFoundError:
        return {}


# What two runs are compared by ----------------------------------------------------------------------------------------


def leaves(node: Any, path: str = "") -> dict[str, Any]:
    """Every number, text and tensor of a checkpoint by where it stands; a tensor as its bytes."""
    if isinstance(node, torch.Tensor):
        return {path: (str(node.dtype), tuple(node.shape), node.contiguous().numpy().tobytes())}
    if isinstance(node, np.ndarray):
        return {path: node.tobytes()}
    if isinstance(node, dict):
        return {key: leaf for name, part in node.items() for key, leaf in leaves(part, f"{path}/{name}").items()}
    if isinstance(node, list | tuple):
        return {key: leaf for i, part in enumerate(node) for key, leaf in leaves(part, f"{path}/{i}").items()}
    return {path: repr(node)}


def assert_bit_equal(one: Path, other: Path) -> None:
    for name in ("last.ckpt", "best.ckpt"):
        found = [leaves(torch.load(run / "checkpoints" / name, weights_only=True)) for run in (one, other)]
        assert found[0].keys() == found[1].keys(), name
        assert [key for key in found[0] if found[0][key] != found[1][key]] == [], name
    exported = [{file.name: file.read_bytes() for file in (run / "model").iterdir()} for run in (one, other)]
    assert exported[0].keys() == exported[1].keys()
    del exported[0]["README.md"], exported[1]["README.md"]  # the cards name the runs
    assert [name for name in exported[0] if exported[0][name] != exported[1][name]] == []
    assert metrics(one) == metrics(other)
    assert tensorboard(one) == tensorboard(other)
    assert [status(one)[key] for key in STATUS] == [status(other)[key] for key in STATUS]
    assert [str(path) for path in other.rglob(".*")] == []


# The rounds -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def here(prepared, tmp_path_factory) -> list[str]:
    experiments = tmp_path_factory.mktemp("killed")
    return ["corpus=custom", "corpus.name=small", f"paths.data={prepared}", f"paths.experiments={experiments}", *RUN]


@pytest.fixture(scope="module")
def untouched(here) -> Path:
    """The run that nobody kills."""
    started = Started([*here, "name=untouched"])
    assert started.ended() == 0, started.printed
    return Path(next(o for o in here if o.startswith("paths.experiments=")).partition("=")[2]) / "untouched"


def wait_for_next_event_file(folder: Path) -> None:
    """TensorBoard names its files by the second: two of one folder within one may be read in the wrong order."""
    for path in folder.glob("events.out.tfevents.*"):
        while int(path.name.split(".")[3]) >= int(time.time()):
            time.sleep(0.05)


@pytest.mark.parametrize("number", range(ROUNDS))
def test_killed_and_started_again(here, untouched, number):
    draw = random.Random(f"{SEED}/{number}")
    folder = untouched.parent / f"round{number}"
    command = [*here, f"name={folder.name}"]
    told = []
    for _ in range(draw.randint(2, KILLS)):
        which = draw.choice(MOMENTS)
        wait_for_next_event_file(folder)
        started = Started(command, fresh=which == "start-up")
        wait_for(which, draw, started, folder)
        stop = draw.choice(SIGNALS)
        started.kill(stop)
        code = started.ended()
        told.append(f"{which}: {signal.Signals(stop).name} -> {code} at step {status(folder).get('step')}")
        # Python itself dies of a signal for which nobody has set a handler yet, and in its own words if it has not
        # come to the program's first line.
        if "Fatal Python error: init_" in started.printed:
            continue
        finished = code == 0 and status(folder)["state"] == "finished"
        assert code in (-stop, 128 + stop) or finished, (told, started.printed)
        assert "Traceback" not in started.printed, (told, started.printed)
        if finished:
            break
        if stop == signal.SIGKILL and draw.random() < 0.5:
            told[-1] += damage(draw, folder)
    wait_for_next_event_file(folder)
    started = Started(command)
    assert started.ended() == 0, (told, started.printed)
    print(f"round {number}: " + "; ".join(told))
    assert_bit_equal(untouched, folder)
