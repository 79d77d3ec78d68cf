"""Losses as modules of two inputs; they hold settings alone."""

from __future__ import annotations

from typing import Any

from ..functional import loss as functional
from ..operands import real
from ..shapes import shown
from ..tape import Tensor
from .module import Module


class _Loss(Module):
    """A loss with a ``reduction``: "mean", "sum" or "none"."""

    words: tuple[str, ...] = ("mean", "sum", "none")

    def __init__(self, *, reduction: str = "mean") -> None:
        if not isinstance(reduction, str) or reduction not in self.words:
            raise ValueError(
                f"{type(self).__name__}: reduction={shown(reduction)}; use {', '.join(map(repr, self.words))}"
            )
        self.reduction = reduction

    def extra_repr(self) -> str:
        return "" if self.reduction == "mean" else f"reduction={self.reduction!r}"


class MSELoss(_Loss):
    """The mean of (y - t)^2: ``ac.losses.mse``.

    >>> float(nn.MSELoss()(np.array([1.0, 2.0]), np.array([0.0, 4.0])))
    2.5
    """

    def forward(self, y: Any, t: Any) -> Tensor:
        return functional.mse(y, t, reduction=self.reduction)


class L1Loss(_Loss):
    """The mean of |y - t|: ``ac.losses.l1``.

    >>> float(nn.L1Loss()(np.array([1.0, 2.0]), np.array([0.0, 4.0])))
    1.5
    """

    def forward(self, y: Any, t: Any) -> Tensor:
        return functional.l1(y, t, reduction=self.reduction)


class SmoothL1Loss(_Loss):
    """Squares near 0, beyond ``beta`` straight lines: ``ac.losses.smooth_l1``.

    >>> float(nn.SmoothL1Loss()(np.array([0.5, 3.0]), np.zeros(2)))
    1.3125
    """

    def __init__(self, *, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        self.beta = real(beta, "SmoothL1Loss: beta", low=0)

    def forward(self, y: Any, t: Any) -> Tensor:
        return functional.smooth_l1(y, t, beta=self.beta, reduction=self.reduction)


class HuberLoss(_Loss):
    """Squares near 0, beyond ``delta`` straight lines of slope delta: ``ac.losses.huber``.

    >>> float(nn.HuberLoss(delta=2.0)(np.array([0.5, 3.0]), np.zeros(2)))
    2.0625
    """

    def __init__(self, *, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        self.delta = real(delta, "HuberLoss: delta", above=0)

    def forward(self, y: Any, t: Any) -> Tensor:
        return functional.huber(y, t, delta=self.delta, reduction=self.reduction)


class KLDivLoss(_Loss):
    """The mean of t (log t - log_q); reduction "batchmean" divides by the examples alone: ``ac.losses.kl_div``.

    >>> loss = nn.KLDivLoss(reduction="batchmean")
    >>> round(float(loss(np.log([[0.5, 0.5]]), np.array([[1.0, 0.0]]))), 4)
    0.6931
    """

    words = ("mean", "sum", "none", "batchmean")

    def __init__(self, *, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(reduction=reduction)
        self.log_target = log_target

    def forward(self, log_q: Any, t: Any) -> Tensor:
        return functional.kl_div(log_q, t, reduction=self.reduction, log_target=self.log_target)


class BCELoss(_Loss):
    """-t log y - (1 - t) log(1 - y) of probabilities y: ``ac.losses.bce``; ``weight`` broadcasts to their shape.

    >>> round(float(nn.BCELoss()(np.array([0.5, 0.5]), np.array([0.0, 1.0]))), 4)
    0.6931
    """

    def __init__(self, weight: Any = None, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.weight = weight

    def forward(self, y: Any, t: Any) -> Tensor:
        return functional.bce(y, t, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_Loss):
    """-t log sigmoid(z) - (1 - t) log(1 - sigmoid(z)) of logits z: ``ac.losses.bce_with_logits``.

    weight: factors of the loss; pos_weight: of its first term; they broadcast to the logits' shape.

    >>> round(float(nn.BCEWithLogitsLoss()(np.zeros(2), np.array([0.0, 1.0]))), 4)
    0.6931
    """

    def __init__(self, weight: Any = None, *, reduction: str = "mean", pos_weight: Any = None) -> None:
        super().__init__(reduction=reduction)
        self.weight, self.pos_weight = weight, pos_weight

    def forward(self, logits: Any, t: Any) -> Tensor:
        return functional.bce_with_logits(logits, t, self.weight, self.pos_weight, reduction=self.reduction)


class CrossEntropyLoss(_Loss):
    """-log softmax(logits)[label] over the class ``axis`` (the last; PyTorch's is 1): ``ac.losses.cross_entropy``.

    weight: (classes,); ignore_index: a label of examples that do not count; label_smoothing: the share of a label that
    all classes get.

    >>> round(float(nn.CrossEntropyLoss()(np.zeros((2, 4)), np.array([0, 3]))), 4)
    1.3863
    """

    def __init__(
        self,
        weight: Any = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
        axis: int = -1,
    ) -> None:
        super().__init__(reduction=reduction)
        self.weight, self.axis = weight, axis
        self.settings: dict[str, Any] = {"ignore_index": ignore_index, "label_smoothing": label_smoothing}

    def forward(self, logits: Any, labels: Any) -> Tensor:
        return functional.cross_entropy(
            logits, labels, self.weight, reduction=self.reduction, axis=self.axis, **self.settings
        )


class NLLLoss(_Loss):
    """-log_probabilities[label] over the class ``axis`` (the last; PyTorch's is 1): ``ac.losses.nll``.

    weight: (classes,); ignore_index: a label of examples that do not count.

    >>> round(float(nn.NLLLoss()(np.log([[0.5, 0.5]]), np.array([0]))), 4)
    0.6931
    """

    def __init__(
        self, weight: Any = None, *, ignore_index: int = -100, reduction: str = "mean", axis: int = -1
    ) -> None:
        super().__init__(reduction=reduction)
        self.weight, self.axis, self.ignore_index = weight, axis, ignore_index

    def forward(self, log_probabilities: Any, labels: Any) -> Tensor:
        return functional.nll(
            log_probabilities,
            labels,
            self.weight,
            reduction=self.reduction,
            axis=self.axis,
            ignore_index=self.ignore_index,
        )
