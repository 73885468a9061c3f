"""XLA and TensorFlow by onnx-tf, LiteRT by onnx2tf."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from fuzz.repro.recipe import NoRecipe, Recipe, Request, lines, source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["RECIPES"]

_SHIM = source('''
    def stand_in(name, **contents):
        """A module that onnx-tf 1.10 imports and that is gone since; its real one where that is installed."""
        try:
            if importlib.util.find_spec(name) is not None:
                return
        except ModuleNotFoundError:
            pass
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(contents)


    def onnx_mapping():
        """The tables that onnx.mapping had until onnx 1.18."""
        numbers = [number for number in onnx.TensorProto.DataType.values() if number]
        arrays = {number: onnx.helper.tensor_dtype_to_np_dtype(number) for number in numbers}
        storage = {number: onnx.helper.tensor_dtype_to_storage_tensor_dtype(number) for number in numbers}
        fields = {number: onnx.helper.tensor_dtype_to_field(number) for number in numbers}
        return {
            "TENSOR_TYPE_TO_NP_TYPE": arrays, "TENSOR_TYPE_TO_STORAGE_TENSOR_TYPE": storage,
            "STORAGE_TENSOR_TYPE_TO_FIELD": fields, "NP_TYPE_TO_TENSOR_TYPE": {v: k for k, v in arrays.items()},
        }


    stand_in("onnx.mapping", **onnx_mapping())
    if "onnx.mapping" in sys.modules:
        onnx.helper.mapping = onnx.mapping = sys.modules["onnx.mapping"]
    stand_in("tensorflow_addons", seq2seq=types.SimpleNamespace(hardmax=None))
    stand_in("tensorflow_probability", distributions=types.SimpleNamespace(Bernoulli=None))
''')


def _xla(asked: Request) -> Recipe:
    if asked.extended:
        raise NoRecipe("no script hands types that numpy lacks to TensorFlow")
    mode = asked.option("mode", "jit")
    flags = [f"--xla_backend_optimization_level={asked.options['opt']}"] if "opt" in asked.options else []
    if disabled := asked.names("disable"):
        flags.append(f"--xla_disable_hlo_passes={','.join(disabled)}")
    grappler = asked.names("grappler")
    told: dict[str, bool] = {"disable_meta_optimizer": True} if grappler == ["off"] else dict.fromkeys(grappler, False)
    body = [
        '"""A function from inputs to outputs: what onnx-tf makes of the model, '
        + {"jit": "compiled by XLA", "graph": "as a graph of TensorFlow's", "eager": "operator by operator"}[mode]
        + '."""',
        "for number, node in enumerate(model.graph.node):",
        '    node.name = f"node{number}"',
        "module = onnx_tf.backend.TensorflowBackend.onnx_model_to_tensorflow_rep(model, strict=True).tf_module",
        "compute = type(module).gen_tensor_dict.python_function",
        "",
        "def run(inputs):",
        "    def call(*arguments):",
        "        found = compute(module, dict(zip(inputs, arguments)))",
        "        return [found[port.name] for port in model.graph.output]",
        "",
        f"    function = tf.function(call, jit_compile={mode == 'jit'})" if mode != "eager" else "    function = call",
        f'    with tf.device("{"/CPU:0" if asked.device == "cpu" else "/GPU:0"}"):',
        "        return [each.numpy() for each in function(*(tf.constant(array) for array in inputs.values()))]",
        "return run",
    ]
    head = [
        f"tf.config.threading.set_intra_op_parallelism_threads({asked.option('threads', '1')})",
        "tf.config.threading.set_inter_op_parallelism_threads(1)",
        f"tf.config.optimizer.set_experimental_options({told!r})" if told else "",
        "tf.config.run_functions_eagerly(True)" if mode == "eager" else "",
    ]
    environment = [("TF_CPP_MIN_LOG_LEVEL", "3"), *([("XLA_FLAGS", " ".join(flags))] if flags else [])]
    return Recipe(
        "XLA" if mode == "jit" else "TensorFlow", ("tensorflow-cpu",),
        "import tensorflow as tf\nimport onnx_tf.backend",
        "\n".join(filter(None, head)) + f"\n\n\ndef build(model):\n{lines(*body)}",
        environment=tuple(environment), bare=("onnx-tf",), before=_SHIM,
    )  # fmt: skip


_RESOLVERS = {"xnnpack": "AUTO", "builtin": "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "reference": "BUILTIN_REF"}


def _litert(asked: Request) -> Recipe:
    if asked.extended:
        raise NoRecipe("LiteRT has no types that numpy lacks")
    build = source(f"""
        def build(model):
            \"\"\"A function from inputs to outputs: LiteRT's interpreter on what onnx2tf makes of the model.\"\"\"
            kinds = [port.type.tensor_type.elem_type for port in model.graph.output]
            shapes = [array.shape for _, _, array, _ in DUE]
            # onnx2tf keeps images with channels last, outputs too: a flat output lies one way.
            model.graph.initializer.append(onnx.helper.make_tensor("flat_shape", onnx.TensorProto.INT64, [1], [-1]))
            names = [port.name for port in model.graph.output]
            del model.graph.output[:]
            for number, (name, kind) in enumerate(zip(names, kinds)):
                model.graph.node.append(onnx.helper.make_node("Reshape", [name, "flat_shape"], [f"flat{{number}}"]))
                model.graph.output.append(onnx.helper.make_tensor_value_info(f"flat{{number}}", kind, None))
            images = [port.name for port in model.graph.input if 3 <= len(port.type.tensor_type.shape.dim) <= 5]
            with tempfile.TemporaryDirectory() as folder:
                onnx.save(model, pathlib.Path(folder, "model.onnx"))
                keras = onnx2tf.convert(
                    input_onnx_file_path=str(pathlib.Path(folder, "model.onnx")), output_folder_path=folder,
                    not_use_onnxsim=True, keep_ncw_or_nchw_or_ncdhw_input_names=images or None,
                    disable_strict_mode=True, disable_model_save=True, verbosity="error",
                )
            content = tf.lite.TFLiteConverter.from_keras_model(keras).convert()
            interpreter = Interpreter(
                model_content=content, num_threads={asked.option("threads", "1")},
                experimental_op_resolver_type=OpResolverType.{_RESOLVERS[asked.option("kernels", "xnnpack")]},
            )
            interpreter.allocate_tensors()

            def run(inputs):
                for detail in interpreter.get_input_details():
                    name = next(name for name in inputs if name in detail["name"])
                    interpreter.set_tensor(detail["index"], inputs[name])
                interpreter.invoke()
                results = [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]
                return [result.reshape(shape) for result, shape in zip(results, shapes)]

            return run
    """)
    return Recipe(
        "LiteRT", ("onnx2tf",),
        "import tensorflow as tf\nfrom ai_edge_litert.interpreter import Interpreter, OpResolverType\nimport onnx2tf",
        build, environment=(("TF_CPP_MIN_LOG_LEVEL", "3"), ("CUDA_VISIBLE_DEVICES", "")),
    )  # fmt: skip


RECIPES: Mapping[str, Callable[[Request], Recipe]] = MappingProxyType({"xla": _xla, "litert": _litert})
