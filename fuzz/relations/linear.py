"""Products of matrices and convolutions by another operator: equal in the reals, so within both bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzz.relations.rewrite import Rewrite

if TYPE_CHECKING:
    import onnx

    from fuzz.relations.site import Site, ValueType

__all__ = ["LINEAR"]

_FAR = 2**31 - 1


def _types(site: Site, node: onnx.NodeProto, count: int) -> list[ValueType]:
    """The types of a node's first inputs and of its first output; none where one of them is not known."""
    kinds = [site.type(name) for name in (*node.input[:count], node.output[0])]
    known = [kind for kind in kinds if kind is not None]
    return known if len(known) == count + 1 else []


def _ranks(site: Site, node: onnx.NodeProto) -> tuple[int, int]:
    kinds = _types(site, node, 2)
    return (kinds[0].rank, kinds[1].rank) if kinds else (0, 0)


def _size(dim: int | str | None) -> int:
    """A known size; 0 for one that is not known."""
    return dim if isinstance(dim, int) else 0


def _swapped(rank: int) -> list[int]:
    return [*range(rank - 2), rank - 1, rank - 2]


def _product_transposed(site: Site) -> bool:
    node = site.find("MatMul", accept=lambda n: min(_ranks(site, n)) >= 2)
    if node is None:
        return False
    a, b = _ranks(site, node)
    left = site.node("Transpose", [node.input[1]], perm=_swapped(b))
    right = site.node("Transpose", [node.input[0]], perm=_swapped(a))
    product = site.node("MatMul", [left, right])
    return site.substitute(node, [site.node("Transpose", [product], perm=_swapped(max(a, b)))])


def _product_as_gemm(site: Site) -> bool:
    def accept(node: onnx.NodeProto) -> bool:
        kind = site.type(node.input[0])
        return _ranks(site, node) == (2, 2) and kind is not None and site.allows("Gemm", kind.dtype)

    node = site.find("MatMul", accept=accept)
    if node is None:
        return False
    b, turned = node.input[1], bool(site.draw(2))
    if turned:
        b = site.node("Transpose", [b], perm=[1, 0])
    return site.substitute(node, [site.node("Gemm", [node.input[0], b], transB=int(turned))])


def _product_as_einsum(site: Site) -> bool:
    # An ellipsis stands for as many axes in each operand.
    node = site.find("MatMul", accept=lambda n: min(_ranks(site, n)) >= 2 and len(set(_ranks(site, n))) == 1)
    if node is None:
        return False
    return site.substitute(node, [site.node("Einsum", list(node.input), equation="...ij,...jk->...ik")])


def _product_in_parts(site: Site) -> bool:
    """A B = A[:, :k] B[:k] + A[:, k:] B[k:]."""

    def size(node: onnx.NodeProto) -> int:
        kinds = _types(site, node, 2)
        if not kinds or min(kinds[0].rank, kinds[1].rank) < 2:
            return 0
        return _size(kinds[0].shape[-1])

    node = site.find("MatMul", accept=lambda n: size(n) >= 2)
    if node is None:
        return False
    at = 1 + site.draw(size(node) - 1)
    parts = []
    for start, end in ((0, at), (at, _FAR)):
        a = site.node("Slice", [node.input[0], *(site.constant([v]) for v in (start, end, -1))])
        b = site.node("Slice", [node.input[1], *(site.constant([v]) for v in (start, end, -2))])
        parts.append(site.node("MatMul", [a, b]))
    return site.substitute(node, [site.node("Add", parts)])


def _product_of_rows(site: Site) -> bool:
    """A stack of matrices times one matrix is one tall matrix times it."""

    def accept(node: onnx.NodeProto) -> bool:
        kinds = _types(site, node, 2)
        return (
            bool(kinds) and kinds[0].rank >= 3 and kinds[1].rank == 2
            and all(k.static is not None and 0 not in k.shape for k in kinds)
        )  # fmt: skip

    node = site.find("MatMul", accept=accept)
    if node is None:
        return False
    kinds = _types(site, node, 2)
    tall = site.node("Reshape", [node.input[0], site.constant([-1, kinds[0].shape[-1]])])
    product = site.node("MatMul", [tall, node.input[1]])
    return site.substitute(node, [site.node("Reshape", [product, site.constant(list(kinds[2].shape))])])


def _gemm_as_product(site: Site) -> bool:
    node = site.find("Gemm", accept=lambda n: bool(_types(site, n, 2)))
    if node is None:
        return False
    kinds = _types(site, node, 2)
    dtype = kinds[0].dtype
    a, b = (
        site.node("Transpose", [name], perm=[1, 0]) if site.attribute(node, flag, 0) else name
        for name, flag in zip(node.input[:2], ("transA", "transB"), strict=True)
    )
    alpha, beta = site.attribute(node, "alpha", 1.0), site.attribute(node, "beta", 1.0)
    if dtype.is_integer and not (alpha == beta == 1.0):
        return False
    total = site.node("MatMul", [a, b])
    if alpha != 1.0:
        total = site.node("Mul", [total, site.constant(alpha, dtype)])
    if len(node.input) > 2 and node.input[2]:
        addend = node.input[2]
        if beta != 1.0:
            addend = site.node("Mul", [addend, site.constant(beta, dtype)])
        total = site.node("Add", [total, addend])
    return site.substitute(node, [total])


# --- convolutions ------------------------------------------------------------------------------------------------


def _explicit(site: Site, node: onnx.NodeProto) -> bool:
    return site.attribute(node, "auto_pad", b"NOTSET") in (b"NOTSET", "NOTSET")


def _is_pointwise(site: Site, node: onnx.NodeProto) -> bool:
    kinds = _types(site, node, 2)
    if not kinds or kinds[0].static is None or kinds[1].static is None or 0 in kinds[0].shape:
        return False
    plain = all(s == 1 for s in site.attribute(node, "strides", [1])) and not any(site.attribute(node, "pads", [0]))
    return plain and site.attribute(node, "group", 1) == 1 and all(d == 1 for d in kinds[1].shape[2:])


def _conv_as_product(site: Site) -> bool:
    """A 1x1 convolution is one matrix product over all places."""
    node = site.find("Conv", accept=lambda n: _is_pointwise(site, n))
    if node is None:
        return False
    kinds = _types(site, node, 2)
    (n, c), m = kinds[0].shape[:2], kinds[1].shape[0]
    flat = site.node("Reshape", [node.input[0], site.constant([n, c, -1])])
    weight = site.node("Reshape", [node.input[1], site.constant([m, c])])
    total = site.node("MatMul", [weight, flat])
    if len(node.input) > 2 and node.input[2]:
        total = site.node("Add", [total, site.node("Reshape", [node.input[2], site.constant([m, 1])])])
    return site.substitute(node, [site.node("Reshape", [total, site.constant([n, m, *kinds[0].shape[2:]])])])


def _groups(site: Site, node: onnx.NodeProto) -> bool:
    kinds = _types(site, node, 2)
    return (
        bool(kinds) and 1 < site.attribute(node, "group", 1) <= 8
        and _size(kinds[0].shape[1]) > 0 and _size(kinds[1].shape[0]) > 0
    )  # fmt: skip


def _attributes(site: Site, node: onnx.NodeProto, *without: str) -> dict[str, object]:
    return {a.name: site.attribute(node, a.name) for a in node.attribute if a.name not in without}


def _conv_by_groups(site: Site) -> bool:
    node = site.find("Conv", accept=lambda n: _groups(site, n))
    if node is None:
        return False
    kinds = _types(site, node, 2)
    groups, channels, features = site.attribute(node, "group"), _size(kinds[0].shape[1]), _size(kinds[1].shape[0])

    def split(name: str, size: int, axis: int) -> list[str]:
        return site.multiple("Split", [name, site.constant([size // groups] * groups)], groups, axis=axis)

    operands = [split(node.input[0], channels, 1), split(node.input[1], features, 0)]
    if len(node.input) > 2 and node.input[2]:
        operands.append(split(node.input[2], features, 0))
    rest = _attributes(site, node, "group")
    parts = [site.node("Conv", list(each), **rest) for each in zip(*operands, strict=True)]
    return site.substitute(node, [site.node("Concat", parts, axis=1)])


def _conv_bias_added(site: Site) -> bool:
    def accept(node: onnx.NodeProto) -> bool:
        return len(node.input) > 2 and bool(node.input[2]) and bool(_types(site, node, 2))

    node = site.find("Conv", "ConvTranspose", accept=accept)
    if node is None:
        return False
    kinds = _types(site, node, 2)
    bare = site.node(node.op_type, list(node.input[:2]), **_attributes(site, node))
    bias = site.node("Reshape", [node.input[2], site.constant([1, -1, *[1] * (kinds[0].rank - 2)])])
    return site.substitute(node, [site.node("Add", [bare, bias])])


def _conv_padded_before(site: Site) -> bool:
    node = site.find("Conv", accept=lambda n: _explicit(site, n) and any(site.attribute(n, "pads", [0])))
    if node is None:
        return False
    pads = site.attribute(node, "pads")
    half = len(pads) // 2
    padded = site.node("Pad", [node.input[0], site.constant([0, 0, *pads[:half], 0, 0, *pads[half:]])])
    rest = _attributes(site, node, "pads", "auto_pad")
    return site.substitute(node, [site.node("Conv", [padded, *node.input[1:]], **rest)])


def _conv_of_images(site: Site) -> bool:
    """The batch goes through a convolution in two parts."""

    def size(node: onnx.NodeProto) -> int:
        kind = site.type(node.input[0])
        return _size(kind.shape[0]) if kind is not None and kind.rank else 0

    node = site.find("Conv", "ConvTranspose", "MaxPool", "AveragePool",
                     accept=lambda n: size(n) >= 2 and len(n.output) == 1)  # fmt: skip
    if node is None:
        return False
    at = 1 + site.draw(size(node) - 1)
    halves = site.multiple("Split", [node.input[0], site.constant([at, size(node) - at])], 2, axis=0)
    rest = _attributes(site, node)
    parts = [site.node(node.op_type, [half, *node.input[1:]], **rest) for half in halves]
    return site.substitute(node, [site.node("Concat", parts, axis=0)])


def _linear(name: str, summary: str, apply: object, *operators: str) -> Rewrite:
    return Rewrite(name, summary, apply, exact=False, operators=operators)  # type: ignore[arg-type]


LINEAR = (
    _linear("product-transposed", "A B = transpose of (B^T A^T)", _product_transposed, "MatMul"),
    _linear("product-as-gemm", "MatMul(A, B) = Gemm(A, B) or Gemm(A, B^T, transB=1)", _product_as_gemm, "MatMul"),
    _linear("product-as-einsum", "MatMul(A, B) = Einsum(...ij,...jk->...ik)", _product_as_einsum, "MatMul"),
    _linear("product-in-parts", "A B = A[:, :k] B[:k] + A[:, k:] B[k:]", _product_in_parts, "MatMul"),
    _linear("product-of-rows", "a stack of matrices times B as one tall matrix", _product_of_rows, "MatMul"),
    _linear("gemm-as-product", "Gemm = alpha MatMul + beta C", _gemm_as_product, "Gemm"),
    _linear("conv-as-product", "a 1x1 Conv as MatMul", _conv_as_product, "Conv"),
    _linear("conv-by-groups", "Conv with groups as Concat of Convs", _conv_by_groups, "Conv"),
    _linear("conv-bias-added", "Conv(x, w, b) = Conv(x, w) + b", _conv_bias_added, "Conv", "ConvTranspose"),
    _linear("conv-padded-before", "Conv with pads = Conv of Pad(x)", _conv_padded_before, "Conv"),
    _linear(
        "images-in-parts", "Conv and pooling of a batch = Concat over parts of the batch", _conv_of_images,
        "Conv", "MaxPool", "AveragePool",
    ),
)  # fmt: skip
