"""docs/property-tests.md does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import Phase

PAGE = Path(__file__).parents[2] / "docs" / "property-tests.md"


@pytest.fixture
def names():
    """What the page's example defines."""
    (block,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    scope: dict[str, object] = {"Phase": Phase}
    # Making what fails smaller takes minutes: that it can is tested elsewhere.
    shorter = block.replace("deadline=None", "deadline=None, derandomize=True, phases=(Phase.generate,)")
    assert shorter != block
    exec(compile(shorter, str(PAGE), "exec"), scope)  # noqa: S102 - our own page
    return scope


def test_the_example_passes(names):
    names["test_rewriting_keeps_the_outputs"]()


# A model that is not made smaller is printed whole.
@pytest.mark.filterwarnings("ignore:Generating overly large repr")
def test_the_example_fails_where_the_rewriter_does(names):
    def without_relu(model):
        for node in model.graph.node:
            if node.op_type == "Relu":
                node.op_type = "Neg"
        return model

    names["rewritten"] = without_relu
    with pytest.raises(AssertionError):
        names["test_rewriting_keeps_the_outputs"]()
