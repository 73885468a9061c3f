"""TVM, JAX by jaxonnxruntime, IREE, TensorRT."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from fuzz.repro.recipe import NoRecipe, Recipe, Request, lines, source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["RECIPES"]


def _tvm(asked: Request) -> Recipe:
    disabled = asked.names("disable")
    passes = [f"relax.transform.{name}()" for name in asked.names("with")]
    match asked.option("pipeline", "default"):
        case "zero":
            passes.append('relax.get_pipeline("zero")')
        case "unfused":
            passes += ["relax.transform.LegalizeOps()", "relax.transform.FoldConstant()"]
    target = {"generic": 'tvm.target.Target("llvm")', "native": _NATIVE}[asked.option("cpu", "generic")]
    device, cuda = "tvm.cpu()", asked.device == "cuda"
    if cuda:
        target, device = "tvm.target.Target.from_device(tvm.cuda())", "tvm.cuda()"
    pipeline = "relax.get_default_pipeline(target)" if asked.option("pipeline", "") == "cpu" else '"default"'
    context = f"opt_level={asked.option('opt', '3')}" + (f", disabled_pass={disabled!r}" if disabled else "")
    stateful = asked.option("call", "direct") == "stateful"
    memory = ', "naive"' if asked.option("memory", "pooled") == "naive" else ""
    mode = asked.option("exec_mode", "bytecode")
    reload = asked.option("reload", "no") == "yes"
    body = [
        '"""A function from inputs to outputs: the Relax virtual machine."""',
        "module = from_onnx(model, keep_params_in_input=False)",
        "module = relax.transform.DecomposeOpsForInference()(module)",
        f"target = {target}",
        f"with tvm.transform.PassContext({context}):",
        "    with target:" if passes else "",
        *(f"        module = {each}(module)" for each in passes),
        f'    program = relax.build(module, target=target, relax_pipeline={pipeline}, exec_mode="{mode}")',
        "folder = tempfile.TemporaryDirectory()" if reload else "",
        'library = str(pathlib.Path(folder.name, "model.so"))' if reload else "",
        "program.export_library(library)" if reload else "",
        "program = tvm.runtime.load_module(library)" if reload else "",
        f"machine = relax.VirtualMachine(program, {device}{memory})",
        "",
        "def run(inputs):",
        "    names = [port.name for port in model.graph.input if port.name in inputs]",
        f"    arguments = [tvm.runtime.tensor(inputs[name], {device}) for name in names]",
        '    machine.set_input("main", *arguments)' if stateful else "",
        '    machine.invoke_stateful("main")' if stateful else "",
        '    result = machine.get_outputs("main")' if stateful else '    result = machine["main"](*arguments)',
        "    results = [result] if len(model.graph.output) == 1 else list(result)",
        "    return [to_array(value) for value in results]",
        "return run",
    ]
    imports = "import tvm\nfrom tvm import relax\nfrom tvm.relax.frontend.onnx import from_onnx"
    return Recipe(
        "TVM", ("apache-tvm",), imports, f"{_TVM_VALUES}\n\n\ndef build(model):\n{lines(*body)}",
        environment=(("TVM_NUM_THREADS", asked.option("threads", "1")),),
    )  # fmt: skip


_NATIVE = 'tvm.target.Target({"kind": "llvm", "mcpu": tvm.target.codegen.llvm_get_system_cpu()})'
_TVM_VALUES = source('''
    def to_array(value):
        """The array of what the virtual machine returns; a shape stands for a vector of sizes."""
        if isinstance(value, tvm.runtime.Tensor):
            return value.numpy()
        return np.array(list(value) if isinstance(value, tvm.runtime.ShapeTuple) else value)
''')


def _jax(asked: Request) -> Recipe:
    if asked.extended and asked.option("mode", "jit") != "jit" and asked.device != "cpu":
        raise NoRecipe("types that numpy lacks are not handed to a GPU operator by operator")
    disabled, threads = ",".join(asked.names("disable")), asked.option("threads", "1")
    settings = f"{{'xla_disable_hlo_passes': {disabled!r}}}" if disabled else "{}"
    jit = [
        "    compiled = jax.jit(call).lower(dict(inputs)).compile(compiler_options=OPTIONS)",
        "    return [np.asarray(result) for result in compiled(dict(inputs))]",
    ]
    eager = ["    return [np.asarray(result) for result in call(jax.tree.map(jax.numpy.asarray, dict(inputs)))]"]
    body = [
        '"""A function from inputs to outputs, which is imported and compiled for the first inputs."""',
        "def run(inputs):",
        "    traced, parameters = call_onnx_model(model, jax.tree.map(jax.numpy.asarray, dict(inputs)))",
        "",
        "    def call(arguments):",
        "        return traced(parameters, arguments)",
        *(jit if asked.option("mode", "jit") == "jit" else eager),
        "return run",
    ]
    head = source(f"""
        jax.config.update("jax_enable_x64", True)
        jax.config.update("jax_platforms", "{asked.device}")
        jaxonnxruntime.config.update("jaxort_only_allow_initializers_as_static_args", False)
        OPTIONS = {settings}
    """)
    return Recipe(
        "JAX", ("jax", "jaxlib", "jaxonnxruntime", "absl-py"),
        "import jax\nimport jaxonnxruntime\nfrom jaxonnxruntime.call_onnx import call_onnx_model",
        f"{head}\n\n\ndef build(model):\n{lines(*body)}",
        environment=(
            ("JAX_ENABLE_COMPILATION_CACHE", "false"), ("NPROC", threads), ("PJRT_NPROC", threads)
        ),
    )  # fmt: skip


_IREE_OFF = {
    "global-optimization-opt-level": "O0", "dispatch-creation-opt-level": "O0", "llvmcpu-mlir-opt-level": "O0",
    "llvmcpu-enable-ukernels": "none",
}  # fmt: skip


def _iree(asked: Request) -> Recipe:
    cuda = asked.device != "cpu"
    target = "cuda" if cuda else asked.option("target", "llvm-cpu")
    flags = [
        "--iree-input-type=onnx", f"--iree-hal-target-backends={target}",
        f"--iree-opt-level=O{asked.option('opt', '3')}",
        "--iree-input-demote-f64-to-f32=false",
        *(["--iree-llvmcpu-target-cpu=host"] if target == "llvm-cpu" else []),
        *(f"--iree-{name}={_IREE_OFF.get(name, 'false')}" for name in asked.names("disable")),
    ]  # fmt: skip
    flag_lines = "\n".join(f'    "{flag}",' for flag in flags)
    driver = "cuda" if cuda else "local-sync" if asked.option("threads", "1") == "1" else "local-task"
    build = source('''
        def build(model):
            """A function from inputs to outputs: a module of IREE's virtual machine."""
            model.graph.name = "main"
            with tempfile.TemporaryDirectory() as folder:
                source, mlir = pathlib.Path(folder, "model.onnx"), pathlib.Path(folder, "model.mlir")
                onnx.save(model, source)
                command = [sys.executable, "-m", "iree.compiler.tools.import_onnx", str(source), "-o", str(mlir)]
                subprocess.run([*command, "--data-prop"], check=True)
                binary = iree.compiler.compile_file(str(mlir), extra_args=FLAGS)
            config = iree.runtime.Config(device=iree.runtime.get_device(DEVICE))
            context = iree.runtime.SystemContext(config=config)
            context.add_vm_module(iree.runtime.VmModule.copy_buffer(config.vm_instance, binary))
            function = context.modules.module["main"]

            def run(inputs):
                names = [port.name for port in model.graph.input if port.name in inputs]
                given = function(*(inputs[name] for name in names))
                arrays = [np.asarray(each.to_host()) for each in (given if isinstance(given, tuple) else (given,))]
                return [as_declared(*pair) for pair in zip(arrays, model.graph.output)]

            return run
    ''')
    declared = source('''
        def as_declared(array, port):
            """Compiled programs know integers without a sign: only the model tells unsigned ones."""
            kind = onnx.helper.tensor_dtype_to_np_dtype(port.type.tensor_type.elem_type)
            return array.view(kind) if kind.kind == "u" and array.dtype.kind == "i" else array
    ''')
    return Recipe(
        "IREE", ("iree-base-compiler", "iree-base-runtime"),
        "import subprocess\nimport iree.compiler\nimport iree.runtime",
        f'FLAGS = [\n{flag_lines}\n]\nDEVICE = "{driver}"\n\n\n{declared}\n\n\n{build}',
    )  # fmt: skip


def _tensorrt(asked: Request) -> Recipe:
    flags = {"f16": "FP16", "bf16": "BF16"}.get(asked.option("precision", ""), "")
    if asked.names("disable") or asked.option("reload", "no") == "yes":
        raise NoRecipe("no script leaves tactic sources out of TensorRT, or reloads an engine")
    tf32 = "set_flag" if asked.option("tf32", "no") == "yes" else "clear_flag"
    body = [
        '"""A function from inputs to outputs: an engine of TensorRT\'s, on buffers that torch holds."""',
        "logger = trt.Logger(trt.Logger.ERROR)",
        "builder = trt.Builder(logger)",
        "network = builder.create_network(0)",
        "parser = trt.OnnxParser(network, logger)",
        "if not parser.parse(model.SerializeToString()):",
        "    raise RuntimeError(str(parser.get_error(0)))",
        "settings = builder.create_builder_config()",
        f"settings.builder_optimization_level = {asked.option('opt', '3')}",
        f"settings.{tf32}(trt.BuilderFlag.TF32)",
        f"settings.set_flag(trt.BuilderFlag.{flags})" if flags else "",
        "engine = trt.Runtime(logger).deserialize_cuda_engine(builder.build_serialized_network(network, settings))",
        "context = engine.create_execution_context()",
        "",
        "def run(inputs):",
        "    held = {name: torch.from_numpy(array).cuda() for name, array in inputs.items()}",
        "    for name, tensor in held.items():",
        "        context.set_input_shape(name, tuple(tensor.shape))",
        "    for port in model.graph.output:",
        "        kind = onnx.helper.tensor_dtype_to_np_dtype(port.type.tensor_type.elem_type).name",
        "        shape = tuple(context.get_tensor_shape(port.name))",
        "        held[port.name] = torch.empty(shape, dtype=getattr(torch, kind)).cuda()",
        "    for name, tensor in held.items():",
        "        context.set_tensor_address(name, tensor.data_ptr())",
        "    context.execute_async_v3(torch.cuda.current_stream().cuda_stream)",
        "    torch.cuda.synchronize()",
        "    return [held[port.name].cpu().numpy() for port in model.graph.output]",
        "return run",
    ]
    return Recipe(
        "TensorRT", ("tensorrt", "torch"), "import tensorrt as trt\nimport torch", f"def build(model):\n{lines(*body)}"
    )


RECIPES: Mapping[str, Callable[[Request], Recipe]] = MappingProxyType({
    "tvm": _tvm, "jax": _jax, "iree": _iree, "tensorrt": _tensorrt,
})  # fmt: skip
