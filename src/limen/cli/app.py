"""The command `limen`: one exit code for each kind of ending, one sentence for each error."""

import os
import sys
import traceback
from collections.abc import Sequence

import typer
from click.exceptions import Abort, ClickException
from rich.markup import escape

from limen import __version__
from limen._core.errors import InterruptedRun, LimenError, nearest
from limen.cli import catalogue, demo, recipes, unlearn
from limen.run.progress import console, talk

app = typer.Typer(
    name="limen",
    help="What did a model gain, and what did it cost?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(unlearn.app, name="unlearn")
for verb in (demo.demo, catalogue.show, catalogue.doctor, recipes.run, recipes.report):
    app.command()(verb)
app.command(name="list")(catalogue.list_names)


@app.callback(invoke_without_command=True)
def root(
    *,
    version: bool = typer.Option(False, "--version", help="Print the version and end."),
) -> None:
    """What did a model gain, and what did it cost?"""
    if version:
        print(__version__)
        raise typer.Exit


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and end the process: 0 done, 1 failed, 2 wrong use, 130 interrupted."""
    sys.exit(ending(sys.argv[1:] if arguments is None else list(arguments)))


def ending(arguments: list[str]) -> int:
    """Run the command; one sentence on stderr if something is wrong; returns the exit code."""
    talk(on=True)
    try:
        result = typer.main.get_command(app).main(
            arguments, prog_name="limen", standalone_mode=False
        )
    except (KeyboardInterrupt, Abort) as stopped:
        said = str(stopped) if isinstance(stopped, InterruptedRun) else "interrupted"
        return _end(said, InterruptedRun.exit_code)
    except ClickException as wrong:
        return _end(_usage(wrong, arguments), 2)
    except LimenError as failure:
        return _end(str(failure), failure.exit_code)
    except Exception as failure:  # noqa: BLE001  the last resort, which says where to look
        if os.environ.get("LIMEN_TRACEBACK"):
            traceback.print_exc()
        kind = type(failure).__name__
        return _end(f"unexpected {kind}: {failure} (LIMEN_TRACEBACK=1 shows where)", 1)
    return result if isinstance(result, int) else 0


def _end(said: str, code: int) -> int:
    colour = "yellow" if code == InterruptedRun.exit_code else "red"
    console().print(f"[bold {colour}]limen:[/] {escape(said)}", highlight=False, soft_wrap=True)
    return code


def _usage(wrong: ClickException, arguments: list[str]) -> str:
    """Click's sentence; an unknown command is answered with the nearest ones."""
    said = wrong.format_message()
    context = getattr(wrong, "ctx", None)
    commands = getattr(getattr(context, "command", None), "commands", None)
    if commands and "No such command" in said:
        asked = next((word for word in reversed(arguments) if f"'{word}'" in said), "")
        return f"there is no command {asked!r}; nearest: {nearest(asked, commands)}"
    help_for = f"; '{context.command_path} --help' lists all" if context else ""
    return said.rstrip(".") + help_for


if __name__ == "__main__":
    main()
