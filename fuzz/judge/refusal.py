"""What a refusal comes to: whether the model that a backend refuses is valid, and who bears witness to that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abstract.inference import check_fully, infer_types
from backends.external import check_external_data, read_model
from backends.protocol import Stage
from fuzz.judge.verdict import Word

if TYPE_CHECKING:
    from fuzz.execute.execution import Execution

__all__ = ["refusal"]

_ACCEPTED = "onnx.checker accepts it, strict shape inference included"
_SHAPELESS = "onnx.checker objects to nothing but an output without a shape, which the standard allows"


def refusal(model: bytes, folder: str, execution: Execution, *, runs: bool, problem: str) -> tuple[Word, str]:
    """The verdict on a refusal, with its reason.

    External data of the model lies in ``folder``. ``runs`` says whether our own reference ran the model on the data
    set that the backend had come to, ``problem`` why it did not. An invalid model may be refused. One that is refused
    while it runs may have been given data that it is not defined on: there the reference must have run it as well.
    """
    invalid, witness = _checked(model, folder)
    if invalid:
        return Word.UNSUPPORTED, f"the model is invalid, so it may be refused: {invalid}"
    if not runs and execution.stage is Stage.RUN and problem:
        return Word.UNDECIDABLE, f"refused while it ran ({execution.message}), and {problem}"
    own = "our reference runs it" if runs else problem or "our reference was not asked"
    return Word.REJECTED, f"{execution.message} [the model is valid: {witness}; {own}]".lstrip()


def _checked(model: bytes, folder: str) -> tuple[str, str]:
    """Why a backend may refuse a model, empty where there is no reason; and else who says so."""
    try:
        check_external_data(model, folder or None)
        proto = read_model(model, folder or None)
        if not proto.graph.node or not proto.graph.output:
            return "a graph without nodes or outputs computes nothing", ""
        # The full check infers shapes and types in strict mode.
        check_fully(infer_types(proto, data_prop=True))
    except Exception as error:  # noqa: BLE001 - whatever the checker raises is its opinion
        message = str(error).strip().split("\n", 1)[0][:200]
        # The text of ONNX leaves the shape of an output open; only the checker asks for it.
        return ("", _SHAPELESS) if "Field 'shape' of 'type' is required" in message else (message, "")
    return "", _ACCEPTED
