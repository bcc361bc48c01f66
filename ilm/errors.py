"""The exception class for mistakes that a user can fix."""


class UserError(Exception):
    """A fault in the input, the configuration or the order of commands.

    The message says what was found, what was expected and what to type next. Entry points print it without a traceback
    and exit with code 2 (`ilm.cli.main.entry_point`); any other exception is a bug and keeps its traceback.
    `reported`: the message has already been printed.
    """

    reported = False
