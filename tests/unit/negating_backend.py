"""A backend that negates two floats as its compiler says: each version of that has its own idea."""

from __future__ import annotations

import struct

import toy_compiler

from backends.protocol import Stage, Unsupported
from backends.tensor import Tensor


class Program:
    def run(self, inputs):
        if not hasattr(toy_compiler, "SIGN"):
            raise Unsupported("this version cannot negate")
        numbers = struct.unpack("<2f", inputs[0].data)
        return [Tensor("float", (2,), struct.pack("<2f", *(toy_compiler.SIGN * x for x in numbers)))]


class Negating:
    name = "negating"

    def compile(self, model, folder, options, enter):
        del model, folder, options
        enter(Stage.COMPILE)
        return Program()


BACKEND = Negating()
