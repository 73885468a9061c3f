"""Parents of mutants: models in ONNX's text form, or made by our generator."""

from __future__ import annotations

import pytest
from onnx import numpy_helper, parser

from fuzz.case import Case, data_sets_of, write_case
from fuzz.generate.choices import Seeded
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings
from fuzz.mutate.parent import read_parent


@pytest.fixture
def foreign(tmp_path):
    """A stranger's case, read: the graph in text form, arrays as its only data set (none: no data set)."""

    def make(body, *inputs, opset=17, name="case", functions=""):
        folder = tmp_path / name
        folder.mkdir()
        imports = f'"" : {opset}' + (', "own" : 1' if functions else "")
        model = parser.parse_model(f"<ir_version: 8, opset_import: [{imports}]> {body} {functions}")
        (folder / "model.onnx").write_bytes(model.SerializeToString())
        if inputs:
            (folder / "test_data_set_0").mkdir()
        for index, array in enumerate(inputs):
            path = folder / "test_data_set_0" / f"input_{index}.pb"
            encode = numpy_helper.from_list if isinstance(array, list) else numpy_helper.from_array
            path.write_bytes(encode(array).SerializeToString())
        return read_parent(Case(name, folder, folder / "model.onnx", data_sets_of(folder)))

    return make


@pytest.fixture
def ours(tmp_path):
    """A case of the generator, read."""

    def make(seed, **settings):
        made = generate_case(Seeded(seed), Settings(**settings))
        (tmp_path / "cases").mkdir(exist_ok=True)
        return read_parent(write_case(tmp_path, str(seed), made.model, made.data_sets, {"seed": seed, **made.record}))

    return make


@pytest.fixture
def mutants():
    """What a maker gives for some seeds, and how often it gave nothing."""
    from fuzz.mutate.parent import Unfit

    def make(maker, *parents, seeds=range(40)):
        found, refused = [], []
        for seed in seeds:
            try:
                found.append(maker(*parents, Seeded(seed)))
            except Unfit as error:
                refused.append(str(error))
        return found, refused

    return make
