"""Attention and what stands in it: scores, masks, heads, rotary positions."""

from __future__ import annotations

from fuzz.generate.bait.pattern import Pattern, pattern

__all__ = ["PATTERNS"]

PATTERNS: tuple[Pattern, ...] = (
    pattern("attention",
            "q[b, h, s, d]; p = Softmax(Mul(MatMul(q, Transpose(k[b, h, t, d], perm=[0, 1, 3, 2])), 0.5), axis=-1); "
            "MatMul(p, v[b, h, t, e])",
            "openvino SDPAFusion, onnxscript SDPA, inductor _sfdp_pattern_1, tensorrt Multi-Head Attention Fusion"),
    pattern("attention-divided",
            "q[b, h, s, d]; p = Softmax(Div(MatMul(q, Transpose(k[b, h, t, d], perm=[0, 1, 3, 2])), 2.0), axis=-1); "
            "MatMul(p, v[b, h, t, e])",
            "openvino SDPAFusion, inductor _sfdp_pattern_2"),
    pattern("attention-masked",
            "q[b, h, s, d]; s0 = Mul(MatMul(q, Transpose(k[b, h, t, d], perm=[0, 1, 3, 2])), 0.5); "
            "MatMul(Softmax(Add(s0, m[b, 1, s, t]), axis=-1), v[b, h, t, e])",
            "openvino SDPAFusion, onnxscript SDPA, inductor _sfdp_pattern_3, onnxruntime AttentionFusion"),
    pattern("attention-scaled-before",
            "q[b, h, s, d]; a = Mul(q, 0.75); c = Mul(Transpose(k[b, h, t, d], perm=[0, 1, 3, 2]), 0.75); "
            "MatMul(Softmax(MatMul(a, c), axis=-1), v[b, h, t, e])",
            "onnxscript SDPA, openvino SDPAScaleFusion"),
    pattern("attention-unscaled",
            "q[b, h, s, d]; MatMul(Softmax(MatMul(q, Transpose(k[b, h, t, d], perm=[0, 1, 3, 2])), axis=-1), v[b, h, "
            "t, e])",
            "inductor _sfdp_pattern_11, openvino SDPAFusion"),
    pattern("attention-permuted",
            "q = Transpose(x[b, s, h, d], perm=[0, 2, 1, 3]); k = Transpose(y[b, t, h, d], perm=[0, 2, 1, 3]); "
            "v = Transpose(z[b, t, h, e], perm=[0, 2, 1, 3]); "
            "p = Softmax(Mul(MatMul(q, Transpose(k, perm=[0, 1, 3, 2])), 0.5), axis=-1); "
            "Transpose(MatMul(p, v), perm=[0, 2, 1, 3])",
            "inductor _sfdp_pattern_5, onnxscript MultiHeadAttention, openvino SDPAFusion"),
    pattern("attention-key-permuted",
            "q = Transpose(x[b, s, h, d], perm=[0, 2, 1, 3]); k = Transpose(y[b, t, h, d], perm=[0, 2, 3, 1]); "
            "MatMul(Softmax(Mul(MatMul(q, k), 0.5), axis=-1), v[b, h, t, e])",
            "onnxruntime AttentionFusion, onnxscript MultiHeadAttention"),
    pattern("attention-causal",
            "q[b, h, s, d]; r = MatMul(q, Transpose(k[b, h, t, d], perm=[0, 1, 3, 2])); "
            "MatMul(Softmax(Where(M[s, t], r, -1000.0), axis=-1), v[b, h, t, e])",
            "onnxruntime AttentionFusion, openvino SDPAFusion"),
    pattern("attention-dropout",
            "q[b, h, s, d]; p = Softmax(MatMul(q, Transpose(k[b, h, t, d], perm=[0, 1, 3, 2])), axis=-1); "
            "MatMul(Dropout(p), v[b, h, t, e])",
            "inductor _sfdp_pattern_4, onnxruntime EliminateDropout"),
    pattern("attention-one-tensor", "x[b, s, d]; MatMul(Softmax(MatMul(x, Transpose(x, perm=[0, 2, 1])), axis=-1), x)",
            "inductor _sfdp_pattern_11, openvino SDPAFusion"),
    pattern("attention-whole",
            "x[b, s, h*d]; q = Transpose(Reshape(Add(MatMul(x, Q[h*d, h*d]), A[h*d]), shape=[b, s, h, d]), perm=[0, "
            "2, 1, 3]); k = Transpose(Reshape(Add(MatMul(x, K[h*d, h*d]), B[h*d]), shape=[b, s, h, d]), perm=[0, 2, "
            "3, 1]); v = Transpose(Reshape(Add(MatMul(x, V[h*d, h*d]), C[h*d]), shape=[b, s, h, d]), perm=[0, 2, 1, "
            "3]); p = MatMul(Softmax(Div(MatMul(q, k), 2.0), axis=-1), v); "
            "Reshape(Transpose(p, perm=[0, 2, 1, 3]), shape=[b, s, h*d])",
            "onnxruntime AttentionFusion, onnxscript MultiHeadAttention, tensorrt Multi-Head Attention Fusion"),
    pattern("attention-packed",
            "y = MatMul(x[b, s, c], W[c, 3*d]); q, k, v = Split(y, axis=2, split=[d, d, d]); "
            "MatMul(Softmax(MatMul(q, Transpose(k, perm=[0, 2, 1])), axis=-1), v)",
            "onnxoptimizer fuse_qkv, onnxruntime AttentionFusion"),
    pattern("projections",
            "x[b, s, c]; Add(MatMul(x, Q[c, d]), A[d]); Add(MatMul(x, K[c, d]), B[d]); Add(MatMul(x, V[c, d]), C[d])",
            "onnxoptimizer fuse_qkv, tvm CombineParallelMatmul, onnxscript fuse_qkv_gqa_rules"),
    pattern("heads", "Transpose(Reshape(x[b, s, h*d], shape=[b, s, h, d]), perm=[0, 2, 1, 3])",
            "onnxruntime AttentionFusion, openvino TransposeReshapeEliminationForMatmul"),
    pattern("rotary",
            "x[b, h, s, 2*d]; a, c = Split(x, axis=-1, split=[d, d]); "
            "Add(Mul(x, C[s, 2*d]), Mul(Concat(Neg(c), a, axis=-1), S[s, 2*d]))",
            "openvino RoPEFusionGPTNEOX, onnxscript RotaryEmbeddingFusion"),
    pattern("rotary-sliced",
            "x[b, h, s, 8]; a = Slice(x, starts=[0], ends=[4], axes=[3]); "
            "c = Slice(x, starts=[4], ends=[9223372036854775807], axes=[3]); "
            "Add(Mul(x, C[1, 1, s, 8]), Mul(Concat(Neg(c), a, axis=-1), S[1, 1, s, 8]))",
            "onnxscript RotaryEmbeddingFusion, openvino RoPEFusionGPTNEOX"),
    pattern("rotary-halves",
            "x[b, s, 2*d]; a, c = Split(x, axis=-1, split=[d, d]); "
            "Concat(Sub(Mul(a, C[s, d]), Mul(c, S[s, d])), Add(Mul(c, C), Mul(a, S)), axis=-1)",
            "openvino RoPEFusionFlux, onnxscript RotaryEmbeddingFusion"),
    pattern("rotary-interleaved",
            "x[b, s, 2*d]; y = Reshape(x, shape=[b, s, d, 2]); a, c = Split(y, axis=-1, split=[1, 1]); "
            "Add(Mul(x, C[s, 2*d]), Mul(Reshape(Concat(Neg(c), a, axis=-1), shape=[b, s, 2*d]), S[s, 2*d]))",
            "openvino RoPEFusionGPTJ"),
    pattern("key-cache",
            "q[b, h, s, d]; k = Concat(c[b, h, t, d], n[b, h, s, d], axis=2); "
            "MatMul(q, Transpose(k, perm=[0, 1, 3, 2]))",
            "openvino StatefulSDPAFusion, onnxruntime GroupQueryAttentionFusion"),
    pattern("grouped-heads",
            "k[b, h, t, d]; r = Reshape(Expand(Unsqueeze(k, axes=[2]), shape=[b, h, 2, t, d]), shape=[b, h*2, t, "
            "d]); MatMul(q[b, h*2, s, d], Transpose(r, perm=[0, 1, 3, 2]))",
            "onnxscript GroupQueryAttention, openvino SDPAFusion, onnxruntime GroupQueryAttentionFusion"),
    pattern("mask-chain",
            "x[b, t]; m = Mul(Sub(1.0, Cast(Greater(x, 0.0), to=T)), -1000.0); "
            "Softmax(Add(y[b, h, s, t], Unsqueeze(m, axes=[1, 2])), axis=-1)",
            "onnxruntime AttentionFusion, onnxruntime BiasSoftmaxFusion"),
    pattern("softmax-upcast", "Cast(Softmax(Cast(x[..., k], to=float), axis=-1), to=T)",
            "inductor pointless_convert", ("float16", "bfloat16")),
    pattern("softmax-weighted-sum", "MatMul(Softmax(x[b, s, t], axis=2), v[b, t, e])",
            "xla SoftmaxRewriterTriton, inductor b2b_gemm"),
)  # fmt: skip
