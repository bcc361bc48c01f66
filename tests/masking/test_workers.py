import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import environment

KILLED = """
import os, signal
from ilm.masking.workers import ordered_map

def work(number):
    return os.getpid()

if __name__ == "__main__":
    with ordered_map(2) as in_order:
        print(*set(in_order(work, range(8))), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_end_with_a_killed_parent(tmp_path):
    (tmp_path / "killed.py").write_text(KILLED)
    done = subprocess.run(
        [sys.executable, tmp_path / "killed.py"], stdout=subprocess.PIPE, env=environment(), text=True, timeout=60
    )
    workers = [int(word) for word in done.stdout.split()]
    assert workers
    for _ in range(100):
        if not any(map(is_alive, workers)):
            return
        time.sleep(0.1)
    pytest.fail(f"of the workers {workers} some are alive")


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # A process that nobody has waited for is still listed.
    return "Z" not in Path(f"/proc/{process}/stat").read_text().split()[2]
