"""The one exception class for mistakes that a user can put right."""


class UserError(Exception):
    """A fault in the input, the configuration or the order of commands.

    The message names what was found, what was expected and what to type next. Entry points print it
    without a traceback and exit with code 2 (`ilm.cli.main.entry_point`); every other exception is a bug
    and keeps its traceback. `told`: the message has been printed already.
    """

    told = False
