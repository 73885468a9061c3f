"""How one compiler or runtime computes a model: one file a backend, behind one protocol.

Imports nothing of the other three packages: a worker loads this package by its location inside an environment that
holds numpy, onnx and the backend's own distribution, and nothing else of ours.
"""
