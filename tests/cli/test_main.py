"""What all commands share: help, version, one-line errors, exit codes, pipes."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from fuzz.cli.main import COMMANDS


def test_help_lists_every_command(fuzz):
    done = fuzz("--help")
    assert done.returncode == 0
    for name, what in COMMANDS.items():
        assert name in done.stdout
        assert what in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_its_options(fuzz, name):
    done = fuzz(name, "--help")
    assert done.returncode == 0
    assert done.stderr == ""
    assert f"Usage: fuzz {name}" in done.stdout


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_imports_nothing_heavy(unmeasured, name):
    program = (
        "import sys; from fuzz.cli.main import fuzz\n"
        f"fuzz.main([*{name.split()!r}, '--help'], standalone_mode=False)\n"
        "heavy = {'numpy', 'onnx', 'rich', 'onnxruntime', 'tvm', 'openvino', 'z3', 'ml_dtypes', 'sqlite3'}\n"
        "print(*sorted(heavy & set(sys.modules)), end='', file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("given", "threads"), [({}, "1"), ({"OPENBLAS_NUM_THREADS": "3"}, "3")])
def test_linear_algebra_takes_one_thread_a_process_unless_somebody_says_otherwise(unmeasured, given, threads):
    program = (
        "import os, sys; from fuzz.cli.main import main\n"
        "sys.argv[1:] = ['ops', '--json']\n"
        "try:\n    main()\n"
        "finally:\n"
        "    from fuzz.judge import judge\n"
        "    print(os.environ['OPENBLAS_NUM_THREADS'], len(os.listdir('/proc/self/task')), file=sys.stderr)"
    )
    place = {key: value for key, value in os.environ.items() if not key.endswith("_NUM_THREADS")} | given
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=place)
    told, running = done.stderr.split()
    assert told == threads
    assert int(running) <= int(threads)


def test_version(fuzz):
    done = fuzz("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("fuzz (dnnfuzz) 0.")


def test_an_unknown_command_is_one_line(fuzz, refused):
    refused(fuzz("genn"), "No such command 'genn'", "fuzz --help")


def test_an_unknown_option_is_one_line(fuzz, refused):
    refused(fuzz("gen", "--cuont", 3), "--cuont", "fuzz gen --help")


def test_without_a_command_the_help_is_shown(fuzz):
    done = fuzz()
    assert "Commands:" in done.stdout + done.stderr


def test_a_reader_that_goes_away_is_no_error(unmeasured, fuzz):
    # The reader is gone before anything is written.
    command = ["bash", "-c", 'set -o pipefail; (sleep 0.2; "$0" --help) | true', str(fuzz.program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_standard_output_that_cannot_take_it_is_no_traceback(fuzz):
    done = fuzz("gen", "--count", 1, "--json", before="exec >/dev/full")
    assert done.returncode == 2
    assert done.stderr == "fuzz: No space left on device: free some space\n"


def test_the_root_comes_from_the_option_then_the_environment_then_the_folder(unmeasured, fuzz):
    def root(*arguments: object, **environment: str) -> str:
        return json.loads(fuzz("gen", "--count", 1, "--json", *arguments, **environment).stdout)["root"]

    assert root() == "fuzz-root"
    assert root(FUZZ_ROOT="from-environment") == "from-environment"
    assert root("--root", "from-option", FUZZ_ROOT="from-environment") == "from-option"
    assert sorted(path.name for path in fuzz.home.iterdir()) == ["from-environment", "from-option", "fuzz-root"]


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("gen", "--root", ""), "--root"),
        (("diff", "--html", ""), "--html"),
        (("check", "model.onnx", "--backend", "reference", "--inputs", ""), "--inputs"),
        (("exec", "--backend", "reference", "--timeout", "nan"), "--timeout"),
        (("diff", "--oracle", "allclose", "--rtol", "inf"), "--rtol"),
    ],
)
def test_what_is_empty_or_no_number_is_a_slip(fuzz, refused, arguments, option):
    refused(fuzz(*arguments), option)
    assert list(fuzz.home.iterdir()) == []


def test_models_for_an_unknown_backend(fuzz, refused):
    refused(fuzz("gen", "--for", "nope"), "unknown backend 'nope'", "onnxruntime")


@pytest.mark.parametrize("closing", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_stream_is_no_finding(fuzz, closing):
    done = fuzz("backends", before=f"exec {closing}")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_goes_away_before_anything_is_written(fuzz):
    command = ["bash", "-c", '"$0" backends --json | (exec <&-; sleep 2); exit ${PIPESTATUS[0]}', str(fuzz.program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_an_encoding_lacks_is_escaped(unmeasured, fuzz):
    assert fuzz("gen", "--count", 1).returncode == 0
    assert fuzz("exec", "--backend", "reference").returncode == 0
    done = fuzz("diff", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\xb7" in done.stdout


def test_a_store_without_executions_is_no_clean_bill(fuzz, refused):
    assert fuzz("gen", "--count", 1).returncode == 0
    (fuzz.home / "fuzz-root/fuzz.sqlite").touch()
    refused(fuzz("diff"), "nothing has been executed")


def test_a_bug_of_ours_is_neither_a_finding_nor_a_misuse(monkeypatch, capsys):
    import pytest

    from fuzz.cli import main as module

    def broken(**_options):
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(module.fuzz, "main", broken)
    with pytest.raises(SystemExit) as stop:
        module.main()
    assert stop.value.code == 70
    assert "a bug of fuzz itself" in capsys.readouterr().err
