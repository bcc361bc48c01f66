"""With which arithmetic a run trains on which card."""

import pytest
import torch

from ilm.config.check import check
from ilm.config.train import Train
from ilm.errors import UserError
from ilm.training.trainer import with_precision
from tests.conftest import compose


@pytest.fixture
def card(monkeypatch):
    def put_in(major: int | None) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: major is not None)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (major, 5))
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda *arguments: "Tesla T4")

    return put_in


def precision(*overrides: str, before: str | None = None) -> str:
    cfg, choices = compose("train", *overrides)
    return with_precision(check(cfg, Train, choices), before).trainer.precision


@pytest.mark.parametrize(
    ("major", "trainer", "expected"),
    [
        (9, "auto", "bf16-mixed"),
        (7, "auto", "32-true"),
        (None, "auto", "32-true"),
        (9, "cpu", "32-true"),
        (9, "gpu", "bf16-mixed"),
        (9, "ddp", "bf16-mixed"),
    ],
)
def test_bfloat16_where_a_card_has_it(card, major, trainer, expected):
    card(major)
    assert precision(f"trainer={trainer}") == expected


def test_a_run_keeps_its_precision_and_what_is_typed_holds(card):
    card(9)
    assert precision("trainer=auto", before="32-true") == "32-true"
    assert precision("trainer=auto", "trainer.precision=32-true", before="bf16-mixed") == "32-true"
    card(None)
    assert precision("trainer=cpu", "trainer.precision=bf16-mixed") == "bf16-mixed"


@pytest.mark.parametrize("typed", ["trainer=gpu", "trainer.precision=bf16-true"])
def test_bfloat16_is_refused_for_a_card_without_it(card, typed):
    card(7)
    with pytest.raises(
        UserError, match=r"Tesla T4 \(compute capability 7.5\) has no bfloat16. Type .*16-mixed .*fused=fal"
    ):
        precision(typed)
