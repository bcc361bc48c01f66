"""The GPU benchmark, in small on the CPU: the script runs to its end, whatever a row does."""

import json

import pytest
import torch

import benchmarks.gpu
from benchmarks.gpu import Report, Way, main, peak_of, ways
from tests.conftest import write_csv


def test_the_benchmark_of_a_gpu_works_and_survives_a_line_that_fails(tmp_path, monkeypatch, capsys):
    def fails(model, batch):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(benchmarks.gpu, "padded_loss", fails)
    monkeypatch.chdir(tmp_path)
    texts = write_csv(tmp_path / "texts.csv", [{"text": f"She ate {n} leftover pastas for lunch."} for n in range(9)])
    main(["--device", "cpu", "--quick", "--texts", str(texts)])
    lines = [json.loads(line) for line in (tmp_path / "gpu.jsonl").read_text().splitlines()]
    trained = [line for line in lines if "name" in line]
    assert [line["name"] for line in trained] == [way.name for way in ways(quick=True, compiled=False)]
    assert [line.get("failed") for line in trained] == 2 * ["out of memory", "out of memory", None]
    assert all(line["tokens_per_second"] > 0 for line in trained if "failed" not in line)
    told = {key for line in lines for key in line}
    assert {"examples_per_second", "infills_per_second", "hours_of_an_epoch", "hours_of_the_steps"} <= told
    assert "| ours, bfloat16 | 2 | 512 |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("card", "peak"),
    [
        ("NVIDIA L40", 181),
        ("NVIDIA L40S", 362),
        ("NVIDIA L4", 121),
        ("NVIDIA A10", 125),
        ("NVIDIA A10G", None),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 NVL", None),
        ("Tesla T4", 65),
        ("x86_64, 2 threads", None),
    ],
)
def test_peaks_are_found_by_whole_names(card, peak):
    assert peak_of(card) == peak


def test_figures_of_the_table(tmp_path, capsys):
    report = Report(tmp_path / "gpu.jsonl", parameters=124_000_000, peak=989)
    for way, rate in (
        (Way("padded, float32", 8, half=False), 10_000.0),
        (Way("padded, bfloat16", 8), 20_000.0),
        (Way("ours, bfloat16", 128, 4096), 400_000.0),  # whose own padded rows did not fit
    ):
        report.training(way, rate, 5_000_000_000)
    line = json.loads((tmp_path / "gpu.jsonl").read_text().splitlines()[-1])
    assert line["ratios"] == [40.0, 20.0]
    assert line["mfu"] == pytest.approx(400_000 * 6 * 124e6 / 989e12)
    assert capsys.readouterr().out.splitlines()[-1].endswith("| 400,000 | 30.1% | 5.0 GB | 40.0 | 20.0 |")
    report.summary(tokens_per_example=86)
    assert "1.11 hours" in capsys.readouterr().out  # 1.6e9 tokens at 400,000 a second
