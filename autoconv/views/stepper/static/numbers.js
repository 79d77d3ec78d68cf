"use strict";
// Numbers: unpacking the arrays of the trace, and writing a number as the library does (four significant digits).

const SVG = "http://www.w3.org/2000/svg";

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function shape(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// Python's "%.4g": a tie (1.0625) goes to the even digit, which toPrecision does not do.
function short(x) {
  if (typeof x === "string") return x;
  if (Number.isNaN(x)) return "nan";
  if (!Number.isFinite(x)) return x > 0 ? "inf" : "-inf";
  if (x === 0) return Object.is(x, -0) ? "-0" : "0";
  const [mantissa, power] = Math.abs(x).toExponential(60).split("e");
  const digits = mantissa.replace(".", "");
  let head = Number(digits.slice(0, 4)), exponent = Number(power);
  const rest = digits.slice(4);
  const tie = rest[0] === "5" && /^0*$/.test(rest.slice(1));
  if (tie ? head % 2 === 1 : rest[0] >= "5") head += 1;
  if (head === 10000) { head = 1000; exponent += 1; }
  const sign = x < 0 ? "-" : "", kept = String(head);
  const trim = (text) => text.includes(".") ? text.replace(/\.?0+$/, "") : text;
  if (exponent < -4 || exponent >= 4) {
    const size = String(Math.abs(exponent)).padStart(2, "0");
    return sign + trim(kept[0] + "." + kept.slice(1)) + "e" + (exponent < 0 ? "-" : "+") + size;
  }
  if (exponent >= 0) return sign + trim(kept.slice(0, exponent + 1) + "." + kept.slice(exponent + 1));
  return sign + trim("0." + "0".repeat(-exponent - 1) + kept);
}

// The size of what a cell shows: numbers as they are, "1/3" as a number, True as 1.
function amount(x) {
  if (typeof x !== "string") return x;
  const [above, below] = x.split("/");
  return x === "True" ? 1 : x === "False" ? 0 : below ? Number(above) / Number(below) : Number(x);
}

async function inflate(base64) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Each array of the trace gets .data: numbers (or texts, for what is not floating point), or null if it is only described;
// texts, events, graph and pictures stand before the numbers.
function unpack(trace, bytes) {
  for (const array of trace.arrays) {
    const count = (array.part || array.shape).reduce((a, b) => a * b, 1);
    if (array.list) array.data = array.list;
    else if (array.code) {
      const size = Number(array.code[1]), plain = new Uint8Array(count * size);
      for (let k = 0; k < size; k++)
        for (let i = 0; i < count; i++) plain[i * size + k] = bytes[array.at + k * count + i];
      array.data = size === 8 ? new Float64Array(plain.buffer) : new Float32Array(plain.buffer);
    } else array.data = null;
    if (array.part) { array.corner = { shape: array.part, data: array.data }; array.data = null; }
  }
  Object.assign(trace, JSON.parse(new TextDecoder().decode(bytes.subarray(0, trace.text))));
}
