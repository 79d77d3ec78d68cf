"""Optimisers and learning-rate schedules.

optimizer (what all share, and Update: a step as plain data), methods (SGD, Adam, AdamW, RMSprop, Adagrad), schedule
(StepLR, CosineLR), lr_scheduler (PyTorch's schedules under its names).
"""

from . import lr_scheduler
from .methods import SGD, Adagrad, Adam, AdamW, RMSprop
from .optimizer import Optimizer, Update
from .schedule import CosineLR, Schedule, StepLR

__all__ = [
    "SGD", "Adagrad", "Adam", "AdamW", "CosineLR", "Optimizer", "RMSprop", "Schedule", "StepLR", "Update",
    "lr_scheduler",
]  # fmt: skip
