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
  if (x === undefined) return "?";
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

// Each array of the trace gets .data (numbers, or texts for what is not floating point) and .get(i), the element with flat
// index i, undefined where that part of a large array is not in the page.
function unpack(trace, bytes) {
  Object.assign(trace, JSON.parse(new TextDecoder().decode(bytes.subarray(0, trace.text))));
  for (const array of trace.arrays) {
    array.others = array.others || [];
    const part = array.alike ? [] : array.part || array.shape, count = product(part);
    if (array.list) array.data = array.list;
    else {
      const size = Number(array.code[1]), plain = new Uint8Array(count * size);
      for (let k = 0; k < size; k++)
        for (let i = 0; i < count; i++) plain[i * size + k] = bytes[trace.text + array.at + k * count + i];
      array.data = size === 8 ? new Float64Array(plain.buffer) : new Float32Array(plain.buffer);
    }
    array.kept = array.list || array.alike ? array.shape : part;
    array.steps = stepsOf(array.shape);
    const inner = stepsOf(array.kept), every = array.every || array.shape.map(() => 1);
    array.every = every;
    const whole = product(array.kept) === product(array.shape);
    const flatten = (i, near) => {
      let flat = 0;
      for (let axis = 0; axis < array.shape.length; axis++) {
        const at = Math.floor(i / array.steps[axis]) % array.shape[axis] / every[axis], k = Math.floor(at);
        if (k >= array.kept[axis] || (k !== at && !near)) return -1;
        flat += k * inner[axis];
      }
      return flat;
    };
    if (array.alike) { array.get = array.near = () => array.data[0]; continue; }
    array.get = whole ? (i) => array.data[i] : (i) => array.data[flatten(i, false)];
    array.near = whole ? array.get : (i) => array.data[flatten(i, true)]; // of every second row and column the last before
  }
}
const product = (list) => list.reduce((a, b) => a * b, 1);
const stepsOf = (shape) => shape.map((_, axis) => product(shape.slice(axis + 1)));
const indexOf = (array, flat) => array.shape.map((n, axis) => Math.floor(flat / array.steps[axis]) % n);
const where = (array, flat) => array.shape.length ? `[${indexOf(array, flat).join(", ")}]` : "";
