"""MNN, ncnn by pnnx, C code of emx-onnx-cgen."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from fuzz.repro.recipe import NoRecipe, Recipe, Request, source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["RECIPES"]


def _mnn(asked: Request) -> Recipe:
    if asked.extended:
        raise NoRecipe("no script hands types that numpy lacks to MNN")
    build = source(f"""
        HELD = {{"f": (np.float32, expr.float), "u": (np.uint8, expr.uint8)}}  # all else in int32


        def build(model):
            \"\"\"A function from inputs to outputs: a module of MNN's.\"\"\"
            inputs = [port.name for port in onnx.shape_inference.infer_shapes(model).graph.input]
            outputs = [port.name for port in model.graph.output]
            folder = tempfile.TemporaryDirectory()
            source, target = (str(pathlib.Path(folder.name, f"model.{{suffix}}")) for suffix in ("onnx", "mnn"))
            onnx.save(model, source)
            # What the command `mnnconvert` calls.
            _tools.mnnconvert([
                "mnnconvert", "-f", "ONNX", "--modelFile", source, "--MNNModel", target,
                "--optimizeLevel", "{asked.option("opt", "1")}", "--bizCode", "model",
            ])
            if not pathlib.Path(target).is_file():
                raise RuntimeError("the converter wrote no model: see what it printed")
            settings = {{
                "backend": "CPU", "precision": "{asked.option("precision", "high")}",
                "numThread": {asked.option("threads", "1")},
            }}
            manager = nn.create_runtime_manager((settings,))
            manager.set_hint(3, 0)  # no Winograd
            module = nn.load_module_from_file(target, inputs, outputs, runtime_manager=manager)

            def run(given):
                results = module.forward([to_mnn(given[name]) for name in inputs if name in given])
                results = results if isinstance(results, (list, tuple)) else [results]
                return [to_array(*pair) for pair in zip(results, model.graph.output)]

            return run


        def to_mnn(array):
            \"\"\"A variable of MNN's.\"\"\"
            kind, held = HELD.get(array.dtype.kind, (np.int32, expr.int))
            return expr.const(np.ascontiguousarray(array.astype(kind)), list(array.shape), expr.NCHW, held)


        def to_array(result, port):
            \"\"\"An array of the type that the model declares: MNN holds it in a type of its own.\"\"\"
            plain = result if result.data_format == expr.NCHW else expr.convert(result, expr.NCHW)
            kind = onnx.helper.tensor_dtype_to_np_dtype(port.type.tensor_type.elem_type)
            shape = tuple(plain.shape)
            return (np.array(plain.read()).reshape(shape) if 0 not in shape else np.zeros(shape)).astype(kind)
    """)
    return Recipe("MNN", ("mnn",), "import onnx.shape_inference\nimport _tools\nfrom MNN import expr, nn", build)


_SWITCHES = {
    "f32": (), "f16": ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic"),
    "bf16": ("use_bf16_packed", "use_bf16_storage"),
}  # fmt: skip


def _ncnn(asked: Request) -> Recipe:
    switches: dict[str, object] = dict.fromkeys((name for names in _SWITCHES.values() for name in names), False)
    switches |= dict.fromkeys(_SWITCHES[asked.option("precision", "f32")], True)
    switches |= {
        "use_vulkan_compute": False, "num_threads": int(asked.option("threads", "1")),
        "use_winograd_convolution": asked.option("winograd", "no") == "yes",
    }  # fmt: skip
    off = asked.names("disable")
    switches |= {f"use_{name}": name not in off for name in ("packing_layout", "sgemm_convolution")}
    written = "".join(f'    "{name}": {value},\n' for name, value in switches.items())
    build = source(f"""
        def build(model):
            \"\"\"A function from inputs to outputs: pnnx converts for the inputs' shapes, ncnn runs that.\"\"\"
            order = [port.name for port in model.graph.input]

            def run(inputs):
                names = [name for name in order if name in inputs]
                with tempfile.TemporaryDirectory() as folder:
                    net, given, made = convert(model, [inputs[name] for name in names], folder)
                extractor = net.create_extractor()
                for blob, batch in given:
                    array = inputs[names[int(blob.removeprefix("in"))]]
                    extractor.input(blob, ncnn.Mat(np.ascontiguousarray(array), batch_index=batch).clone())
                found = [extractor.extract(blob) for blob, _ in made]
                if any(status != 0 for status, _ in found):
                    raise RuntimeError(f"ncnn gives no output: {{[status for status, _ in found]}}")
                return [np.array(mat.numpy(batch_index=batch)) for (_, mat), (_, batch) in zip(found, made)]

            return run


        def convert(model, arrays, folder):
            \"\"\"A network of ncnn's; its inputs and outputs, each with the axis that is the batch's.\"\"\"
            onnx.save(model, pathlib.Path(folder, "model.onnx"))
            shapes = ",".join("[" + ",".join(map(str, array.shape)) + "]f32" for array in arrays)
            program = pathlib.Path(importlib.util.find_spec("pnnx").origin).parent / "pnnx"
            command = [str(program), "model.onnx", "optlevel={asked.option("opt", "2")}", "fp16=0"]
            command.append(f"inputshape={{shapes}}")
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
            script = pathlib.Path(folder, "model_ncnn.py").read_text()
            net = ncnn.Net()
            for name, value in OPTIONS.items():
                setattr(net.opt, name, value)
            if net.load_param(str(pathlib.Path(folder, "model.ncnn.param"))) != 0:
                raise RuntimeError("ncnn does not load what pnnx wrote")
            if net.load_model(str(pathlib.Path(folder, "model.ncnn.bin"))) != 0:
                raise RuntimeError("ncnn does not load the weights that pnnx wrote")
            given = re.findall(r'ex\\.input\\("(in\\d+)", .*batch_index=(\\d+)\\)', script)
            made = re.findall(r"(out\\d+)\\.numpy\\(batch_index=(\\d+)\\)", script)
            kept = {{line.split()[1] for line in pathlib.Path(folder, "model.ncnn.param").read_text().splitlines()
                    if line.startswith("Input ")}}
            return net, [(b, int(n)) for b, n in given if b in kept], [(b, int(n)) for b, n in made]
    """)
    return Recipe(
        "ncnn", ("ncnn",), "import importlib.util\nimport re\nimport subprocess\nimport ncnn",
        f"OPTIONS = {{\n{written}}}\n\n\n{build}", bare=("pnnx",),
    )  # fmt: skip


def _emx(asked: Request) -> Recipe:
    if asked.extended or asked.option("sanitize", "none") != "none":
        raise NoRecipe("no script passes types that numpy lacks to C, or links a sanitizer")
    build = source(f"""
        def build(model):
            \"\"\"A function from inputs to outputs: C code, built as a shared library.\"\"\"
            settings = CompilerOptions(
                large_weight_threshold=0, restrict_arrays={asked.option("restrict", "yes") == "yes"}
            )
            text = Compiler(settings).compile(model)
            folder = tempfile.TemporaryDirectory()
            source, library = (pathlib.Path(folder.name, name) for name in ("model.c", "model.so"))
            source.write_text(text)
            headers = pathlib.Path(emx_onnx_cgen.__file__).with_name("third_party")
            flags = ["-O{asked.option("opt", "2")}", "-w", "-shared", "-fPIC", f"-I{{headers}}"]
            subprocess.run([os.environ.get("CC", "cc"), *flags, str(source), "-o", str(library), "-lm"], check=True)
            function = ctypes.CDLL(str(library)).model
            function.restype = None

            def run(inputs):
                names = [port.name for port in model.graph.input if port.name in inputs]
                given = [np.ascontiguousarray(inputs[name]) for name in names]
                made = [np.zeros(due.shape or 1, kind) for _, kind, due, _ in DUE]
                function(*(ctypes.c_void_p(array.ctypes.data) for array in (*given, *made)))
                return [array.reshape(due.shape) for array, (_, _, due, _) in zip(made, DUE)]

            return run
    """)
    return Recipe(
        "emx-onnx-cgen", ("emx-onnx-cgen",),
        "import ctypes\nimport os\nimport subprocess\nimport emx_onnx_cgen\n"
        "from emx_onnx_cgen.compiler import Compiler, CompilerOptions",
        build,
    )  # fmt: skip


RECIPES: Mapping[str, Callable[[Request], Recipe]] = MappingProxyType({
    "mnn": _mnn, "ncnn": _ncnn, "emx-onnx-cgen": _emx,
})  # fmt: skip
