"""Where the model of a typed folder is: a run, the `model` in it, or any folder in Hugging Face's format."""

from pathlib import Path

from ilm.errors import UserError
from ilm.runs.folder import RunFolder

OBJECTIVE = "ilm"  # the one of the training objectives whose models fill blanks


def infilling_folder(path: Path) -> tuple[Path, RunFolder | None]:
    """The folder with tokenizer and weights, and the run that they are of; None where it is no run's.

    Raises: UserError if there is no such folder, or it is of a run with another objective or without a model yet.
    """
    if not path.is_dir():
        raise UserError(f"The model folder {path} does not exist. Give a run's folder, such as experiments/NAME.")
    folder = path.parent if path.name == "model" else path
    if not (folder / "run.json").is_file():
        return path, None
    run = RunFolder(folder)
    if (objective := run.config["objective"]) != OBJECTIVE:
        raise UserError(
            f"{folder} was trained with objective={objective}, and blanks are filled only by models of "
            f"objective={OBJECTIVE}. Train one: python train.py objective={OBJECTIVE}"
        )
    if not run.model.is_dir():
        state = run.status.get("state", "not begun")
        raise UserError(f"{folder} is {state} and has no model yet: the command that trains it goes on with it.")
    return run.model, run
