"""ONNX Runtime, OpenVINO, tract, ONNX's evaluator."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from fuzz.repro.recipe import NoRecipe, Recipe, Request, lines, source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ORT_RUN", "RECIPES", "session_lines"]

_LEVELS = {
    "0": "ORT_DISABLE_ALL", "1": "ORT_ENABLE_BASIC", "2": "ORT_ENABLE_EXTENDED", "3": "ORT_ENABLE_LAYOUT",
    "99": "ORT_ENABLE_ALL",
}  # fmt: skip
_PROVIDERS = {
    "": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider",
}  # fmt: skip
ORT_RUN = source('''
    def to_ort(array):
        """An OrtValue of an array, whose type numpy may lack."""
        tensor = onnx.numpy_helper.from_array(array)
        value = onnxruntime.OrtValue.ortvalue_from_shape_and_type(list(array.shape), tensor.data_type)
        ctypes.memmove(value.data_ptr(), tensor.raw_data, len(tensor.raw_data))
        return value


    def from_ort(value):
        """The array of an OrtValue."""
        data = ctypes.string_at(value.data_ptr(), value.tensor_size_in_bytes()) if value.tensor_size_in_bytes() else b""
        tensor = onnx.TensorProto(data_type=value.element_type(), dims=value.shape(), raw_data=data)
        return onnx.numpy_helper.to_array(tensor)


    def run_raw(session, inputs):
        """As session.run, for types that numpy lacks."""
        given = {name: to_ort(array) for name, array in inputs.items()}
        names = [port.name for port in session.get_outputs()]
        return [from_ort(value) for value in session.run_with_ort_values(names, given)]
''')


def session_lines(level: str, disabled: list[str], threads: str = "1", provider: str = "") -> list[str]:
    """Lines that make ``options``, and the arguments of a session of ONNX Runtime behind the model."""
    return [
        "options = onnxruntime.SessionOptions()",
        f"options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.{_LEVELS[level]}",
        f"options.intra_op_num_threads = {threads}",
        f'arguments = {{"providers": ["{_PROVIDERS[provider]}"]}}',
        f'arguments["disabled_optimizers"] = {disabled!r}' if disabled else "",
    ]


def _onnxruntime(asked: Request) -> Recipe:
    provider = asked.option("provider", "cuda" if asked.device == "cuda" else "")
    if provider not in _PROVIDERS:
        raise NoRecipe(f"no script sets up ONNX Runtime's provider {provider} here")
    body = session_lines(asked.option("opt", "99"), asked.names("disable"), asked.option("threads", "1"), provider)
    if asked.option("reload", "no") == "yes":
        body += [
            "with tempfile.TemporaryDirectory() as folder:",
            '    options.optimized_model_filepath = str(pathlib.Path(folder, "optimised.onnx"))',
            "    onnxruntime.InferenceSession(model.SerializeToString(), options, **arguments)",
            "    saved = pathlib.Path(options.optimized_model_filepath).read_bytes()",
            "plain = onnxruntime.SessionOptions()",
            "plain.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL",
            "session = onnxruntime.InferenceSession(saved, plain, **arguments)",
        ]
    else:
        body.append("session = onnxruntime.InferenceSession(model.SerializeToString(), options, **arguments)")
    body.append(f"return lambda inputs: {_ort_call(asked)}")
    text = f'def build(model):\n    """A function from inputs to outputs: a session."""\n{lines(*body)}'
    return Recipe(
        "ONNX Runtime", ("onnxruntime",), _ort_imports(asked), f"{ORT_RUN}\n\n\n{text}" if asked.extended else text
    )


def _ort_call(asked: Request) -> str:
    return "run_raw(session, inputs)" if asked.extended else "session.run(None, inputs)"


def _ort_imports(asked: Request) -> str:
    return "import onnxruntime" if not asked.extended else "import ctypes\nimport onnx.numpy_helper\nimport onnxruntime"


def _openvino(asked: Request) -> Recipe:
    mode = asked.option("mode", "accuracy")
    settings = {
        "EXECUTION_MODE_HINT": mode.upper(),
        "INFERENCE_NUM_THREADS": int(asked.option("threads", "1")),
        "NUM_STREAMS": 1,
    }
    if precision := asked.option("precision", "f32" if mode == "accuracy" else ""):
        settings["INFERENCE_PRECISION_HINT"] = precision
    for name in filter(None, asked.option("disable", "").split("+")):
        if name not in _OPENVINO_OFF:
            raise NoRecipe(f"OpenVINO has no switch {name}")
        settings |= _OPENVINO_OFF[name]
    reload = "    compiled = core.import_model(compiled.export_model(), DEVICE, SETTINGS)\n"
    build = source(f"""
        DEVICE = "{asked.device.upper()}"
        SETTINGS = {settings!r}


        def to_openvino(array):
            \"\"\"A tensor of OpenVINO's.\"\"\"
            if array.dtype.name in TYPES:
                data = np.frombuffer(onnx.numpy_helper.from_array(array).raw_data, np.uint8).copy()
                return openvino.Tensor(data, list(array.shape), getattr(openvino.Type, TYPES[array.dtype.name]))
            return openvino.Tensor(array.astype(np.str_) if array.dtype == object else array)


        def from_openvino(tensor):
            \"\"\"An array of numpy's.\"\"\"
            name = tensor.element_type.get_type_name()
            for own, theirs in TYPES.items():
                if theirs == name:
                    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(getattr(ml_dtypes, own)))
                    made = onnx.TensorProto(data_type=kind, dims=list(tensor.shape), raw_data=tensor.data.tobytes())
                    return onnx.numpy_helper.to_array(made)
            return np.array(tensor.str_data if name == "string" else tensor.data).reshape(list(tensor.shape))


        TYPES = {{
            "bfloat16": "bf16", "float8_e4m3fn": "f8e4m3", "float8_e5m2": "f8e5m2", "float8_e8m0fnu": "f8e8m0",
            "float4_e2m1fn": "f4e2m1", "int4": "i4", "uint4": "u4",
        }}


        def build(model):
            \"\"\"A function from inputs to outputs: an infer request of a compiled model.\"\"\"
            core = openvino.Core()
            compiled = core.compile_model(core.read_model(model.SerializeToString()), DEVICE, SETTINGS)
        RELOAD
            request = compiled.create_infer_request()

            def run(inputs):
                given = []
                for port in compiled.inputs:  # inputs that nothing reads are gone
                    given.append(to_openvino(next(inputs[name] for name in inputs if name in port.get_names())))
                request.infer(given)
                return [from_openvino(request.get_output_tensor(n)) for n in range(len(compiled.outputs))]

            return run
    """)
    build = build.replace("RELOAD\n", reload if asked.option("reload", "no") == "yes" else "")
    if not asked.extended:
        start, end = build.index("def to_openvino"), build.index("def build")
        build = build[:start] + _OPENVINO_PLAIN + build[end:]
    imports = "import ml_dtypes\nimport onnx.numpy_helper\nimport openvino" if asked.extended else "import openvino"
    return Recipe("OpenVINO", ("openvino",), imports, build, before=_NO_TELEMETRY)


_OPENVINO_OFF = MappingProxyType({
    "low_precision": {"LP_TRANSFORMS_MODE": "NO"}, "snippets": {"SNIPPETS_MODE": "DISABLE"},
})  # fmt: skip
_NO_TELEMETRY = 'sys.modules["openvino_telemetry"] = None  # nothing is sent'
_OPENVINO_PLAIN = '''def to_openvino(array):
    """A tensor of OpenVINO's."""
    return openvino.Tensor(array.astype(np.str_) if array.dtype == object else array)


def from_openvino(tensor):
    """An array of numpy's."""
    is_text = tensor.element_type == openvino.Type.string
    return np.array(tensor.str_data if is_text else tensor.data).reshape(list(tensor.shape))


'''


def _tract(asked: Request) -> Recipe:
    if asked.extended:
        raise NoRecipe("tract's Python interface takes no types that numpy lacks")
    reload = asked.option("reload", "no") == "yes"
    body = [
        '"""A function from inputs to outputs: a runnable of tract\'s."""',
        "with tempfile.TemporaryDirectory() as folder:",
        '    path = pathlib.Path(folder, "model.onnx")',
        "    onnx.save(model, path)",
        "    inferred = tract.onnx().load(path)",
        "    inferred.analyse()",
        "    typed = inferred.into_model()",
        '    archive = pathlib.Path(folder, "model.nnef.tar")' if reload else "",
        "    nnef = tract.nnef().with_onnx().with_tract_extra().with_tract_transformers()" if reload else "",
        "    nnef.write_model_to_tar(typed, archive)" if reload else "",
        "    typed = nnef.load(archive)" if reload else "",
        "names = [typed.input_name(n) for n in range(typed.input_count())]",
        "# A size is of a type of tract's own, which its interface does not hand out.",
        'sizes = [fact.dump().lower().endswith("tdim") for fact in typed.output_facts()]',
        "runnable = typed.into_runnable()",
        "",
        "def run(inputs):",
        "    results = runnable.run([inputs[name] for name in names])",
        "    return [",
        "        (result.convert_to(tract.DatumType.I64) if size else result).to_numpy()",
        "        for result, size in zip(results, sizes)",
        "    ]",
        "return run",
    ]
    return Recipe(
        "tract", ("tract",), "import tract", f"def build(model):\n{lines(*body)}",
        environment=(("RUST_BACKTRACE", "0"),),
    )  # fmt: skip


def _reference(asked: Request) -> Recipe:
    del asked
    build = source('''
        def build(model):
            """A function from inputs to outputs: ONNX's evaluator."""
            evaluator = onnx.reference.ReferenceEvaluator(model)
            return lambda inputs: evaluator.run(None, inputs)
    ''')
    return Recipe("onnx.reference", ("onnx",), "import onnx.reference", build)


RECIPES: Mapping[str, Callable[[Request], Recipe]] = MappingProxyType({
    "onnxruntime": _onnxruntime, "openvino": _openvino, "tract": _tract, "reference": _reference,
})  # fmt: skip
