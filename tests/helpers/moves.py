"""Movement, and what goes along each example: functions that a plan does by names, wherever the examples stand."""

import numpy as np

import autoconv as ac
from autoconv.primitives import TABLE

PLACES = np.array([1, 0, 1])
MOVES = {  # of y (5, 4, 3, 2) with its axes in three orders: what is done; the axes along which examples would mix
    "flip": (lambda y: ac.flip(y, 1), {1}),
    "pad": (lambda y: ac.pad(y, ((0, 0), (1, 2), (0, 0), (0, 1))), {1, 3}),
    "slice": (lambda y: y[:, 1:3], {1}),
    "every other": (lambda y: y[:, ::2], {1}),
    "first and new axis": (lambda y: y[:, None, ..., 1], {3}),
    "a new axis behind": (lambda y: y[..., 0, None], {3}),
    "a new axis in front": (lambda y: y[None, :, 1], {1}),
    "concat": (lambda y: ac.concat([y, y * 2], axis=1), {1}),
    "stack": (lambda y: ac.stack([y, y + 1], axis=0), set()),
    "roll": (lambda y: ac.roll(y, 1, axis=1), {1}),
    "merge behind": (lambda y: ac.reshape(y, (*y.shape[:2], -1)), {3}),
    "merge and part": (lambda y: ac.reshape(y, (y.shape[0], y.shape[2], -1)), {1, 3}),
    "a number for each example": (lambda y: ac.sum(y, axis=(1, 2)), {1}),
    "kept axes": (lambda y: ac.sum(y, axis=(1, 3), keepdims=True), {1, 3}),
    "sum of the first": (lambda y: ac.sum(y, axis=0), {0}),
    "take": (lambda y: ac.take(y, PLACES, axis=1), {1}),
    "take of the last": (lambda y: ac.take(y, PLACES, axis=3), {3}),
    "take of the first": (lambda y: ac.take(y, PLACES, axis=0), {0}),
    "take in two axes": (lambda y: ac.take(y, PLACES[:2, None] + PLACES[:2], axis=2), set()),
    "repeat": (lambda y: ac.broadcast_to(y[:, :, :, None], (*y.shape[:3], 2, y.shape[3])), set()),
    "windows": (lambda y: TABLE["windows"](y, axes=(1, 2), window=(2, 2), stride=(1, 1), dilation=(1, 1)), {1}),
    "cumsum": (lambda y: ac.cumsum(y, axis=1), {1}),
    "max": (lambda y: ac.max(y, axis=(1, 2)), {1}),
    "softmax": (lambda y: ac.softmax(y, axis=2), set()),
    "where": (lambda y: ac.where(y > 0, y, 0.5 * y), set()),
    "truth moved": (lambda y: ac.where(ac.flip(y > 0, 1), y, 0.5 * y), {1}),
    "truth repeated": (lambda y: ac.where(ac.broadcast_to((y > 0)[:, :, :, :1], y.shape), y, 0.5 * y), {3}),
    "of truth values": (lambda y: ac.sum(ac.where(y[:, 1:] > 0, 1.0, 0.0) * y[:, 1:], axis=2), {1}),
}
ORDERS = {0: (0, 1, 2, 3), 1: (1, 0, 2, 3), 3: (3, 1, 2, 0)}
