from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from ilm.config.train import Schedule
from ilm.training.batch_plan import StepPlan
from ilm.training.callbacks.nonfinite import NonFiniteLoss
from ilm.training.micro_batches import MicroBatchDataset
from ilm.training.module import InfillingModule, learning_rate_factor
from tests.reference_data import evaluation_examples, formula_model
from tests.training.stored import StoredExamples, shuffled_plan

EXAMPLES = evaluation_examples()
# The same rows for a model of few tokens, whose head takes no time.
SMALL = GPT2Config(vocab_size=211, n_layer=2, n_embd=32, n_head=2, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
SMALL_EXAMPLES = [example._replace(input_ids=example.input_ids % SMALL.vocab_size) for example in EXAMPLES]


def small_model() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    return GPT2LMHeadModel(SMALL)


def make_module(plan: StepPlan, make_model=formula_model) -> InfillingModule:
    model = make_model()
    module = InfillingModule(
        model,
        torch.optim.AdamW(model.parameters(), lr=1e-3),
        schedule=Schedule(shape="constant", warmup_steps=0),
        total_steps=10,
        seed=0,
    )
    module._trainer = SimpleNamespace(
        accumulate_grad_batches=plan.accumulate,
        world_size=plan.world_size,
        global_rank=0,
        global_step=3,
        precision_plugin=None,
        strategy=SimpleNamespace(backward=lambda loss, optimizer: (loss / plan.world_size).backward()),
    )
    module.log = lambda *args, **kwargs: None
    return module


def step_gradient(step: int, n_examples: int, **division: int) -> torch.Tensor:
    """The gradient of a step, accumulated as Lightning and DDP do: divided by micro-batches and ranks."""
    store = StoredExamples(SMALL_EXAMPLES[:n_examples])
    plan = shuffled_plan(store, seed=1, **division)
    module = make_module(plan, small_model)
    for rank in range(plan.world_size):
        batches = MicroBatchDataset(store, plan, row_tokens=600, rank=rank, level_codes=np.zeros(3, int), n_levels=1)
        for micro_batch in range(plan.accumulate):
            loss = module.training_step(batches[step * plan.accumulate + micro_batch], 0)
            (loss / plan.accumulate / plan.world_size).backward()
    return torch.cat([parameter.grad.flatten() for parameter in module.parameters()])


@pytest.mark.parametrize("step", [0, 1], ids=["full step", "last, partial step"])
def test_a_step_has_one_gradient_however_it_is_divided(step):
    whole = step_gradient(step, 32, batch_size=24)
    assert whole.abs().max() > 0
    for division in (
        {"batch_size": 8, "accumulate": 3},
        {"batch_size": 12, "world_size": 2},
        {"batch_size": 4, "accumulate": 3, "world_size": 2},
    ):
        divided = step_gradient(step, 32, **division)
        assert torch.allclose(divided, whole, rtol=1e-3, atol=1e-5 * float(whole.abs().max()))


def test_a_step_bounded_in_tokens_has_one_gradient_however_it_is_divided():
    whole = step_gradient(0, 32, max_tokens=2048)
    for division in ({"accumulate": 2}, {"world_size": 2}):
        divided = step_gradient(0, 32, max_tokens=1024, **division)
        assert torch.allclose(divided, whole, rtol=1e-3, atol=1e-5 * float(whole.abs().max()))


def test_the_loss_is_the_sum_of_the_two_means():
    store = StoredExamples(EXAMPLES[:8])
    plan = shuffled_plan(store, batch_size=8)
    batches = MicroBatchDataset(store, plan, row_tokens=600, level_codes=np.zeros(3, int), n_levels=1)
    module = make_module(plan).eval()
    assert len(batches[0].rows) > 1
    module.training_step(batches[0], 0)
    loss = module._step_loss.item()
    context, infill = module.nll_sums.tolist()
    step = batches[0].step
    assert loss == pytest.approx(context / step.context_targets + infill / step.infill_targets, rel=1e-5)


def test_sums_are_exact_in_the_default_type_of_bf16_true():
    store = StoredExamples(EXAMPLES[:8])
    plan = shuffled_plan(store, batch_size=8)
    batches = MicroBatchDataset(store, plan, row_tokens=600, level_codes=np.zeros(3, int), n_levels=1)
    module = make_module(plan).eval()
    expected = module.training_step(batches[0], 0), module.nll_sums
    torch.set_default_dtype(torch.bfloat16)
    try:
        found = module.training_step(batches[0], 0), module.nll_sums
    finally:
        torch.set_default_dtype(torch.float32)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_a_loss_that_is_not_finite_stops_before_the_update():
    store = StoredExamples(EXAMPLES[:8])
    plan = shuffled_plan(store, batch_size=8)
    batches = MicroBatchDataset(store, plan, row_tokens=600, level_codes=np.zeros(3, int), n_levels=1)
    module = make_module(plan)
    with torch.no_grad():
        next(module.parameters()).fill_(float("nan"))
    module.training_step(batches[0], 0).backward()
    with pytest.raises(NonFiniteLoss, match="loss is nan at optimizer step"):
        module.configure_gradient_clipping(module.optimizer)


def test_learning_rates():
    linear, cosine, constant = (Schedule(shape=shape, warmup_steps=0) for shape in ("linear", "cosine", "constant"))
    warmed = linear.model_copy(update={"warmup_steps": 3})
    factors = [learning_rate_factor(step, warmed, 7) for step in range(8)]
    assert factors == pytest.approx([0.25, 0.5, 0.75, 1.0, 0.75, 0.5, 0.25, 0.0])
    assert learning_rate_factor(5, cosine, 10) == pytest.approx(0.5)
    assert {learning_rate_factor(step, constant, 5) for step in range(9)} == {1.0}
