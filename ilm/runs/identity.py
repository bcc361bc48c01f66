"""Names and identities of runs.

Two commands with equal identities train the same model. The identity consists of the data hashes and every setting that
affects the result; the number of steps may grow (`identity_differences`).
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ilm.config.keys import flat
from ilm.config.sections import CONDITIONS
from ilm.config.train import Train
from ilm.hashing import digest

# Keys that affect neither the result nor its meaning, or that something else in the identity replaces.
NOT_IDENTITY = (
    "paths",
    "logger",
    "callbacks",
    "name",
    "variant",  # replaced by `experiment_name`
    # Replaced by the target tokens and weights they resolve to.
    "match",
    "match_on",
    "init_from",
    "dry_run",
    "export_reference",
    "overwrite",
    "checkpoint",
    "sweep",
    *("data.num_workers", "data.row_tokens", "trainer.log_every_n_steps"),
    *("trainer.accelerator", "trainer.devices", "trainer.num_nodes", "trainer.strategy"),
    # Replaced by the size of a step.
    *("data.batch_size", "data.max_tokens_per_batch", "trainer.accumulate_grad_batches"),
    # Replaced by the documents hash.
    *("corpus.csv", "corpus.sheet", "corpus.reference", "corpus.extra", "corpus.encoding", "corpus.columns"),
    *("corpus.levels", "corpus.max_dropped", "corpus.sample_size", "corpus.synthetic", "corpus.keep_columns"),
    "cefr_level.max_steps",
)
# Runs that differ only in these are one model: seeds and draws, and the run each seed was matched with or started from.
REPLICATES = ("seed", "data.draw", "data.init_from", "data.matched")
LONGEST_PART = 60  # characters of a run's name that describe its selection of texts
# An extended run equals a run of that length, plus the validation and record of its former last step.
MAY_GROW = ("trainer.max_steps", "trainer.max_epochs")


def run_name(settings: Train) -> str:
    """`<corpus>_<level>_<objective>`, plus model, masking, variant, draw and seed if not the default."""
    if settings.name:
        return settings.name
    parts = [_name_of_level(settings, settings.cefr_level.name)]
    parts += [settings.masking.name] if settings.masking.name != "hierarchical" else []
    parts += [variant] if (variant := run_variant(settings)) else []
    parts += [f"d{settings.data.draw}"] if settings.data.draw else []
    parts += [f"s{settings.seed}"] if settings.seed else []
    return "_".join(parts)


def run_variant(settings: Train) -> str | None:
    """What distinguishes a run from the plain one of its level, model, objective and masking; None for the plain one.

    The experiment's `variant`, selected texts, conditions, the matched specialist, the initial run, LoRA, resampled
    masks.
    """
    parts = [settings.variant] if settings.variant else []
    parts += [short_values(column, values) for column, values in (settings.data.only or {}).items()]
    parts += [f"like-{settings.data.like}"] if settings.data.like else []
    matched = "matched" if settings.match_on == "infill" else f"matched-{settings.match_on}"
    condition = [CONDITIONS[field].replace(" ", "-") for field in settings.data.condition or ()]
    parts += ["-".join(["conditioned", *condition])] if condition else []
    # A subset sized like a level also has its steps, so the name gives it once.
    match = None if settings.match_on == "steps" and settings.match == settings.data.like else settings.match
    initial = settings.init_from or []
    others = ((matched, [match] if match else []), ("from" if len(initial) == 1 else "average", initial))
    parts += ["-".join([key, *(_short_name(run, settings) for run in runs)]) for key, runs in others if runs]
    parts += ["lora"] if settings.adapter else []
    parts += ["resampled"] if settings.masking.resample_each_epoch else []
    return "_".join(parts) or None


def short_values(column: str, values: Sequence[str]) -> str:
    """`l1-Portuguese`: a column and its values as part of a folder name, shortened if necessary."""
    whole = "-".join([column, *values])
    name = re.sub(r"[^\w.+-]+", "-", whole)
    return name if len(name) <= LONGEST_PART else f"{name[: LONGEST_PART - 13]}-{digest(whole)}"


def _short_name(run: str, settings: Train) -> str:
    """Another run's name, with a prefix that this run shares reduced to the level; a level stays as it is."""
    path = Path(run)
    name = path.parent.name if path.name == "model" else path.name
    for level in (*settings.corpus.levels, "all"):
        begin = _name_of_level(settings, level)
        if name == begin or name.startswith(begin + "_"):
            return level + name.removeprefix(begin).replace("_", "-")
    return name


def _name_of_level(settings: Train, level: str) -> str:
    model = settings.model
    name = model.label
    parts = [settings.corpus.name, level, settings.objective]
    parts += [name] if name != "gpt2" else []
    parts += ["scratch"] if name != "tiny" and not model.pretrained else []
    return "_".join(parts)


def run_identity(
    settings: Train, token_store: str, data: Mapping[str, Any], step_size: Mapping[str, int]
) -> dict[str, Any]:
    """The identity of a run as flat keys and values; runs with equal ones are the same."""
    whole = {**settings.model_dump(), "experiment_name": run_variant(settings), "token_store": token_store}
    kept = {
        key: value
        for key, value in flat(whole)
        if not any(key == excluded or key.startswith(excluded + ".") for excluded in NOT_IDENTITY)
    }
    return {**kept, **step_size, **{f"data.{key}": value for key, value in data.items()}}


def identity_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The differences of two identities, one line each. Under a constant schedule, more steps are not a difference."""
    lines = []
    for key in sorted(set(old) | set(new)):
        before, now = old.get(key), new.get(key)
        if before == now:
            continue
        if key in MAY_GROW and new.get("schedule.shape") == "constant" and _grows(before, now):
            continue
        lines.append(f"{key}: {before!r} there, {now!r} now")
    return lines


def _grows(before: int | None, now: int | None) -> bool:
    unbounded = (None, -1)
    return now in unbounded or (before not in unbounded and now >= before)
