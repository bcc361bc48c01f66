"""Every branch for GPUs can be traced, for each generation of cards, without a GPU: `make cuda-simulation`."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import torch
from torch.utils.cpp_extension import include_paths

from tests.conftest import REPOSITORY, environment

LIBRARIES = Path(torch.__file__).parent / "lib"


@pytest.fixture(scope="session")
def fake_cuda(tmp_path_factory) -> Path:
    """A library that gives torch's CPU build a CUDA device; needs a C++ compiler."""
    if torch.version.cuda is not None:
        pytest.skip("this torch has a CUDA of its own")
    made = tmp_path_factory.mktemp("fake") / "libfakecuda.so"
    source = Path(__file__).with_name("fake_cuda.cpp")
    options = ["-O1", "-shared", "-fPIC", "-std=c++20", *(f"-I{path}" for path in include_paths())]
    linked = [f"-L{LIBRARIES}", "-lc10", "-ltorch_cpu", f"-Wl,-rpath,{LIBRARIES}"]
    subprocess.run([os.environ.get("CXX", "g++"), *options, str(source), "-o", str(made), *linked], check=True)
    return made


@cache
def traces(library: Path, major: int) -> dict[str, dict]:
    """What `tests.cuda_simulation.trace` tells of each case."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.cuda_simulation.trace", str(major)],
        cwd=REPOSITORY,
        env=environment(LD_PRELOAD=str(library)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    print(done.stdout)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {one.pop("case"): one for one in found}


@pytest.mark.parametrize("major", [7, 8, 9])
def test_every_case_is_traced(fake_cuda, major):
    found = traces(fake_cuda, major)
    assert {name.split()[0] for name in found} >= {"training", "scoring", "grouped", "decoding"}
    assert {name: case["error"] for name, case in found.items() if "error" in case} == {}
    compiled = {name: case for name, case in found.items() if "compiled" in name}
    # Another length of the row may need a second graph, never a third.
    assert {name: case for name, case in compiled.items() if case["breaks"] or case["graphs"] > 2} == {}


@pytest.mark.parametrize("major", [8, 9])
def test_the_fused_activation_keeps_less(fake_cuda, major):
    found = traces(fake_cuda, major)
    assert found["training bfloat16"]["kept"] < 0.8 * found["training bfloat16, transformers' own gelu"]["kept"]
