"""Controls: models that differ from a specialist, or from the generalist, in one thing only.

| control | of the specialist of a level it has | so a difference comes from |
|---|---|---|
| token-matched | as many targets | the level, and how often its few texts come again |
| random subset | as many targets in as many texts, and its steps | the level alone |
| balanced | every level as often | the level, not its share of the texts |
| conditioned | word of the level | training apart, beyond knowing the level |
| fine-tuned | its training, after the generalist's | (against the generalist) the level's texts once more |
| average | its weights, one among those of all levels | (against the generalist) averaging alone |
"""

from collections.abc import Sequence

from ilm.runs.trained_model import TrainedModel

# What to type for each of those that a study is to have.
CONTROLS = {
    "token-matched": "experiment=token_matched match=LEVEL",
    "random subset": "experiment=random_subset data.like=LEVEL",
    "balanced": "experiment=balanced_generalist",
    "conditioned": "experiment=conditioned",
    "fine-tuned": "experiment=finetuned_generalist cefr=LEVEL",
    "average": "experiment=weight_average",
}
# A conditioned model that is told nothing, or another level than the text's.
TOLD_OTHERWISE = "told otherwise"
# Trained on some texts of a level, or of all (data.only): neither a specialist nor a generalist, and no control.
SELECTION = "selection"
# Those of one level, and those that are compared with the generalist rather than with the specialist.
OF_ONE_LEVEL = {"token-matched", "random subset", "fine-tuned"}
BESIDE_GENERALIST = {"fine-tuned", "average"}


def control_of(run: TrainedModel, runs: Sequence[TrainedModel]) -> tuple[str | None, str | None]:
    """(Which control a run is, the level that it is one for); None for what it is not, and for all levels.

    `runs` are those compared, among which the specialist is that it was matched with.
    """
    folder, settings = run.trained()
    if settings.data.only is not None:
        return SELECTION, None
    if settings.data.like is not None:
        return "random subset", settings.data.like
    if settings.match is not None:
        matched = folder.status["matched"]["run"]
        return "token-matched", next((other.level for other in runs if other.name == matched), settings.match)
    if settings.init_from is not None:
        return ("fine-tuned", run.level) if len(settings.init_from) == 1 else ("average", None)
    if settings.data.condition is not None:
        return "conditioned", None
    return ("balanced", None) if settings.data.levels_drawn == "equally" else (None, None)


def missing_controls(there: Sequence[tuple[str | None, str | None]], levels: Sequence[str]) -> dict[str, list[str]]:
    """The controls that are not there, and for which levels they are not; none listed where it is for all."""
    found: dict[str, list[str]] = {}
    for control in CONTROLS:
        if control in OF_ONE_LEVEL:
            without = [level for level in levels if (control, level) not in there]
            found |= {control: without} if without else {}
        elif (control, None) not in there:
            found[control] = []
    return found
