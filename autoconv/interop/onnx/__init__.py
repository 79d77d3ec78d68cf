"""ONNX: models and their gradients as standard files."""

from .gradient import save_gradient as save_gradient
from .writer import save as save
