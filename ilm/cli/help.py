"""`python train.py --help`: a command's purpose, groups and configuration, generated from the comments in conf/.

Purpose and examples come from the first comment of the command's file, descriptions of groups from the comments in its
defaults list, and the meaning of a key from the comment beside it.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import yaml
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from ilm.config.check import check
from ilm.config.section import Section

_PACKAGE = Path(__file__).parent.parent
# In the folder of the commands: beside the package in a checkout, inside it in an installed wheel (setup.py).
CONF = next(folder for folder in (_PACKAGE / "commands" / "conf", _PACKAGE.parent / "conf") if folder.is_dir())
COLUMN = 32  # of the comments
LONGEST = 110  # characters of a section shown on one line
HIDDEN = ("_partial_",)

OmegaConf.register_new_resolver("home", os.path.expanduser, replace=True)  # in conf/hydra
OmegaConf.register_new_resolver("join", ",".join, replace=True)  # in conf/experiment


def help_text(root: str, arguments: Sequence[str]) -> str:
    """The help of the command `root`, for the configuration that the overrides among the arguments select."""
    text = (CONF / f"{root}.yaml").read_text(encoding="utf-8")
    config = composed(root, typed_overrides(arguments))
    chosen = dict(config.hydra.runtime.choices)
    purpose = [line.removeprefix("#").removeprefix(" ") for line in text.split("\ndefaults:")[0].splitlines()]
    comments: dict[str, str] = {}
    for group, option in chosen.items():
        for file in _files(group, option):
            comments |= _comments(file.read_text(encoding="utf-8"), group)
    settings: Any = OmegaConf.to_container(config)
    del settings["hydra"]
    if root == "train":  # the other keys are for prepare.py
        settings["corpus"] = {"name": settings["corpus"]["name"]}
    return "\n".join(
        [
            *purpose,
            "",
            "Groups, GROUP=OPTION (the selected one in brackets)",
            *(f"  {line}" for line in _groups(text, chosen)),
            "",
            "Keys, KEY=VALUE, with dots for sections: corpus.csv=PATH",
            *(f"  {line}" for line in _lines(settings, _comments(text, "") | comments)),
            "-m: all combinations of comma-separated values; --cfg job: print the YAML; --hydra-help: Hydra's options",
        ]
    )


def typed_overrides(arguments: Sequence[str]) -> list[str]:
    return [part for part in arguments if re.match(r"[\w./@]+=", part)]


def chosen_options(hydra: Any) -> dict[str, str | None]:
    """The selected option of each of Hydra's groups in a configuration with this node `hydra`.

    `cefr` is None if `cefr_level` was typed and `cefr` only has its default.
    """
    typed = {override.partition("=")[0] for override in hydra.overrides.task}
    choices = dict(hydra.runtime.choices)
    if "cefr_level" in typed and "cefr" not in typed and choices.get("cefr") == "all":
        choices["cefr"] = None
    return choices


S = TypeVar("S", bound=Section)


def composed_settings(root: str, schema: type[S], overrides: Sequence[str]) -> S:
    """The checked settings of a command called from Python.

    Raises: UserError or one of Hydra's errors if the overrides are invalid.
    """
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose(root, list(overrides), return_hydra_config=True)
    return checked(cfg, schema)


def checked(config: DictConfig, schema: type[S]) -> S:
    """The settings of a configuration with the node `hydra`. Raises: UserError that lists all mistakes."""
    choices = chosen_options(config.hydra)
    with open_dict(config):
        del config["hydra"]
    return check(config, schema, choices)


def composed(root: str, overrides: Sequence[str]) -> DictConfig:
    """A command's configuration with the node `hydra`; ignores the overrides if they are invalid or a sweep's."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        with suppress(HydraException, OmegaConfBaseException):
            return compose(root, list(overrides), return_hydra_config=True)
        return compose(root, return_hydra_config=True)


def group_names(root: str) -> list[str]:
    """The groups of a command that have several options."""
    defaults = yaml.safe_load((CONF / f"{root}.yaml").read_text(encoding="utf-8"))["defaults"]
    names = [name for entry in defaults if isinstance(entry, dict) for name in entry]
    return [name for name in names if len(list((CONF / name).glob("*.yaml"))) > 1]


def _groups(text: str, chosen: Mapping[str, str | None]) -> Iterator[str]:
    for name, description in re.findall(r"^  - (\w+): \S+ *(?:# (.*))?$", text, flags=re.MULTILINE):
        options = sorted(path.stem for path in (CONF / name).glob("*.yaml"))
        if len(options) > 1:
            listed = " ".join(f"[{option}]" if option == chosen.get(name) else option for option in options)
            yield f"{name:<11} {description}: {listed}"


def _files(group: str, option: str | None) -> Iterator[Path]:
    """The files that make up an option, those it builds on first."""
    file = CONF / group / f"{option}.yaml"
    if not file.exists():
        return
    for entry in (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("defaults", []):
        if isinstance(entry, str) and entry != "_self_":
            folder, _, name = entry.partition("@")[0].rpartition("/")
            yield from _files(folder.strip("/") or group, name)
    yield file


def _comments(text: str, package: str) -> dict[str, str]:
    """Dotted key -> the comment beside it."""
    keys = [] if not package or "@package _global_" in text else [package]
    top, last, found = len(keys), "", {}
    for line in text.splitlines():
        if beside := re.match(r"( *)(\w+):(?:.*?\s# (.*))?", line):
            keys = [*keys[: top + len(beside[1]) // 2], beside[2]]
            last = ".".join(keys)
            if beside[3]:
                found[last] = beside[3]
        elif (more := re.match(r" {8,}# (.*)", line)) and last in found:
            found[last] += f" {more[1]}"
    return found


def _lines(node: Mapping[str, Any], comments: Mapping[str, str], prefix: str = "") -> Iterator[str]:
    """The keys of nested settings, one per line; a section without comments on one line."""
    for key, value in node.items():
        if key in HIDDEN:
            continue
        dotted, indent = f"{prefix}{key}", "  " * prefix.count(".")
        while isinstance(value, dict) and len(value) == 1:  # as typed
            ((inner, value),) = value.items()
            key, dotted = f"{key}.{inner}", f"{dotted}.{inner}"
        is_open = isinstance(value, dict) and (
            any(other.startswith(f"{dotted}.") for other in comments) or len(_inline(value)) > LONGEST
        )
        shown = f"{indent}{key}:" + ("" if is_open else f" {_inline(value)}")
        yield f"{shown:<{COLUMN}} # {comments[dotted]}" if dotted in comments else shown
        if is_open:
            yield from _lines(value, comments, f"{dotted}.")


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        value = {key: part for key, part in value.items() if key not in HIDDEN}
    return yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False).removesuffix("...\n").strip()
