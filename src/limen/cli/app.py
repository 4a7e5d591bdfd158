"""The command `limen`: one exit code for each kind of ending, one sentence for each error."""

import os
import re
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Any
from warnings import catch_warnings

import typer
from rich.markup import escape

from limen import __version__
from limen._core.errors import InterruptedRun, LimenError, UsageError, nearest
from limen.cli import anomaly, catalogue, demo, ood, recipes, shift, spectral, unlearn
from limen.cli.named import in_options
from limen.run.progress import console, say, talk

# The usage error of the Click that this typer stands on: a package of its own, or typer's copy.
_WrongUse: Any = typer.BadParameter.__mro__[1]

app = typer.Typer(
    name="limen",
    help="What did a model gain, and what did it cost?",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


app.add_typer(unlearn.app, name="unlearn")
app.add_typer(ood.app, name="ood")
app.add_typer(anomaly.app, name="anomaly")
app.add_typer(shift.app, name="shift")
app.add_typer(spectral.app, name="spectral")
for verb in (demo.demo, catalogue.show, catalogue.doctor, recipes.run, recipes.report):
    app.command()(verb)
app.command(name="list")(catalogue.list_names)


def _print_version(asked: bool) -> bool:
    if asked:
        print(__version__)
        raise typer.Exit
    return asked


@app.callback()
def root(
    *,
    version: bool = typer.Option(
        False,
        "--version",
        help="Print the version and end.",
        callback=_print_version,
        is_eager=True,
    ),
) -> None:
    """What did a model gain, and what did it cost?"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and end the process: 0 done, 1 failed, 2 wrong use, 130 interrupted."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as polite as Ctrl-C
    sys.exit(ending(sys.argv[1:] if arguments is None else list(arguments)))


def ending(arguments: list[str]) -> int:
    """Run the command; one sentence on stderr if something is wrong; returns the exit code."""
    talk(on=True)
    command = typer.main.get_command(app)
    try:
        # Not command.main(), which keeps the sentence of an interruption to itself.
        with catch_warnings(), command.make_context("limen", list(arguments)) as context:
            warnings.showwarning = _say_warning
            command.invoke(context)
        sys.stdout.flush()
    except typer.Exit as ended:
        return ended.exit_code
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (KeyboardInterrupt, typer.Abort) as stopped:
        said = str(stopped) if isinstance(stopped, InterruptedRun) else "interrupted"
        return _end(said, InterruptedRun.exit_code)
    except _WrongUse as wrong:
        return _end(_usage(wrong, arguments), 2)
    except LimenError as failure:
        return _end(_told(failure, command, arguments), failure.exit_code)
    except Exception as failure:  # noqa: BLE001  the last resort, which says where to look
        if os.environ.get("LIMEN_TRACEBACK"):
            traceback.print_exc()
        kind = type(failure).__name__
        return _end(f"unexpected {kind}: {failure} (LIMEN_TRACEBACK=1 shows where)", 1)
    return 0


def _say_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """A warning in one line, without the line of code that gave it."""
    say(f"warning: {' '.join(str(message).split())}")


def _told(failure: LimenError, command: Any, arguments: list[str]) -> str:
    """The sentence of an error; where the user must change something, in the command's words."""
    if failure.exit_code != UsageError.exit_code:
        return str(failure)
    return in_options(str(failure), _options(command, arguments), typed=arguments)


def _options(command: Any, arguments: list[str]) -> dict[str, tuple[str, str]]:
    """Names of arguments in Python, and the verb's options that set them: on and off."""
    for word in arguments:
        command = getattr(command, "commands", {}).get(word, command)
    flags = {p.name: p for p in command.params if p.opts[0].startswith("-")}
    known = {name: (p.opts[0], *p.secondary_opts[:1]) for name, p in flags.items()}
    aliases = {theirs: known[ours] for theirs, ours in _ALIASES.items() if ours in known}
    return {name: (found[0], *found[1:], "")[:2] for name, found in (known | aliases).items()}


_ALIASES = {
    "retain": "retain_loss", "stop": "stop_forget", "how": "steer", "share": "steer_share",
    "guards": "guard", "rank": "lora", "targets": "lora_targets", "corpus": "split",
    "subject": "split", "generation": "generate", "min_n": "least", "min_gap": "gap",
}  # fmt: skip
"""Arguments in Python, and the verbs' parameters that set them, where the two differ."""


def _end(said: str, code: int) -> int:
    colour = "yellow" if code == InterruptedRun.exit_code else "red"
    console().print(f"[bold {colour}]limen:[/] {escape(said)}", highlight=False, soft_wrap=True)
    return code


def _usage(wrong: Any, arguments: list[str]) -> str:
    """Click's sentence; an unknown command or option is answered with the nearest ones."""
    said, context = wrong.format_message().rstrip("."), wrong.ctx
    unknown = re.match(r"No such (command|option):? '?([^' ]*)'?", said)
    if not context:
        return said
    if said == "Missing command":
        say(context.get_help())
        return f"'{context.command_path}' needs one of the commands above"
    if not unknown:
        return f"{said}{_given(wrong, arguments)}; '{context.command_path} --help' lists all"
    kind, name = unknown.groups()
    options = [word for p in context.command.get_params(context) for word in p.opts]
    known = context.command.commands if kind == "command" else options
    near = nearest(name, [word for word in known if kind == "command" or word.startswith("-")])
    return f"'{context.command_path}' has no {kind} {name!r}; nearest: {near}"


def _given(wrong: Any, arguments: list[str]) -> str:
    """What came for an option that Click refuses."""
    names = getattr(getattr(wrong, "param", None), "opts", ())
    for word, after in zip(arguments, [*arguments[1:], ""], strict=True):
        option, equals, value = word.partition("=")
        if option in names:
            return f", got {value if equals else after!r}"
    return ""


if __name__ == "__main__":
    main()
