"""What makes a comparison of specialists and generalist fair, as the sheet tells it: equal targets, equal levels."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ilm.errors import UserError
from ilm.training.batch_plan import StepPlan
from ilm.training.other_runs import chosen_run
from ilm.training.preparation import Material

# What else two runs can differ in, so that equal targets alone do not make them comparable.
RECIPE = (
    *("adapter", "data.max_length", "masking.resample_each_epoch", "optimizer", "schedule"),
    *("trainer.gradient_clip_val", "trainer.precision"),
)


@dataclass(frozen=True)
class Match:
    """The specialist `run`, trained on `targets` target tokens; at optimizer step `step` the generalist has them.

    `differing` are the parts of the recipe in which the two differ.
    """

    run: str
    targets: int
    step: int
    differing: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """What the run's status keeps of it."""
        return {"run": self.run, "targets": self.targets, "step": self.step}


def matched(settings: Mapping[str, Any], material: Material, plan: StepPlan) -> Match:
    """The match that `match` of a plain `ilm.config.Train` asks for.

    Raises: UserError if no specialist, or several, of this data, objective, model, masking and seed are finished.
    """
    wanted, experiments = settings["match"], Path(settings["paths"]["experiments"])
    run = chosen_run("match", wanted, settings, material.masks, experiments, material.examples.corpus, strict=True)
    if run.level == "all":
        raise UserError(f"match={wanted}: {run.name} is a generalist itself. Give a specialist, such as match=C1.")
    targets = sum(run.run.status["targets_seen"].values())
    identity = run.run.record["identity"]
    sizes = ("examples_per_step", "tokens_per_step")
    pairs = [(key, identity.get(key), plan.size.get(key)) for key in sizes]
    pairs += [("init_from", identity.get("data.init_from"), material.identity["init_from"])]
    pairs += [(key, _value(run.config, key), _value(settings.model_dump(), key)) for key in RECIPE]
    differing = tuple(key for key, theirs, ours in pairs if theirs != ours)
    return Match(run.name, targets, plan.first_step_reaching(targets), differing)


def comparison_lines(
    settings: Mapping[str, Any], material: Material, match: Match | None, plan: StepPlan, total_steps: int
) -> str:
    """Lines of a run's sheet, each with a line break before it: what it is matched with, starts from, and draws."""
    lines = _lines(settings, material, match, plan, total_steps)
    return "".join(f"\n  {key:<12}{said}" for key, said in lines)


def _lines(
    settings: Mapping[str, Any], material: Material, match: Match | None, plan: StepPlan, total_steps: int
) -> Iterator[tuple[str, str]]:
    if match is not None:
        yield (
            "matched",
            f"ends at the first step with the {match.targets:,} target tokens that {match.run} was trained on",
        )
    if match is not None and match.differing:
        yield "NOTE", f"{match.run} was trained with another {', '.join(match.differing)}"
    if (start := material.start) is not None:
        yield "starts from", f"the best weights of {start.run} ({start.weights}); its infilling tokens are kept"
    if settings["data"]["levels_drawn"] == "equally":
        times = plan.order.times_seen(plan.examples_until(total_steps))
        seen = ", ".join(f"{material.examples.levels[code]} {count:.3g}" for code, count in times.items())
        yield "levels", f"drawn equally; an example of each is seen, on average, so many times: {seen}"
    if settings["masking"]["resample_each_epoch"]:
        epochs = math.ceil(plan.epochs_until(total_steps))
        fresh = f"in {epochs} epochs, each with masks of its own"
        yield "masks", fresh if epochs > 1 else "in one epoch: nothing is resampled"
    if (adapter := settings["adapter"]) is not None:
        layers = ", ".join(adapter["target_modules"] or ["every linear layer"])
        yield "adapter", f"LoRA of rank {adapter['rank']} in {layers}; beside it only the infilling tokens are trained"


def _value(settings: Mapping[str, Any], key: str) -> Any:
    value: Any = settings
    for part in key.split("."):
        value = value.get(part)
    return value
