"""What OpenVINO is lent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from backends.registry import NO_TELEMETRY

# OpenVINO leaves files in the home directory of a process that is no worker.
PROGRAM = """
import numpy as np
from backends.openvino import _argument
from backends.tensor import from_numpy
for array in (np.array([1, 2], np.float32), np.array([[3]], np.int64)):
    lent = _argument(from_numpy(array))
    assert lent.tensor.data.ctypes.data == lent.memory.ctypes.data
    assert lent.memory.tobytes() == array.tobytes()
print("held")
"""


def test_the_memory_that_a_tensor_shares_is_held(tmp_path):
    # Releases before 2025 do not hold it themselves: answers were made of memory that was free again.
    environment = {**os.environ, **NO_TELEMETRY, "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=Path(__file__).parents[2], env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.stdout == "held\n", done.stderr
