"""Reads the trace out of a page of the stepper, with its arrays, as the page's script does."""

import json
import re
import zlib
from base64 import b64decode

import numpy as np


def read_page(text):
    """The trace as a dict; of each array "data" has what of it is in the page."""
    (data,) = re.findall(r'<script type="application/json" id="trace">(.*?)</script>', text, re.DOTALL)
    trace = json.loads(data)
    stream = zlib.decompress(b64decode(trace["packed"]))
    trace |= json.loads(stream[: trace["text"]])
    for array in trace["arrays"]:
        if "code" in array:
            part = [] if array.get("alike") else array.get("part", array["shape"])
            size, count = int(array["code"][1]), int(np.prod(part, dtype=int))
            planes = np.frombuffer(stream, np.uint8, size * count, trace["text"] + array["at"]).reshape(size, count)
            array["data"] = np.ascontiguousarray(planes.T).view(f"<f{size}").reshape(part)
            if array.get("alike"):
                array["data"] = np.broadcast_to(array["data"], array["shape"])
    return trace
