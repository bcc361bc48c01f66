"""Runs made to be compared: equal target tokens (`match`), the same starting weights (`init_from`), equal levels."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ilm.config.keys import flat
from ilm.config.model import Model
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

# What else two runs can differ in, so that equal targets alone do not make them comparable.
RECIPE = (
    *("adapter", "data.max_length", "masking.resample_each_epoch", "optimizer", "schedule"),
    *("trainer.gradient_clip_val", "trainer.precision"),
)

# The kinds of targets that count for `match_on`, where it is not steps.
KINDS_MATCHED = {"infill": ("infill",), "all": ("context", "infill")}


@dataclass(frozen=True)
class TokenMatch:
    """The generalist stops at optimizer step `step`, the first with the `amount` of `run`.

    That is the number of its infill targets, or (`on` "all") those of the context too, or (`on` "steps") of its
    optimizer steps. `differing` are the parts of the recipe in which the two differ.
    """

    run: str
    on: Literal["infill", "all", "steps"]
    amount: int
    step: int
    differing: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """What the run's status keeps of it."""
        return {"run": self.run, "on": self.on, "amount": self.amount, "step": self.step}


@dataclass(frozen=True)
class InitialRuns:
    """The finished `runs` whose weights, in `folders`, a run starts from: the mean of several; `weights` is their hash.

    `targets_seen` is what all of them were trained on, by kind and level.
    """

    runs: tuple[str, ...]
    folders: tuple[Path, ...]
    token_store: str
    weights: str
    targets_seen: dict[str, dict[str, int]]

    def replace_weights(self, model: Model) -> Model:
        """The model settings that load the weights of the first."""
        return model.model_copy(
            update={"path": str(self.folders[0]), "pretrained": True, "tokenizer": None, "package": None}
        )


def match_tokens(settings: Train, data: Mapping[str, Any], corpus: PreparedCorpus, plan: StepPlan) -> TokenMatch:
    """The match that `match` names; `data` is what the run's identity says of its data.

    Raises: UserError if no specialist, or several, of this data, objective, model, masking and seed are finished.
    """
    assert settings.match is not None
    run = _comparable_run("match", settings.match, settings, data["masks"], corpus, strict=True)
    if run.level == "all":
        raise UserError(f"match={settings.match}: {run.name} is a generalist itself. Give one, such as match=C1.")
    folder, their_settings = run.trained()
    status, on = folder.status, settings.match_on
    if on == "steps":
        amount = step = status["step"]
    else:
        amount = sum(sum(status["targets_seen"][kind].values()) for kind in KINDS_MATCHED[on])
        step = plan.first_step_reaching(amount, KINDS_MATCHED[on])
    theirs = {key: run.identity.get(key) for key in ("examples_per_step", "tokens_per_step")}
    theirs |= {"init_from": run.identity.get("data.init_from"), **_recipe(their_settings)}
    ours = {**dict.fromkeys(theirs), **plan.size, "init_from": data["init_from"], **_recipe(settings)}
    differing = tuple(key for key in theirs if theirs[key] != ours[key])
    return TokenMatch(run.name, on, amount, step, differing)


def _recipe(settings: Train) -> dict[str, Any]:
    values = dict(flat(settings.model_dump()))
    return {
        key: {name: value for name, value in values.items() if name == key or name.startswith(f"{key}.")}
        for key in RECIPE
    }


def initial_runs(settings: Train, masks: str, corpus: PreparedCorpus) -> InitialRuns:
    """The weights that `init_from` names; `masks` is the name of the run's own masks.

    Only runs on the same documents will do: the training texts of others could be test texts here.

    Raises: UserError if a run is missing, unfinished, of other documents or another model; of several, if they differ
    from this one in objective or masks.
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
    """The one finished run on these documents that `name`, typed for `option`, means (`ilm.runs.finder`).

    All have the run's model; one given by its level, and any where `strict`, its objective and masks too.

    Raises: UserError if none fits, or several do.
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
        raise UserError(f"{option}={name}: {error}. It takes a finished run on these documents.") from error
    if lines := differences(found, strict):
        raise UserError(
            f"{option}={name}: no finished run fits this one: {found.name} has {', '.join(lines)}. Train one, "
            "or give this one's name."
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
    """(topic, text) of what makes a run comparable, for its summary."""
    if match is not None:
        kind = "infill" if match.on == "infill" else "context and infill"
        said = f"ends at the first step with the {match.amount:,} {kind} targets that {match.run} was trained on"
        yield "matched", said if match.on != "steps" else f"ends after {match.step:,} steps, as {match.run} did"
    if match is not None and match.differing:
        yield "NOTE", f"{match.run} was trained with another {', '.join(match.differing)}"
    if initial is not None:
        runs = ", ".join(initial.runs)
        of = f"the mean of the best weights of {runs}" if len(initial.runs) > 1 else f"the best weights of {runs}"
        yield "starts from", f"{of} ({initial.weights}); their infilling tokens are kept"
    if (like := settings.data.like) is not None:
        yield "texts", f"draw {settings.data.draw} of all levels', until they had the infill targets of all of {like}'s"
    if settings.data.condition is not None:
        line = prefix_line(dict.fromkeys(settings.data.condition, "...")).strip()
        yield "condition", f"'{line}' before each text; none before one example in {LEFT_OUT_ONCE_IN}"
    if isinstance(plan.order, Balanced):
        times = plan.order.times_seen(plan.examples_until(total_steps))
        seen = ", ".join(f"{levels[code]} {count:.3g}" for code, count in times.items())
        yield "levels", f"drawn equally; an example of each is seen, on average, so many times: {seen}"
    if settings.masking.resample_each_epoch:
        epochs = math.ceil(plan.epochs_until(total_steps))
        fresh = f"in {epochs} epochs, each with masks of its own"
        yield "masks", fresh if epochs > 1 else "in one epoch: nothing is resampled"
    if (adapter := settings.adapter) is not None:
        layers = ", ".join(adapter.target_modules or ["every linear layer"])
        yield "adapter", f"LoRA of rank {adapter.rank} in {layers}; beside it only the infilling tokens are trained"
