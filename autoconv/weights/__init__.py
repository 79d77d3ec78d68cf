"""Weights files as arrays by name, without the libraries that wrote them and without executing anything.

unpickling (a pickle read by an interpreter of its own that knows plain data alone), torch_file (.pt and .pth),
safetensors_file, source (whatever holds weights, as arrays), matching (their names against a model's, and the report).
"""
