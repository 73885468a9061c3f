"""`fuzz corpus report`, `stats`, `clean`: what is in a cache, and less of it."""

from __future__ import annotations

from pathlib import Path

import click

from fuzz.cli.corpus_run import cache_option
from fuzz.cli.options import FilePath, json_option, print_json

__all__ = ["clean", "report", "stats"]


@click.command("report")
@cache_option(several=True)
@click.argument("more", nargs=-1, type=FilePath(path_type=Path, file_okay=False), metavar="[DIR]...")
@click.option("-r", "--report-dir", "folder", type=FilePath(path_type=Path, file_okay=False), default=Path(),
              show_default="here", metavar="DIR", help="Where the tables go.")  # fmt: skip
@click.option("--date", "day", metavar="YYYY-MM-DD", help="The date in the names of the files.  [default: today]")
@json_option
def report(caches: tuple[Path, ...], more: tuple[Path, ...], folder: Path, day: str | None, as_json: bool) -> None:
    """Write a table of what is in one cache, or in several: YYYY-MM-DD.csv, a row for each build and target.

    errors-YYYY-MM-DD.csv counts what went wrong: id, count, models_impacted, example. Latencies are milliseconds.
    What is missing is "-".

    \b
    fuzz corpus report -d x86-cache h100-cache

    --json prints {report, errors, rows: [{a key for each column}], failures: [{id, count, models_impacted, example}]}.
    """
    import re
    from datetime import UTC, datetime

    from corpus.cache import default_cache
    from fuzz.collection.report import read_report, write_report
    from fuzz.errors import UsageError

    if day is not None and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", day):
        raise UsageError(f"--date {day!r} is no date: write it as 2026-01-31")
    made = read_report([*caches, *more] or [default_cache()])
    table, errors = write_report(made, folder, day or datetime.now(UTC).date().isoformat())
    if as_json:
        print_json({
            "report": str(table), "errors": str(errors), "rows": list(made.rows), "failures": list(made.errors),
        })  # fmt: skip
        return
    click.echo(f"{table}: {len(made.rows):,} {'row' if len(made.rows) == 1 else 'rows'}")
    click.echo(f"{errors}: {sum(int(row['count']) for row in made.errors):,} failures of {len(made.errors):,} kinds")


@click.command("stats")
@cache_option()
@click.argument("build", required=False)
@json_option
def stats(cache: Path | None, build: str | None, as_json: bool) -> None:
    """Show what is in a cache, or all that is known of one BUILD.

    --json prints {cache, builds, status: {STATUS: COUNT}, bytes, summary, names}, or the state of the build.
    """
    import json

    from corpus.cache import builds, default_cache, read_state, statistics
    from corpus.labels import load_from_cache
    from fuzz.collection.summary import Summary

    place = cache or default_cache()
    names = builds(place)
    if build is not None:
        _known([build], names, place)
        state = {**read_state(place, build), "labels": load_from_cache(place, build)}
        if as_json:
            print_json(state)
        else:
            click.echo(json.dumps(state, indent=1, sort_keys=True))
        return
    summary = Summary()
    for name in names:
        summary.count(read_state(place, name))
    found = {**statistics(place), "summary": summary.to_json(), "names": names}
    if as_json:
        print_json(found)
        return
    click.echo(f"{place}: {len(names):,} builds, {found['bytes'] / 2**20:,.1f} MiB")
    told = ", ".join(f"{count:,} {word}" for word, count in found["status"].items())
    click.echo(told or "nothing is built there yet")
    for line in summary.lines()[1:]:
        click.echo(line)


@click.command("clean")
@cache_option()
@click.argument("names", nargs=-1, metavar="[BUILD]...")
@click.option("--all", "everything", is_flag=True, help="All builds of the cache.")
@click.option("--delete", "whole", is_flag=True, help="Remove builds as a whole, so that their models are built again.")
@json_option
def clean(cache: Path | None, names: tuple[str, ...], everything: bool, whole: bool, as_json: bool) -> None:
    """Free space: remove models and data of builds, and keep what the report tells of them.

    --json prints {cache, builds, bytes}: how many were cleaned, and what that freed.
    """
    from corpus.cache import builds, default_cache
    from corpus.cache import clean as clean_builds
    from fuzz.errors import StorageError, UsageError

    place = cache or default_cache()
    known = builds(place)
    if not names and not everything:
        raise UsageError("say what to clean: the names of builds (`fuzz corpus stats --json` lists them), or --all")
    _known(names, known, place)
    chosen = known if everything else sorted(set(names))
    try:
        freed = clean_builds(place, chosen, whole=whole)
    except OSError as problem:
        raise StorageError(f"cannot remove {problem.filename}: {problem.strerror}") from None
    if as_json:
        print_json({"cache": str(place), "builds": len(chosen), "bytes": freed})
    else:
        builds_ = "build" if len(chosen) == 1 else "builds"
        click.echo(f"{len(chosen):,} {builds_} cleaned, {freed / 2**20:,.1f} MiB free")


def _known(names: list[str] | tuple[str, ...], known: list[str], place: Path) -> None:
    from fuzz.errors import UsageError, did_you_mean

    for name in names:
        if name not in known:
            raise UsageError(f"there is no build {name!r} in {place}{did_you_mean(name, known)}")
