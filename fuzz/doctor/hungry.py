"""A backend that takes memory until it is stopped: what the doctor tries the limit on.

It is loaded in a worker by its path and imports nothing, so that its start shows a worker and no backend.
"""

__all__ = ["BACKEND"]

_BLOCK = 16 << 20  # bytes


class _Hungry:
    name = "hungry"

    def compile(self, *_request: object) -> object:
        """Never returns."""
        held: list[bytes] = []
        while True:
            held.append(b"\x01" * _BLOCK)


BACKEND = _Hungry()
