// What pages have in common: colours of the theme, pickers, panes that are dragged, pages that are moved through.

let PALETTE = null;
function palette() {
  if (PALETTE) return PALETTE;
  const style = getComputedStyle(document.documentElement), g = document.createElement("canvas").getContext("2d");
  PALETTE = {};
  for (const name of ["plus", "minus", "page", "ink", "soft", "line", "lit", "on", "back", "edge"]) {
    g.fillStyle = style.getPropertyValue("--" + name).trim();
    PALETTE[name] = [1, 3, 5].map((i) => parseInt(g.fillStyle.slice(i, i + 2), 16));
  }
  return PALETTE;
}
function onTheme(told) {
  const again = () => { PALETTE = null; told(); };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  addEventListener("theme", again); // from the page around this one
}
const css = ([r, g, b]) => `rgb(${Math.round(r)},${Math.round(g)},${Math.round(b)})`;
const mix = (a, b, t) => a.map((v, i) => v + (b[i] - v) * t);
// A number as a colour: from orange (negative) over the page to blue (positive); what is not finite is violet.
function shade(value, scale) {
  const p = palette(), x = amount(value);
  if (!Number.isFinite(x)) return p.back;
  return mix(p.page, x < 0 ? p.minus : p.plus, 0.04 + 0.86 * Math.min(1, Math.abs(x) / scale));
}

function picker(name, count, value, change) {
  const select = element("select", { "aria-label": name });
  for (let i = 0; i < count; i++) select.append(element("option", { value: i }, String(i)));
  select.value = value;
  select.addEventListener("change", () => change(Number(select.value)));
  return element("label", {}, name + " ", select);
}

// A pane is moved by dragging what in it is nothing else.
function draggable(pane) {
  let from = null;
  pane.addEventListener("pointerdown", (event) => {
    if (event.button || event.target.closest("button, select, input, summary, canvas, .cell, math, a") || event.pointerType !== "mouse") return;
    from = [event.clientX + pane.scrollLeft, event.clientY + pane.scrollTop, event.clientX, event.clientY];
  });
  pane.addEventListener("pointermove", (event) => {
    if (!from || Math.abs(event.clientX - from[2]) + Math.abs(event.clientY - from[3]) < 4) return;
    pane.classList.add("dragged");
    pane.scrollTo(from[0] - event.clientX, from[1] - event.clientY);
  });
  for (const end of ["pointerup", "pointerleave"]) pane.addEventListener(end, () => { from = null; pane.classList.remove("dragged"); });
}

// The line between two panes: dragged, or moved with the arrow keys.
function divider(bar, pane, side, least, most) {
  const set = (width) => {
    const room = Math.min(Math.max(least, width), Math.min(most, innerWidth / 2));
    pane.style.width = room + "px";
    bar.setAttribute("aria-valuenow", Math.round(room));
  };
  bar.setAttribute("aria-valuemin", least);
  bar.setAttribute("aria-valuemax", most);
  bar.setAttribute("aria-valuenow", pane.offsetWidth);
  bar.addEventListener("pointerdown", (event) => { bar.setPointerCapture(event.pointerId); event.preventDefault(); });
  bar.addEventListener("pointermove", (event) => {
    if (!bar.hasPointerCapture(event.pointerId)) return;
    const box = pane.getBoundingClientRect();
    set(side > 0 ? event.clientX - box.left : box.right - event.clientX);
  });
  bar.addEventListener("keydown", (key) => {
    const by = { ArrowLeft: -20, ArrowRight: 20 }[key.key];
    if (!by) return;
    set(pane.offsetWidth + by * side);
    key.preventDefault();
    key.stopPropagation();
  });
}

// Zooming a pane: - and + buttons, their keys, and the wheel with Ctrl.
function zoomable(pane, buttons, change) {
  const sizes = [0.5, 0.7, 1, 1.4, 2, 2.8, 4];
  let at = 2;
  const set = (by) => {
    at = Math.min(Math.max(0, by === 0 ? 2 : at + by), sizes.length - 1);
    change(sizes[at]);
  };
  for (const [button, by] of buttons) button.addEventListener("click", () => set(by));
  pane.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    set(event.deltaY < 0 ? 1 : -1);
  }, { passive: false });
  return set;
}
