"""Messages for mistakes on the command line that Hydra reports, with what to type instead."""

import difflib
import re
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf

from ilm.cli.help import composed, group_names, typed_overrides
from ilm.config.keys import as_typed, flat, suggestion
from ilm.errors import UserError

OWN_LEVELS = {
    "train": "For a level of your own, prepare its texts (python prepare.py ... corpus.levels=[A1,{0}]), then type "
    "cefr_level.name={0} 'cefr_level.levels=[{0}]'",
    "evaluate": "For a level of your own, type models=[{0}] for its models, task.levels=[{0}] for its texts",
    "infill": "For models of a level of your own, type models=[{0}]",
}


def message_of(error: Exception, command: str) -> str:
    """The message of an error; one of Hydra's is simplified and includes its cause."""
    message, cause = str(error).strip(), error.__cause__
    if isinstance(error, OverrideParseException):
        return _cannot_be_read(error.override or "", sys.argv[1:])
    if isinstance(error, MissingConfigException) and error.options and error.missing_cfg_file:
        return _no_such_option(error.missing_cfg_file, error.options, command)
    if refused := re.match(r"Could not override '([^']+)'", message):
        keys = _keys(refused[1], command)
        return f"{refused[0]}: there is no such key{suggestion(refused[1], keys) or _known(refused[1], keys, command)}"
    if isinstance(error, UserError) or cause is None or str(cause).strip() in message:
        return message
    return f"{message}\n{str(cause).strip().splitlines()[0]}"


def require_no_dashes(command: str) -> None:
    """Raises: UserError for a key typed as an option, `--cefr A1`."""
    for argument, following in pairwise([*sys.argv[1:], "VALUE"]):
        key, equals, value = argument.lstrip("-").partition("=")
        if argument.startswith("-") and key in [*group_names(command), *_keys(key, command)]:
            raise UserError(f"{argument}: type options without dashes: {key}={value if equals else following}")


def _cannot_be_read(override: str, arguments: Sequence[str]) -> str:
    key, equals, value = override.partition("=")
    at = list(arguments).index(override) if override in arguments else len(arguments)
    if not equals:
        typed = "".join(arguments[at : at + 3]) if arguments[at + 1 : at + 2] == ["="] else f"{key}=VALUE"
        return f"{override}: type options as KEY=VALUE, without spaces: {typed}"
    if value.count("[") > value.count("]") or value.count("{") > value.count("}"):
        rest = next((n for n, part in enumerate(arguments[at + 1 :]) if "=" in part), len(arguments))
        whole = "".join(arguments[at : at + 1 + rest])
        if whole.count("[") == whole.count("]") and whole.count("{") == whole.count("}"):
            return f"{override}: a list with spaces needs quotes: type {whole}"
        return f"{override}: a bracket is not closed"
    typed = as_typed(f"{key}=", re.sub(r"^(['\"])(.*)\1$", r"\2", value))
    return f"{override}: these characters need two kinds of quotes, the shell's and Hydra's: type {typed}"


def _no_such_option(missing: str, options: Sequence[str], command: str) -> str:
    group, _, option = missing.rpartition("/")
    message, names = f"{group}={option}: expected one of {', '.join(options)}", {name: name for name in options}
    if group == "corpus":
        data = Path(_composed(command, f"{group}=").paths.data).expanduser()
        prepared = {path.parent.name: f"corpus.name={path.parent.name}" for path in data.glob("*/manifest.json")}
        if option in prepared and command != "prepare":
            return f"{group}={option}: for a prepared corpus type corpus.name={option}, without corpus="
        names = {**prepared, **names}
    if group in ("cefr", "cefr_level") and re.fullmatch(r"[A-C][12]\+?", option):
        return f"{message}. {OWN_LEVELS[command].format(option)}"
    close = difflib.get_close_matches(option, names, n=1)
    return f"{message}; did you mean {names[close[0]]}?" if close else message


def _keys(unknown: str, command: str) -> list[str]:
    """This command's groups and keys, under the other overrides than the `unknown` key."""
    settings: Any = OmegaConf.to_container(_composed(command, f"{unknown}="))
    del settings["hydra"]
    return ([] if "." in unknown else group_names(command)) + [key for key, _ in flat(settings)]


def _known(unknown: str, keys: Sequence[str], command: str) -> str:
    """The keys of the section in which the `unknown` one was typed, or where they are listed."""
    section = f"{unknown.rpartition('.')[0]}."
    known = sorted({key.removeprefix(section).partition(".")[0] for key in keys if key.startswith(section)})
    return f"; {section}* has {', '.join(known)}" if known else f"; type python {command}.py --help for the keys"


def _composed(command: str, without: str) -> DictConfig:
    return composed(command, [part for part in typed_overrides(sys.argv[1:]) if not part.startswith(without)])
