import math

import pytest
import torch

from ilm.errors import UserError
from ilm.infilling.sampling import DecodingSettings, distribution, draw, generator_of

P = [0.15, 0.5, 0.05, 0.3]


def logits(*rows: list[float]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64).log()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, P),
        ({"top_p": 0.6}, [0, 0.625, 0, 0.375]),  # 0.5 is not enough: the token that crosses 0.6 is kept
        ({"top_p": 0.4}, [0, 1, 0, 0]),
        ({"top_p": 1e-9}, [0, 1, 0, 0]),
        ({"top_p": 1.0}, P),
        ({"top_k": 2}, [0, 0.625, 0, 0.375]),
        ({"top_k": 1}, [0, 1, 0, 0]),
        ({"top_k": 9}, P),
        ({"top_k": 2, "top_p": 0.62}, [0, 1, 0, 0]),  # top_p of what top_k has left, 0.625
        ({"temperature": 0.5}, [p * p / 0.365 for p in P]),
        ({"temperature": 0.5, "top_p": 0.68}, [0, 1, 0, 0]),  # 0.25 / 0.365 = 0.685
        ({"temperature": 1e-300}, [0, 1, 0, 0]),
        ({"temperature": 1e300}, [0.25] * 4),
    ],
)
def test_the_distribution_drawn_from(settings, expected):
    # Two rows of different order: each is cut by itself.
    found = distribution(logits(P, P[::-1]), **settings)
    torch.testing.assert_close(found, torch.tensor([expected, expected[::-1]], dtype=torch.float64))


def test_the_nucleus_of_a_flat_distribution_is_found_among_all_tokens():
    """Rows of 5,000 tokens: in one the first two are enough, in the other 3,000 are not."""
    steep, flat = torch.zeros(5000), torch.arange(5000) * 1e-4
    steep[[7, 4000]] = torch.tensor([20.0, 21.0])
    rows = torch.stack([steep, flat]).double()
    together = distribution(rows, top_p=0.9)
    assert together[0].nonzero().flatten().tolist() == [7, 4000]
    kept = int((together[1] > 0).sum())
    probabilities = flat.double().softmax(-1).flip(0)
    assert float(probabilities[:kept].sum()) >= 0.9 > float(probabilities[: kept - 1].sum())
    assert together[1, :-kept].sum() == 0
    for i in range(2):
        torch.testing.assert_close(distribution(rows[[i]], top_p=0.9)[0], together[i], rtol=1e-12, atol=0)


def test_the_nucleus_does_not_choose_between_equals():
    torch.testing.assert_close(
        distribution(logits([0.2, 0.4, 0.2, 0.2]), top_p=0.5), logits([0.2, 0.4, 0.2, 0.2]).exp()
    )


@pytest.mark.parametrize("settings", [{}, {"top_k": 3}, {"top_p": 1.0}, {"temperature": 1e9, "top_k": 4}])
def test_what_is_masked_has_no_probability(settings):
    found = distribution(logits([0.5, 0, 0.5, 0]), **settings)
    assert found[0, 1] == found[0, 3] == 0


def test_draws_follow_the_distribution():
    rows = torch.tensor([[0.5, 0.0, 0.3, 0.2]], dtype=torch.float64)
    generator = generator_of(0, "text", 0)
    drawn = torch.cat([draw(rows, [generator]) for _ in range(20_000)])
    counts = torch.bincount(drawn, minlength=4).tolist()
    assert counts[1] == 0
    for count, p in zip(counts, rows[0].tolist(), strict=True):
        assert abs(count - 20_000 * p) <= 4 * math.sqrt(20_000 * p * (1 - p))


def test_a_row_is_drawn_by_its_own_generator():
    rows = torch.rand(6, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    alone = [int(draw(rows[[i]], [generator_of(0, "text", i)])) for i in range(6)]
    together = draw(rows, [generator_of(0, "text", i) for i in range(6)])
    backwards = draw(rows.flip(0), [generator_of(0, "text", 5 - i) for i in range(6)])
    assert alone == together.tolist() == backwards.flip(0).tolist()


def test_rounding_of_the_forward_pass_seldom_changes_a_draw():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(200, 5000, dtype=torch.float64, generator=generator)
    rounding = 1e-6 * torch.randn(200, 5000, dtype=torch.float64, generator=generator)
    drawn = [draw(distribution(s), [generator_of(0, "", i) for i in range(200)]) for s in (scores, scores + rounding)]
    assert drawn[0].equal(drawn[1])


def test_generators_differ_by_seed_text_and_candidate():
    keys = [(0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1)]
    first = {float(torch.rand(1, generator=generator_of(*key), dtype=torch.float64)) for key in keys}
    assert len(first) == 4


def test_all_values_out_of_range_are_named():
    with pytest.raises(UserError) as error:
        DecodingSettings(candidates=0, temperature=0.0, top_k=0, top_p=1.5, max_answer_tokens=0, batch_size=-1)
    for name in ("candidates=0", "temperature=0.0", "top_k=0", "top_p=1.5", "max_answer_tokens=0", "batch_size=-1"):
        assert name in str(error.value)


@pytest.mark.parametrize("fault", [{"temperature": math.nan}, {"temperature": math.inf}, {"top_p": 0.0}])
def test_values_that_are_no_numbers_are_refused(fault):
    with pytest.raises(UserError):
        DecodingSettings(**fault)
