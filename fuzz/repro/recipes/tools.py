"""Graph-to-graph tools: what comes of the model runs on ONNX Runtime without optimisations, or ONNX's evaluator."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from fuzz.repro.recipe import NoRecipe, Recipe, Request, lines, source
from fuzz.repro.recipes.frameworks import ONNX2TORCH, TORCH_BARE
from fuzz.repro.recipes.runtimes import ORT_RUN, session_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["RECIPES"]

_LEVELS = {"off": "0", "basic": "1", "extended": "2", "layout": "3", "all": "99"}
_SAME = source('''
    def ports(model):
        """Names, types and known sizes of inputs and outputs."""
        constants = {tensor.name for tensor in model.graph.initializer}
        inputs = [port for port in model.graph.input if port.name not in constants]
        return [
            [(p.name, p.type.tensor_type.elem_type, [d.dim_value for d in p.type.tensor_type.shape.dim]) for p in each]
            for each in (inputs, model.graph.output)
        ]


    def check_ports(before, after):
        """Raise ValueError where inputs or outputs are not what they were; a size may become known."""
        for old, new in zip(ports(before), ports(after)):
            PRUNED
            if [each[:2] for each in old] != [each[:2] for each in new]:
                raise ValueError(f"inputs or outputs were {old} and are now {new}")
            for (name, _, sizes), (_, _, found) in zip(old, new):
                differs = len(sizes) != len(found) or any(a and b and a != b for a, b in zip(sizes, found))
                if sizes and found and differs:
                    raise ValueError(f"{name} had the sizes {sizes} and has now {found}")
''')
_PRUNED = """        if old == ports(before)[0]:  # inputs that nothing reads may go
            read = {name for node in before.graph.node for name in node.input} | {name for name, *_ in new}
            old = [each for each in old if each[0] in read]
"""
_CLAIMS = source('''
    def check_claims(before, after, inputs):
        """Raise ValueError where a type or shape that is claimed of a value is not the one that it has."""
        exposed = onnx.ModelProto()
        exposed.CopyFrom(before)
        claims = {info.name: info for info in (*after.graph.value_info, *after.graph.output)}
        known = {port.name for port in exposed.graph.output}
        made = {name for node in exposed.graph.node for name in node.output}
        exposed.graph.output.extend(info for name, info in claims.items() if name in made - known)
        for port in exposed.graph.output:
            port.type.tensor_type.ClearField("shape")
        for port, array in zip(exposed.graph.output, plain(exposed)(inputs)):
            kind = claims[port.name].type.tensor_type
            sizes = [d.dim_value if d.HasField("dim_value") else None for d in kind.shape.dim]
            fits = len(sizes) == array.ndim and all(s in (None, n) for s, n in zip(sizes, array.shape))
            if kind.HasField("shape") and not fits:
                raise ValueError(f"{port.name} is claimed to have the shape {sizes}, and has {list(array.shape)}")
''')


def _plain(asked: Request) -> tuple[str, str, tuple[str, ...]]:
    """Imports and source of ``plain(model)``, the plain runtime, and its distributions."""
    if asked.option("runtime", "onnxruntime") == "reference":
        text = source('''
            def plain(model):
                """ONNX's evaluator."""
                return lambda inputs: onnx.reference.ReferenceEvaluator(model).run(None, inputs)
        ''')
        return "import onnx.reference", text, ()
    call = "run_raw(session, inputs)" if asked.extended else "session.run(None, inputs)"
    body = lines(
        '"""ONNX Runtime without optimisations."""', *session_lines("0", []),
        "session = onnxruntime.InferenceSession(model.SerializeToString(), options, **arguments)",
        f"return lambda inputs: {call}",
    )  # fmt: skip
    text = f"def plain(model):\n{body}"
    if asked.extended:
        return "import ctypes\nimport onnx.numpy_helper\nimport onnxruntime", f"{ORT_RUN}\n\n\n{text}", ("onnxruntime",)
    return "import onnxruntime", text, ("onnxruntime",)


@dataclass(frozen=True, slots=True)
class _Tool:
    """One tool: its name, distributions, imports, and the lines of a function from a model to another.

    ``prunes`` where it may drop inputs and means to, ``claims`` where what it says of values is what is checked.
    """

    called: str
    distributions: tuple[str, ...]
    imports: str
    rewrite: str
    prunes: bool = False
    claims: bool = False
    bare: tuple[str, ...] = ()
    before: str = ""


def _tool(asked: Request, tool: _Tool) -> Recipe:
    """The recipe of a tool: rewrite, compare inputs and outputs, run."""
    runtime_imports, plain, runtime = _plain(asked)
    same = _SAME.replace("        PRUNED\n", _PRUNED if tool.prunes else "")
    build = source("""
        def build(model):
            \"\"\"A function from inputs to outputs: the rewritten model on a runtime that changes nothing.\"\"\"
            copy = onnx.ModelProto()
            copy.CopyFrom(model)
            made = rewrite(copy)
            if made.ByteSize() < 5000:
                print(onnx.printer.to_text(made.graph))
            check_ports(model, made)
            RUN
    """)
    run = "wanted = {port.name for port in made.graph.input}\n"
    run += "    compute = plain(made)\n\n    def run(inputs):\n"
    run += "        check_claims(model, made, inputs)\n" if tool.claims else ""
    run += "        return compute({name: array for name, array in inputs.items() if name in wanted})\n\n    return run"
    parts = [plain, same, *([_CLAIMS] if tool.claims else []), f"def rewrite(model):\n{tool.rewrite}"]
    parts.append(build.replace("RUN", run))
    every = "\n".join(dict.fromkeys(("import onnx.printer", *runtime_imports.split("\n"), *tool.imports.split("\n"))))
    distributions = tuple(dict.fromkeys((*tool.distributions, *runtime)))
    return Recipe(tool.called, distributions, every, "\n\n\n".join(parts), bare=tool.bare, before=tool.before)


def _onnxsim(asked: Request) -> Recipe:
    off, disabled = asked.names("off"), asked.names("disable")
    rewrite = lines(
        "constants = {tensor.name for tensor in model.graph.initializer}",
        "has_defaults = any(port.name in constants for port in model.graph.input)",
        "made, _ = onnxsim.simplify(",
        "    model, check_n=0, certify=False, mutable_initializer=has_defaults,",
        "    initializers_as_constants=not has_defaults,",
        f"    perform_optimization={'optimization' not in off}, skip_constant_folding={'folding' in off},",
        f"    skip_shape_inference={'inference' in off}, skipped_optimizers={disabled or None!r},",
        f"    include_subgraph={asked.option('subgraphs', 'no') == 'yes'}, "
        f"inline_functions={asked.option('inline', 'no') == 'yes'},",
        ")",
        "return made",
    )
    return _tool(asked, _Tool("onnxsim", ("onnxsim",), "import onnxsim", rewrite))


def _onnxoptimizer(asked: Request) -> Recipe:
    named, disabled = asked.names("passes"), asked.names("disable")
    passes = repr(named) if named else "onnxoptimizer.get_fuse_and_elimination_passes()"
    rewrite = lines(
        f"passes = {passes}",
        f"passes = [name for name in passes if name not in {disabled!r}]" if disabled else "",
        f"return onnxoptimizer.optimize(model, passes, fixed_point={asked.option('fixed_point', 'no') == 'yes'})",
    )
    return _tool(asked, _Tool("ONNX Optimizer", ("onnxoptimizer",), "import onnxoptimizer", rewrite))


def _onnxslim(asked: Request) -> Recipe:
    rewrite = lines(
        "return onnxslim.slim(",
        f"    model, skip_optimizations={asked.names('off') or None!r},",
        f"    skip_fusion_patterns={asked.names('disable') or None!r}, "
        f"no_shape_infer={asked.option('inference', 'yes') == 'no'},",
        ")",
    )
    return _tool(asked, _Tool("OnnxSlim", ("onnxslim",), "import onnxslim", rewrite, prunes=True))


def _onnxscript(asked: Request) -> Recipe:
    off, mode = asked.names("off"), asked.option("mode", "optimize")
    if asked.names("disable"):
        raise NoRecipe("ONNX Script has no public switch that leaves a rule out of its optimizer")
    made = {
        "optimize": [
            "onnxscript.optimizer.optimize_ir(",
            f"    read, onnx_shape_inference={'inference' not in off}, inline={'inlining' not in off},",
            f"    should_fold=lambda node: {'False' if 'folding' in off else 'None'},",
            ")",
        ],
        "fold": ["onnxscript.optimizer.fold_constants(read)"],
        "inline": ["onnxscript.optimizer.inline(read)"],
        "rewrite": ["onnxscript.rewriter.rewrite(read)"],
    }[mode]
    if mode == "rewrite" and asked.names("rules"):
        made = [
            "rules = []",
            f"for name in {asked.names('rules')!r}:",
            "    rule = getattr(onnxscript.rewriter.rules.common, name)",
            '    rule = rule() if name == "fuse_hardswish_rules" else rule',
            "    rules.extend([rule] if isinstance(rule, onnxscript.rewriter.RewriteRule) else rule.rules)",
            "onnxscript.rewriter.rewrite(read, rules)",
        ]
    rewrite = lines(
        "read = onnx_ir.serde.deserialize_model(model)", *made, "return onnx_ir.serde.serialize_model(read)"
    )
    modules = ("onnx_ir", "onnxscript.optimizer", "onnxscript.rewriter", "onnxscript.rewriter.rules.common")
    imports = "\n".join(f"import {name}" for name in modules)
    return _tool(asked, _Tool("ONNX Script", ("onnxscript", "onnx-ir"), imports, rewrite))


def _version_converter(asked: Request) -> Recipe:
    rewrite = lines(f"return onnx.version_converter.convert_version(model, {asked.option('to', '26')})")
    return _tool(asked, _Tool("ONNX's version converter", ("onnx",), "import onnx.version_converter", rewrite))


def _inliner(asked: Request) -> Recipe:
    if asked.option("schema", "no") == "yes":
        rewrite = lines(
            "known = {port.name for port in (*model.graph.input, *model.graph.value_info)}",
            "for tensor in model.graph.initializer:",
            "    if tensor.name not in known:",
            "        info = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))",
            "        model.graph.value_info.append(info)",
            "return onnx.inliner.inline_selected_functions(model, [], exclude=True, inline_schema_functions=True)",
        )
    else:
        rewrite = lines("return onnx.inliner.inline_local_functions(model)")
    return _tool(asked, _Tool("ONNX's inliner", ("onnx",), "import onnx.inliner", rewrite))


def _shape_inference(asked: Request) -> Recipe:
    strict, data = asked.option("strict", "no") == "yes", asked.option("data", "yes") == "yes"
    rewrite = lines(f"return onnx.shape_inference.infer_shapes(model, strict_mode={strict}, data_prop={data})")
    return _tool(asked, _Tool("ONNX's shape inference", ("onnx",), "import onnx.shape_inference", rewrite, claims=True))


def _symbolic_shapes(asked: Request) -> Recipe:
    merge = asked.option("merge", "no") == "yes"
    rewrite = lines(f"return SymbolicShapeInference.infer_shapes(model, auto_merge={merge})")
    imports = "from onnxruntime.tools.symbolic_shape_infer import SymbolicShapeInference"
    called = "ONNX Runtime's symbolic shape inference"
    return _tool(asked, _Tool(called, ("onnxruntime", "sympy"), imports, rewrite, claims=True))


def _offline(asked: Request) -> Recipe:
    if asked.option("format", "onnx") == "ort":
        raise NoRecipe("no script runs a model in ONNX Runtime's own format")
    rewrite = lines(
        *session_lines(_LEVELS[asked.option("level", "all")], asked.names("disable")),
        "with tempfile.TemporaryDirectory() as folder:",
        '    options.optimized_model_filepath = str(pathlib.Path(folder, "optimised.onnx"))',
        "    onnxruntime.InferenceSession(model.SerializeToString(), options, **arguments)",
        "    return onnx.load(options.optimized_model_filepath)",
    )
    return _tool(asked, _Tool("ONNX Runtime's offline optimizer", ("onnxruntime",), "import onnxruntime", rewrite))


def _transformers(asked: Request) -> Recipe:
    family = asked.option("model", "bert")
    rewrite = lines(f'return optimizer.optimize_model(model, model_type="{family}", opt_level=0).model')
    imports = "from onnxruntime.transformers import optimizer"
    called = "ONNX Runtime's transformers optimizer"
    return _tool(asked, _Tool(called, ("onnxruntime", "sympy"), imports, rewrite, prunes=True))


def _torch_export(asked: Request) -> Recipe:
    strict, optimize = asked.option("strict", "no") == "yes", asked.option("optimize", "yes") == "yes"
    rewrite = lines(
        "for number, node in enumerate(model.graph.node):",
        '    node.name = f"node{number}"',
        "names = [port.name for port in model.graph.input if port.name in INPUTS]",
        "outputs = [port.name for port in model.graph.output]",
        "arguments = tuple(torch.from_numpy(np.ones_like(INPUTS[name])) for name in names)",
        "module = onnx2torch.convert(model).eval()",
        "with torch.no_grad():",
        f"    program = torch.export.export(module, arguments, strict={strict})",
        "    made = torch.onnx.export(",
        f"        program, dynamo=True, verbose=False, optimize={optimize},",
        f"        opset_version={asked.option('opset', '18')}, input_names=names, output_names=outputs,",
        "    )",
        "return made.model_proto",
    )
    if asked.extended:
        raise NoRecipe("no script exports a model with types that numpy lacks")
    return _tool(asked, _Tool(
        "torch.onnx.export", ("torch", "onnxscript"), "import onnx2torch\nimport torch", rewrite,
        bare=TORCH_BARE, before=ONNX2TORCH,
    ))  # fmt: skip


RECIPES: Mapping[str, Callable[[Request], Recipe]] = MappingProxyType({
    "onnxsim": _onnxsim, "onnxoptimizer": _onnxoptimizer, "onnxslim": _onnxslim, "onnxscript": _onnxscript,
    "onnx-version-converter": _version_converter, "onnx-inliner": _inliner,
    "onnx-shape-inference": _shape_inference, "ort-symbolic-shapes": _symbolic_shapes, "ort-offline": _offline,
    "ort-transformers": _transformers, "torch-export": _torch_export,
})  # fmt: skip
