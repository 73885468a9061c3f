"""Starts a worker: `python -I backends/__main__.py CHANNEL STAGE`, two descriptors.

The interpreter is isolated, so it sees its own environment's packages and neither ours nor this folder, where
`onnxruntime.py` would hide the real one. The package is therefore loaded by its location.
"""

import importlib.util
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


if __name__ == "__main__":
    _load_package()
    from backends.worker import main

    main(int(sys.argv[1]), int(sys.argv[2]))
