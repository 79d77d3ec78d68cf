// The graph: boxes and edges from the trace; the active line and its edges are lit.

function drawGraph(trace, holder, go) {
  const graph = trace.graph;
  if (!graph) {
    holder.append(element("p", { class: "soft" }, `${trace.lines.length} lines are too many to draw; the steps show them one by one.`));
    return () => {};
  }
  const svg = shape("svg", { width: graph.width, height: graph.height, viewBox: `0 0 ${graph.width} ${graph.height}` });
  const marker = shape("marker", { id: "tip", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, markerUnits: "userSpaceOnUse", orient: "auto-start-reverse" });
  marker.append(shape("path", { d: "M0 0L8 4L0 8Z", fill: "context-stroke" }));
  svg.append(shape("defs", {}, marker));
  const edges = graph.edges.map(([from, to, d]) => {
    const path = shape("path", { class: "edge", d, "marker-end": "url(#tip)", "data-from": from, "data-to": to });
    svg.append(path);
    return path;
  });
  const first = new Map();
  trace.lines.forEach((line, i) => { if (!first.has(graph.owner[i])) first.set(graph.owner[i], line); });
  const boxes = graph.boxes.map(([title, under, x, y, width, height], number) => {
    const kind = ["input", "constant"].includes(first.get(number).row) && graph.owner.filter((o) => o === number).length === 1 ? first.get(number).row : "";
    const part = shape("g", { class: `box ${kind}`, "data-box": number });
    const name = shape("text", { x: x + 7, y: y + 15, "font-size": 12, "font-weight": "bold" });
    name.textContent = title;
    const below = shape("text", { x: x + 7, y: y + 28, "font-size": 10, class: "under" });
    below.textContent = under;
    part.append(shape("rect", { x, y, width, height, rx: 3 }), name, below);
    part.addEventListener("click", () => go(number));
    svg.append(part);
    return part;
  });
  holder.append(svg);

  return (event, known) => {
    const line = graph.owner[event.line], target = graph.owner[event.target];
    const backward = !["input", "forward"].includes(event.kind);
    svg.setAttribute("class", backward ? "backward" : "forward");
    const sources = new Set(trace.lines[event.line].reads.map((i) => graph.owner[i]));
    edges.forEach((path, i) => {
      const [from, to] = graph.edges[i];
      const lit = event.kind === "forward" ? to === line && sources.has(from)
        : event.kind === "accumulate" && to === line && from === target;
      path.classList.toggle("lit", lit);
      if (lit) path.setAttribute(backward ? "marker-start" : "marker-end", "url(#tip)");
      path.toggleAttribute("data-lit", lit);
      if (backward && lit) path.removeAttribute("marker-end");
      else path.setAttribute("marker-end", "url(#tip)");
      if (!(backward && lit)) path.removeAttribute("marker-start");
    });
    boxes.forEach((part, i) => {
      part.classList.toggle("lit", i === line || i === target);
      part.classList.toggle("todo", !known.has(i));
    });
    const [, , x, y, width, height] = graph.boxes[target];
    if (y < holder.scrollTop + 20 || y + height > holder.scrollTop + holder.clientHeight - 20)
      holder.scrollTop = y - holder.clientHeight / 2;
    if (x < holder.scrollLeft + 10 || x + width > holder.scrollLeft + holder.clientWidth - 10)
      holder.scrollLeft = x + width / 2 - holder.clientWidth / 2;
  };
}
