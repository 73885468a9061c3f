"""What adapters share: the inputs that a data set must have, and texts without addresses."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from backends.graph import numbered, required_inputs, taken
from backends.protocol import InvalidCase, Unsupported
from backends.tensor import from_numpy

VALUES = [from_numpy(np.float32([number])) for number in range(3)]


def test_inputs_with_a_default_dense_or_sparse_need_no_value():
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("x", "dense", "y", "sparse")]
    one = numpy_helper.from_array(np.ones(2, np.float32), "dense")
    indices = numpy_helper.from_array(np.int64([0]), "")
    sparse = helper.make_sparse_tensor(numpy_helper.from_array(np.ones(1, np.float32), "sparse"), indices, [2])
    graph = helper.make_graph([], "graph", ports, [], [one], sparse_initializer=[sparse])
    assert [port.name for port in required_inputs(graph)] == ["x", "y"]


def test_a_data_set_may_go_on_with_values_for_inputs_that_have_a_default():
    assert taken(VALUES, 3) == VALUES
    assert taken(VALUES, 2, 3) == VALUES


def test_values_for_inputs_with_a_default_are_told_where_a_backend_takes_none():
    with pytest.raises(Unsupported, match="takes no values for inputs that have a default"):
        taken(VALUES, 2)


@pytest.mark.parametrize(("required", "most"), [(4, None), (4, 5), (1, 2)])
def test_a_data_set_of_another_model_is_told(required, most):
    with pytest.raises(InvalidCase, match=f"the model has {required} inputs, the data set 3"):
        taken(VALUES, required, most)


def test_what_differs_from_process_to_process_is_counted():
    text = 'load !"0x7f31", !"0x66aa"; store !"0x7f31"'
    assert numbered(text, '(?<=!")0x[0-9a-f]+', "buffer") == 'load !"buffer0", !"buffer1"; store !"buffer0"'
    assert numbered("Abs_860 Abs_9 Abs_860", r"(?<=[A-Za-z]_)\d+") == "Abs_0 Abs_1 Abs_0"
