// The map of the net: a row for each unit, top to bottom, under the layers around it; the spine runs straight down, what is
// read later (a skip) runs beside it.  A row is a button: it goes to the unit, in the direction of the walk.

const ROW = 26, LANE = 9, LANES = 7, SPINE = 9; // pixels; lanes that are drawn

function drawMap(trace, holder, go) {
  const units = trace.units, folded = new Set();
  const search = element("input", { type: "search", id: "search", placeholder: "find a layer", "aria-label": "find a layer" });
  const list = element("div", { class: "rows" }), gutter = shape("svg", { class: "gutter", "aria-hidden": "true" });
  const rows = []; // {kind: "head" or "unit", element, key or unit, path}
  let shown = [], state = null, wide = 0;
  holder.append(element("div", { class: "find" }, search), list);
  list.append(gutter);

  let path = [];
  units.forEach((unit, k) => {
    const own = unit.path.join(".") === unit.name, around = own ? unit.path.slice(0, -1) : unit.path;
    let same = 0;
    while (same < around.length && same < path.length && around[same] === path[same]) same++;
    for (let d = same; d < around.length; d++) {
      const inner = around.slice(0, d + 1), key = `${rows.length}|${inner.join(".")}`;
      const button = element("button", { class: "head", "aria-expanded": "true", title: inner.join(".") }, element("span", { class: "turn" }, "▾"), " ", around[d]);
      button.style.setProperty("padding-left", `${d * 12 + 2}px`);
      button.addEventListener("click", () => { if (folded.has(key)) folded.delete(key); else folded.add(key); layout(); });
      rows.push({ kind: "head", element: button, key, path: inner, depth: d });
      list.append(button);
    }
    path = around;
    const prefix = around.join("."), name = unit.name.startsWith(prefix + ".") ? unit.name.slice(prefix.length + 1) : unit.name;
    const call = unit.call && unit.call !== name ? unit.call : unit.inside === 1 ? unit.says.replace(name + " ", "of ") : "";
    const size = unit.shape.length ? unit.shape.filter((n, i) => n > 1 || i > 0).join("×") || "1" : "";
    const button = element("button", { class: `unit${unit.quiet ? " quiet" : ""} ${unit.kind}`, "data-unit": k, title: [unit.title, unit.says, unit.shape.length ? `(${unit.shape.join(", ")})` : "one number"].filter(Boolean).join("  ") },
      element("b", {}, name), call ? element("span", { class: "call" }, call) : "", element("span", { class: "size" }, size));
    button.style.setProperty("padding-left", `${around.length * 12 + 4}px`);
    button.addEventListener("click", () => go(k));
    rows.push({ kind: "unit", element: button, unit: k, path: around, heads: rows.filter((r) => r.kind === "head").length });
    list.append(button);
  });

  // which rows are to be seen: those whose heads are open and that are searched for
  function layout() {
    const wanted = search.value.trim().toLowerCase();
    let closed = -1;
    shown = [];
    for (const row of rows) {
      if (row.kind === "head" && row.depth <= closed) closed = -1;
      if (row.kind === "unit" && closed >= 0 && row.path.length <= closed) closed = -1;
      let hide = closed >= 0;
      if (wanted) hide = row.kind === "head" || ![units[row.unit].title, units[row.unit].says].join(" ").toLowerCase().includes(wanted);
      row.element.hidden = hide;
      if (!hide) { row.top = shown.length * ROW; shown.push(row); } else row.top = shown.length ? shown[shown.length - 1].top : 0;
      if (row.kind === "head") {
        row.element.setAttribute("aria-expanded", String(!folded.has(row.key)));
        row.element.firstChild.textContent = folded.has(row.key) ? "▸" : "▾";
        if (closed < 0 && folded.has(row.key)) closed = row.depth;
      }
    }
    list.classList.toggle("found", Boolean(wanted));
    wires(Boolean(wanted));
    if (state) mark(state);
  }

  // edges: to the next row straight down, to a later one in a lane of its own
  let edges = [], dots = new Map();
  function wires(none) {
    const top = new Map(rows.filter((r) => r.kind === "unit").map((r) => [r.unit, r.top])), busy = [];
    const seenTops = new Set(shown.filter((r) => r.kind === "unit").map((r) => r.top));
    const seen = new Set();
    edges = [];
    dots = new Map();
    const parts = [];
    if (!none) units.forEach((unit, b) => unit.reads.forEach((a) => {
      const from = top.get(a), to = top.get(b), key = `${from},${to}`;
      if (from === to) return;
      let between = false;
      for (let y = from + ROW; y < to && !between; y += ROW) between = seenTops.has(y);
      const [y0, y1] = [from + ROW / 2, to + ROW / 2];
      let d;
      if (!between) d = `M${SPINE} ${y0}L${SPINE} ${y1 - 4}`;
      else {
        let lane = seen.has(key) ? -1 : busy.findIndex((end) => end <= y0);
        if (lane < 0) lane = busy.length;
        if (lane >= LANES) return;
        busy[lane] = y1;
        const x = SPINE + (lane + 1) * LANE;
        d = `M${SPINE} ${y0}C${x} ${y0} ${x} ${y0} ${x} ${y0 + 12}L${x} ${y1 - 14}C${x} ${y1 - 3} ${x} ${y1 - 3} ${SPINE + 5} ${y1 - 2}`;
      }
      seen.add(key);
      const line = shape("path", { d, class: "edge", "data-from": a, "data-to": b });
      edges.push(line);
      parts.push(line);
    }));
    for (const row of shown) if (row.kind === "unit") {
      const dot = shape("circle", { cx: SPINE, cy: row.top + ROW / 2, r: units[row.unit].quiet ? 3 : 4.5, class: "dot" });
      dots.set(row.unit, dot);
      parts.push(dot);
    }
    wide = none ? 2 * SPINE : SPINE + (busy.length + 1) * LANE;
    list.style.setProperty("--gutter", `${wide}px`);
    gutter.setAttribute("width", wide);
    gutter.setAttribute("height", Math.max(1, shown.length * ROW));
    gutter.replaceChildren(...parts);
  }

  function mark(now) {
    state = now;
    const { unit, backward, known, graded } = now;
    list.classList.toggle("backward", backward);
    for (const row of rows) if (row.kind === "unit") {
      row.element.classList.toggle("lit", row.unit === unit);
      row.element.classList.toggle("todo", !known.has(row.unit));
      if (row.unit === unit) row.element.setAttribute("aria-current", "step"); else row.element.removeAttribute("aria-current");
    }
    for (const [k, dot] of dots) dot.setAttribute("class", `dot${known.has(k) ? " known" : ""}${graded.has(k) ? " graded" : ""}${k === unit ? " lit" : ""}`);
    for (const line of edges) line.classList.toggle("lit", Number(line.dataset.to) === unit);
    const row = rows.find((r) => r.unit === unit);
    if (row && !row.element.hidden) {
      const y = row.top + list.offsetTop;
      if (y < holder.scrollTop + 40 || y + 2 * ROW > holder.scrollTop + holder.clientHeight) holder.scrollTop = Math.max(0, y - holder.clientHeight / 2);
    }
  }

  search.addEventListener("input", layout);
  search.addEventListener("keydown", (key) => {
    key.stopPropagation();
    if (key.key === "Enter") { const first = shown.find((r) => r.kind === "unit"); if (first) go(first.unit); }
    if (key.key === "Escape") { search.value = ""; layout(); search.blur(); }
  });
  list.addEventListener("keydown", (key) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[key.key];
    const at = shown.findIndex((r) => r.element === document.activeElement);
    if (!by || at < 0) return;
    const next = shown[at + by];
    if (next) next.element.focus();
    key.preventDefault();
    key.stopPropagation();
  });
  layout();
  return mark;
}
