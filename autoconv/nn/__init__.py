"""Layers: state and shapes only; all mathematics is in ``functional``.

module (Module and Parameter), init (initial weights), then the layers: linear, conv, pool, normalisation, activation,
container (Sequential, Flatten), and torch_weights (weights from and to PyTorch).  Weights follow the data's layout:
Linear (in, out), convolutions (kH, kW, C_in /
groups, C_out) for channels-last images.  Settings come in PyTorch's order.  ``nn.functional`` is
``autoconv.functional``.
"""

from . import functional, init
from .activation import GELU, LeakyReLU, ReLU, Sigmoid, Softmax, Softplus, Tanh
from .container import Flatten, Sequential
from .conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .linear import Linear
from .module import Layer, Module, Parameter
from .normalisation import BatchNorm1d, BatchNorm2d, BatchNorm3d, Dropout, LayerNorm
from .pool import AvgPool1d, AvgPool2d, AvgPool3d, GlobalAvgPool, MaxPool1d, MaxPool2d, MaxPool3d
from .torch_weights import load_torch as _load_torch  # noqa: F401 (binds Module.load_torch)

__all__ = [
    "GELU",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "Dropout",
    "Flatten",
    "GlobalAvgPool",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "Module",
    "Parameter",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "functional",
    "init",
]
