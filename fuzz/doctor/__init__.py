"""Is the harness sound, and what does each target do with ONNX's own tests?"""
