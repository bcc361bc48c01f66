"""Controlled comparisons: equally many target tokens (`match`), given starting weights (`init_from`)."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ilm.config.keys import flat
from ilm.config.train import Train
from ilm.corpus.store import PreparedCorpus
from ilm.errors import UserError
from ilm.examples.conditions import LEFT_OUT_ONCE_IN, prefix_line
from ilm.hashing import digest
from ilm.runs.finder import Finder
from ilm.runs.folder import total_targets
from ilm.runs.trained_model import TrainedModel
from ilm.training.batch_plan import StepPlan
from ilm.training.sampling import Balanced

# Beginnings of keys in whose values matched runs may differ besides their amount of training; the plan points them out.
RECIPE = (
    *("adapter", "data.init_from", "data.max_length", "examples_per_step", "masking.resample_each_epoch", "optimizer"),
    *("schedule", "tokens_per_step", "trainer.gradient_clip_val", "trainer.precision"),
)

# The kinds of targets counted by `match_on`.
KINDS_MATCHED = {"infill": ("infill",), "all": ("context", "infill")}


@dataclass(frozen=True)
class TokenMatch:
    """The generalist stops at optimizer step `step`, the first that reaches the `amount` of training of `run`.

    `on` says what was counted: infill targets, all targets (context too), or optimizer steps. `differing` names the
    settings of the recipe in which the two runs differ.
    """

    run: str
    on: Literal["infill", "all", "steps"]
    amount: int
    step: int
    differing: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """Its entry in the run's status."""
        return {"run": self.run, "on": self.on, "amount": self.amount, "step": self.step}


@dataclass(frozen=True)
class InitialRuns:
    """The finished `runs` whose weights (in `folders`) a run starts from; the mean if there are several.

    `weights` is a hash of them; `targets_seen` their total training targets by kind and level.
    """

    runs: tuple[str, ...]
    folders: tuple[Path, ...]
    token_store: str
    weights: str
    targets_seen: dict[str, dict[str, int]]


def match_tokens(settings: Train, data: Mapping[str, Any], corpus: PreparedCorpus, plan: StepPlan) -> TokenMatch:
    """Resolves `match`; `data` is the data part of the run's identity.

    Raises: UserError unless exactly one finished specialist has this data, objective, model, masking and seed.
    """
    assert settings.match is not None
    run = _comparable_run("match", settings.match, settings, data["masks"], corpus, strict=True)
    if run.level == "all":
        raise UserError(f"match={settings.match}: {run.name} is a generalist. Give a specialist, such as match=C1.")
    status, on = run.trained()[0].status, settings.match_on
    if on == "steps":
        amount = step = status["step"]
    else:
        amount = sum(sum(status["targets_seen"][kind].values()) for kind in KINDS_MATCHED[on])
        step = plan.first_step_reaching(amount, KINDS_MATCHED[on])
    theirs = run.identity
    ours = {**dict(flat(settings.model_dump())), **plan.size, "data.init_from": data["init_from"]}
    recipe = sorted(key for key in {*theirs, *ours} if key.startswith(RECIPE))
    differing = tuple(key for key in recipe if theirs.get(key) != ours.get(key))
    return TokenMatch(run.name, on, amount, step, differing)


def initial_runs(settings: Train, masks: str, corpus: PreparedCorpus) -> InitialRuns:
    """Resolves `init_from`; `masks` is the name of the run's own masks.

    The runs must be on the same documents: otherwise their training texts could be test texts here.

    Raises: UserError if a run is missing, unfinished, or on other documents, or has another model; if there are several
    runs, also if one has another objective or other masks than this run.
    """
    assert settings.init_from is not None
    strict = len(settings.init_from) > 1
    runs = [_comparable_run("init_from", n, settings, masks, corpus, strict=strict) for n in settings.init_from]
    hashes = [run.weights for run in runs]
    return InitialRuns(
        runs=tuple(run.name for run in runs),
        folders=tuple(run.path for run in runs),
        token_store=runs[0].identity["token_store"],
        weights=hashes[0] if len(hashes) == 1 else digest(hashes),
        targets_seen=total_targets([run.trained()[0].status for run in runs]),
    )


def _comparable_run(
    option: str, name: str, settings: Train, masks: str, corpus: PreparedCorpus, *, strict: bool
) -> TrainedModel:
    """The finished run on these documents that `name`, given for `option`, means (`ilm.runs.finder`).

    It must have this run's model; if found by its level, or if `strict`, also this run's objective and masks.

    Raises: UserError if no run fits, or several do.
    """

    def differences(run: TrainedModel, strict: bool = True) -> list[str]:
        theirs, ours = run.trained()[1].model.model_dump(), settings.model.model_dump()
        lines = [f"model.{key}={theirs[key]} instead of {ours[key]}" for key in ours if theirs[key] != ours[key]]
        if strict:
            pairs = [("objective", run.objective, settings.objective), ("masks", run.family["masks"], masks)]
            lines += [f"{key}={theirs} instead of {ours}" for key, theirs, ours in pairs if theirs != ours]
        return lines

    found = Finder(Path(settings.paths.experiments), corpus.folder).find_one(name, option, differences, settings.seed)
    try:
        found.require_trained_on(corpus)
    except UserError as error:
        raise UserError(f"{option}={name}: {error}. Expected a finished run on these documents.") from error
    if lines := differences(found, strict):
        raise UserError(
            f"{option}={name}: no finished run fits: {found.name} has {', '.join(lines)}. Train one that fits, or give "
            "its name."
        )
    return found


def comparison_lines(
    settings: Train,
    levels: Sequence[str],
    plan: StepPlan,
    total_steps: int,
    match: TokenMatch | None,
    initial: InitialRuns | None,
) -> Iterator[tuple[str, str]]:
    """Lines (topic, text) of a run's summary on what it can be compared with."""
    if match is not None:
        kind = "infill" if match.on == "infill" else "context and infill"
        said = f"stops at the first step with the {match.amount:,} {kind} targets that {match.run} was trained on"
        yield "matched", said if match.on != "steps" else f"stops after {match.step:,} steps, as {match.run} did"
    if match is not None and match.differing:
        yield "NOTE", f"{match.run} was trained with different settings: {', '.join(match.differing)}"
    if initial is not None:
        runs = ", ".join(initial.runs)
        of = f"the mean of the best weights of {runs}" if len(initial.runs) > 1 else f"the best weights of {runs}"
        yield "starts from", f"{of} ({initial.weights}); their infilling tokens are kept"
    if (like := settings.data.like) is not None:
        yield "texts", f"draw {settings.data.draw}: texts of all levels with as many infill targets as all of {like}'s"
    if settings.data.condition is not None:
        line = prefix_line(dict.fromkeys(settings.data.condition, "...")).strip()
        yield "condition", f"'{line}' before each text; none before one example in {LEFT_OUT_ONCE_IN}"
    if isinstance(plan.order, Balanced):
        times = plan.order.times_seen(plan.epochs_until(total_steps))
        seen = ", ".join(f"{levels[code]} {count:.3g}" for code, count in times.items())
        yield "levels", f"drawn equally; mean number of times that an example is seen: {seen}"
    if settings.masking.resample_each_epoch:
        epochs = math.ceil(plan.epochs_until(total_steps))
        fresh = f"different in each of {epochs} epochs"
        yield "masks", fresh if epochs > 1 else "one epoch only, so nothing is resampled"
    if (adapter := settings.adapter) is not None:
        layers = ", ".join(adapter.target_modules or ["every linear layer"])
        yield "adapter", f"LoRA of rank {adapter.rank} in {layers}; besides it only the infilling tokens are trained"
