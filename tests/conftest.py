"""What holds for all tests."""

from __future__ import annotations

import signal

# A shell that starts a run in the background has it ignore SIGINT, and whatever the tests start would inherit that:
# those who interrupt a command would wait for it in vain.
signal.signal(signal.SIGINT, signal.default_int_handler)
