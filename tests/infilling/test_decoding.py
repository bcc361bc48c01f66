import math

import pytest
import torch

from ilm.errors import UserError
from ilm.hashing import order_key
from ilm.infilling.decoding import candidate_key, gumbel, gumbel_max, top_k_top_p
from tests.infilling.small_models import decoding

P = [0.15, 0.5, 0.05, 0.3]


def logits(*rows: list[float]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64).log()


def distribution(rows: torch.Tensor, **settings) -> torch.Tensor:
    """Probabilities of all tokens, of logits (N, V): what `gumbel_max` draws from."""
    tokens, log_probabilities = top_k_top_p(rows, **settings)
    probabilities = log_probabilities.double().softmax(-1)
    if tokens is None:
        return probabilities
    return torch.zeros(rows.shape, dtype=torch.float64).scatter(-1, tokens, probabilities)


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
        torch.testing.assert_close(distribution(rows[[i]], top_p=0.9)[0], together[i], rtol=1e-6, atol=0)


def test_the_nucleus_does_not_choose_between_equals():
    torch.testing.assert_close(
        distribution(logits([0.2, 0.4, 0.2, 0.2]), top_p=0.5), logits([0.2, 0.4, 0.2, 0.2]).exp()
    )


@pytest.mark.parametrize("settings", [{}, {"top_k": 3}, {"top_p": 1.0}, {"temperature": 1e9, "top_k": 4}])
def test_what_is_masked_has_no_probability(settings):
    found = distribution(logits([0.5, 0, 0.5, 0]), **settings)
    assert found[0, 1] == found[0, 3] == 0


def test_the_nucleus_at_the_edge_of_a_list_goes_on():
    """300 tokens as likely as each other: all of them are the nucleus, though the first list holds 256."""
    rows = torch.full((1, 2000), -30.0)
    rows[0, 100:400] = 1.0
    assert distribution(rows, top_p=0.5)[0].nonzero().flatten().tolist() == list(range(100, 400))


def keys(count: int, text: str = "text") -> list[int]:
    return [order_key(candidate_key(0, text, number), 0) for number in range(count)]


@pytest.mark.parametrize("tokens", [None, [7, 3, 9, 0]])
def test_draws_follow_the_distribution(tokens):
    rows = torch.tensor([[0.5, 0.0, 0.3, 0.2]], dtype=torch.float64).log().expand(20_000, 4)
    of = None if tokens is None else torch.tensor([tokens]).expand(20_000, 4)
    drawn = gumbel_max(rows, of, keys(20_000))
    counts = torch.bincount(drawn, minlength=10)[tokens or [0, 1, 2, 3]].tolist()
    assert counts[1] == 0
    for count, p in zip(counts, rows[0].exp().tolist(), strict=True):
        assert abs(count - 20_000 * p) <= 4 * math.sqrt(20_000 * p * (1 - p))


def test_a_row_is_drawn_by_its_own_key():
    rows = torch.rand(20, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).log()
    alone = [int(gumbel_max(rows[[i]], None, [key])) for i, key in enumerate(keys(20))]
    together = gumbel_max(rows, None, keys(20))
    backwards = gumbel_max(rows.flip(0), None, keys(20)[::-1])
    assert alone == together.tolist() == backwards.flip(0).tolist()


def test_a_draw_does_not_depend_on_the_other_tokens_of_the_list():
    """The winner among all wins among fewer, if it is there, in whatever order."""
    rows = torch.randn(30, 400, generator=torch.Generator().manual_seed(0))
    winners = gumbel_max(rows, None, keys(30))
    for row, winner in enumerate(winners.tolist()):
        fewer = torch.tensor([[winner, *range(0, 400, 7)]]).flip(-1)
        assert int(gumbel_max(rows[row][fewer], fewer, keys(30)[row : row + 1])) == winner


def test_rounding_of_the_forward_pass_seldom_changes_a_draw():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(200, 5000, generator=generator)
    rounding = 1e-6 * torch.randn(200, 5000, generator=generator)
    for settings in ({}, {"top_p": 0.9}):
        pair = []
        for rows in (scores, scores + rounding):
            tokens, weights = top_k_top_p(rows, **settings)
            pair.append(gumbel_max(weights, tokens, keys(200)))
        assert pair[0].equal(pair[1])


def test_numbers_of_splitmix64():
    """The first outputs of the published generator seeded with 1234567."""
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    found = gumbel(torch.tensor([1234567]), torch.arange(3))
    expected = [-math.log(-math.log(((n >> 11) + 0.5) * 2.0**-53)) for n in published]
    assert found.tolist() == pytest.approx(expected)


def test_keys_differ_by_seed_text_candidate_and_step():
    of = {
        order_key(candidate_key(*part), n)
        for part in [(0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1)]
        for n in (0, 1)
    }
    assert len(of) == 8


def test_all_values_out_of_range_are_named():
    wrong = {"candidates": 0, "temperature": 0.0, "top_k": 0, "top_p": 1.5, "max_answer_tokens": 0}
    wrong |= {"max_answer_words": 0, "batch_size": -1}
    with pytest.raises(UserError) as error:
        decoding(**wrong)
    for name, value in wrong.items():
        assert f"{name}={value}" in str(error.value)


def test_settings_that_contradict_each_other_are_told():
    with pytest.raises(UserError, match="beams=2: expected candidates=3 or more, or 0"):
        decoding(method="beam", beams=2, candidates=3)


@pytest.mark.parametrize("fault", [{"temperature": math.nan}, {"temperature": math.inf}, {"top_p": 0.0}])
def test_values_that_are_no_numbers_are_refused(fault):
    with pytest.raises(UserError):
        decoding(**fault)
