"""Starts a worker: `python -I backends/__main__.py CHANNEL STAGE`, two descriptors.

The interpreter is isolated, so it sees its own environment's packages and neither ours nor this folder, where
`onnxruntime.py` would hide the real one. The package is therefore loaded by its location.
"""

import atexit
import importlib.util
import os
import sys
from pathlib import Path


def _load_package() -> None:
    folder = Path(__file__).resolve().parent
    spec = importlib.util.spec_from_file_location(
        "backends", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"no package in {folder}")
    module = importlib.util.module_from_spec(spec)
    sys.modules["backends"] = module
    spec.loader.exec_module(module)


def _leave() -> None:
    """End this process: what packages have registered for its end is run, the interpreter is not taken down.

    To take it down, with all that a backend holds, is a fifth of the CPU time of a worker that executes one case.
    """
    atexit._run_exitfuncs()  # noqa: SLF001 - there is no other way to run them and not the rest
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)


if __name__ == "__main__":
    _load_package()
    from backends.worker import main

    main(int(sys.argv[1]), int(sys.argv[2]))
    _leave()
