"""The key of an exercise sealed, so that a page can mark what is written in it and yet does not show the answers.

Each number that leads to a remark (the answer; what a classic slip leads to) is locked with a key made from the number
itself, rounded to some five percent: whoever is near it can open it, and then the page compares as ``marking`` does.

    bucket(v) = sign(v), floor(20.5 ln |v|)      h = H(H(.. H(salt | blank | bucket)))      entry_j xor H(h | j)

with H = SHA-256.  That hides the answers from whoever reads the page's source, not from whoever writes a program that
tries all numbers: a sheet that counts is saved without (``marking=False``) and marked with its key.
"""

from __future__ import annotations

import math
import struct
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from ..tutor.bank.slips import FACTOR, FACTORS, SLIPS
from .marking import Answer

ROUNDS, FINENESS = 1000, 20.5  # times that a key is hashed; buckets in a factor of e
_POINT, _SIGN = "decimal point", "sign"


def sealed(answers: Sequence[Answer], title: str) -> dict[str, Any]:
    """What a page is given to mark with: {"salt", "rounds", "fineness", "nudges", "blanks"}.

    blanks: for each the entries, base64 of 24 bytes each.  An opened entry has a number, by how much an answer may
    differ from it, which remark belongs to it (0: right, k: the k-th of ``nudges``), and seven zeros, which say that
    it was opened.
    """
    says = "|".join(a.says for a in answers)
    salt = sha256(f"{title}|{says}".encode()).hexdigest()[:16]
    found = [_remarks(answer) for answer in answers]
    names = sorted({name for entries in found for _, _, name in entries if name})
    nudges = [SLIPS[name].nudge for name in names]
    blanks = []
    for answer, entries in zip(answers, found, strict=True):
        made = b""
        for j, (number, slack, name) in enumerate(entries):
            plain = struct.pack("<ddB7x", number, slack, names.index(name) + 1 if name else 0)
            pad = sha256(_key(salt, answer.number, number) + j.to_bytes(2, "little")).digest()
            made += bytes(a ^ b for a, b in zip(plain, pad, strict=False))
        blanks.append(b64encode(made).decode())
    return {"salt": salt, "rounds": ROUNDS, "fineness": FINENESS, "nudges": nudges, "blanks": blanks}


def bucket(number: float) -> str:
    """What a key is made from: the sign, and which of the buckets the size lies in."""
    if not number:
        return "0"
    return f"{'-' if number < 0 else '+'}{math.floor(FINENESS * math.log(abs(number)))}"


def _key(salt: str, blank: int, number: float) -> bytes:
    key = f"{salt}|{blank}|{bucket(number)}".encode()
    for _ in range(ROUNDS):
        key = sha256(key).digest()
    return key


def _remarks(answer: Answer) -> list[tuple[float, float, str]]:
    """(number, by how much an answer may differ, the slip or ""), in the order in which ``marking`` looks."""
    truth = float(answer.answer)
    found = [
        (truth, max(answer.tolerance, 1e-9 * abs(truth)), ""),
        (-truth, max(answer.tolerance, 1e-9 * abs(truth)), _SIGN),
    ]
    for name, leads_to in answer.slips:
        number = float(leads_to)
        scale = answer.tolerance / abs(truth) * abs(number) if truth else 0.0
        found.append((number, max(min(scale, 1e-3 * abs(number)), 1e-9 * abs(number)), name))
    factors = [s * f for n in FACTORS for f in (n, 1 / n) for s in (1, -1)]
    points = [10.0**k for k in (-3, -2, -1, 1, 2, 3)]
    for name, ratios in ((FACTOR, factors), (_POINT, points)):
        found += [(truth * ratio, 2e-3 * abs(truth * ratio), name) for ratio in ratios]
    return [entry for entry in found if math.isfinite(entry[0])]
