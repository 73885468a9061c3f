"""The `fuzz` command: imports the one command that is called, turns errors into a line and an exit code."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from importlib import import_module
from io import TextIOWrapper

import click

from fuzz.errors import FuzzError
from fuzz.interruption import insist

__all__ = ["COMMANDS", "fuzz", "main"]

FOUND_NOTHING, FINDINGS, MISUSE, BUG, INTERRUPTED = 0, 1, 2, 70, 130

# The command NAME is `command` in fuzz/cli/NAME.py; this is what `fuzz --help` says of it.
COMMANDS: dict[str, str] = {
    "gen": "Make random valid models with inputs.",
    "diversify": "Make static models of the same graphs at other sizes.",
    "mutate": "Make new cases of cases: other inputs, types, sizes, nodes.",
    "exec": "Run the cases of a root on backends, isolated.",
    "diff": "Judge what was executed against the fp64 reference.",
    "run": "All of it in a loop: the campaign.",
    "report": "Write a page of what was found and what was reached.",
    "check": "Run and judge one model of your own.",
    "reduce": "Make a failing model small.",
    "blame": "Find the switches or passes that a finding needs.",
    "bisect": "Find the release, or the commit, that a case fails since.",
    "matrix": "Show which versions have which findings.",
    "repro": "Write the script and the report of a failing case.",
    "regress": "The gate of CI: cases against what is expected of them.",
    "perf": "Measure: is a target slower than it should be?",
    "relate": "Compare models and runs that must agree on one target.",
    "stable": "Run cases in ways that must not matter: threads, layouts, memory.",
    "backends": "Show the targets: what is installed, what each can do.",
    "doctor": "Is the harness sound? ONNX's own tests on each target.",
    "bait": "Show the patterns that compilers rewrite and gen places.",
    "ops": "Show the operators and types that models are made of.",
    "structure": "Show what models have beside operators, and how many.",
    "hazards": "Show what the specification leaves open.",
    "corpus": "Real models: run them, mine them; ONNX's operator tests.",
    "selftest": "Test the judge: null runs, planted faults, ONNX's tests.",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called; the table above is enough for the help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order in which a case walks through them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"fuzz.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table; nothing is imported for it."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"fuzz (dnnfuzz) {version('dnnfuzz')}")
        ctx.exit()


_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(cls=LazyGroup, context_settings=_SETTINGS)
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Show the version."
)
def fuzz() -> None:
    """Differential testing of neural-network compilers.

    \b
    fuzz gen                    random valid models with inputs, as ONNX test cases
    fuzz exec --backend tvm     run them, isolated
    fuzz diff                   compare, judge, explain

    All work in one root folder: --root, else $FUZZ_ROOT, else ./fuzz-root. Exit codes: 0 nothing found,
    1 findings, 2 misuse.
    """


def main() -> None:
    """Entry point of the console script."""
    code = FOUND_NOTHING
    # A polite kill stops a command as Ctrl-C does: processes and temporary files go, what was finished is kept.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    insist()
    _open_standard_streams()
    # Processes of ours are one a core. Threads of NumPy's beside them would wait for one another, and judge seven times
    # as long; it asks when it is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        result = fuzz.main(standalone_mode=False)
        code = result if isinstance(result, int) else FOUND_NOTHING
        sys.stdout.flush()
    except click.exceptions.Exit as done:
        code = done.exit_code
    except (click.ClickException, FuzzError) as error:
        click.echo(f"fuzz: {_line(error)}", err=True)
        code = MISUSE
    except SystemExit:
        # The reader went away, as in `fuzz diff | head`: click then ends with 1, which here would mean findings.
        code = FOUND_NOTHING
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EPIPE}:
            raise
        _mute()
        if error.errno == errno.ENOSPC:
            click.echo(f"fuzz: {error.strerror}: free some space", err=True)
            code = MISUSE
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted; what was finished is kept, run the same command to go on", err=True)
        code = INTERRUPTED
    except Exception:  # noqa: BLE001 - told whole: it is a bug of ours, and 1 would read as findings
        traceback.print_exc()
        click.echo("fuzz: this is a bug of fuzz itself; please report it with the lines above", err=True)
        code = BUG
    sys.exit(code)


def _open_standard_streams() -> None:
    """A stream that the caller closed is None; what its encoding lacks is escaped."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - open until the end
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _mute() -> None:
    """Python flushes standard output at exit: not into what has just refused it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _line(error: click.ClickException | FuzzError) -> str:
    text = error.format_message() if isinstance(error, click.ClickException) else str(error)
    text = " ".join(text.split())
    if isinstance(error, click.UsageError) and error.ctx:
        text = f"{text.rstrip('.')} (see `{error.ctx.command_path} --help`)"
    return text
