// The loss over the recorded steps of a training run, as large as its pane, with the step that is shown; a click goes
// there.

function ticks(low, high, count) { // round numbers between two numbers
  const power = 10 ** Math.floor(Math.log10((high - low) / count || 1));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => (high - low) / s <= count) || 1, found = [];
  for (let k = Math.ceil(low / step); k * step <= high * (1 + 1e-12); k++) found.push(Number((k * step).toPrecision(12)));
  return found;
}

function drawCurve(trace, holder, go) {
  const loss = trace.loss.map((x) => x === null ? NaN : Number(x)), finite = loss.filter(Number.isFinite);
  const low = Math.min(...finite), high = Math.max(...finite), steps = trace.steps;
  const svg = shape("svg", { class: "forward", role: "img", "aria-label": `loss of ${loss.length} records` });
  const line = shape("path", { class: "edge lit" }), dot = shape("circle", { r: 5, class: "dot" });
  const MARGIN = { left: 64, right: 20, top: 34, bottom: 44 };
  let width = 0, height = 0, shown = 1;
  const px = (i) => MARGIN.left + (loss.length > 1 ? i / (loss.length - 1) : 0.5) * (width - MARGIN.left - MARGIN.right);
  const py = (y) => height - MARGIN.bottom - (high > low ? (y - low) / (high - low) : 0.5) * (height - MARGIN.top - MARGIN.bottom);

  function draw() {
    width = Math.max(280, holder.clientWidth - 2);
    height = Math.max(220, Math.min(holder.clientHeight - 4, width));
    for (const [name, value] of Object.entries({ width, height, viewBox: `0 0 ${width} ${height}` })) svg.setAttribute(name, value);
    const write = (x, y, words, anchor) => { const t = shape("text", { x, y, "font-size": 11, "text-anchor": anchor, class: "label" }); t.textContent = words; return t; };
    const parts = [write(MARGIN.left, 18, finite.length ? "loss" : "no loss was recorded", "start")];
    const ys = !finite.length ? [] : high > low ? ticks(low, high, 6) : [low];
    for (const y of ys) {
      parts.push(shape("path", { d: `M${MARGIN.left} ${py(y)}H${width - MARGIN.right}`, class: "edge rule" }));
      parts.push(write(MARGIN.left - 8, py(y) + 4, short(y), "end"));
    }
    const across = Math.max(1, Math.floor((width - MARGIN.left) / 90));
    for (const i of loss.length > 1 ? ticks(0, loss.length - 1, across).filter(Number.isInteger) : [0])
      parts.push(write(px(i), height - MARGIN.bottom + 22, String(steps[i]), "middle"));
    parts.push(write((MARGIN.left + width - MARGIN.right) / 2, height - 6, "step", "middle"));
    let d = "", pen = "M";
    loss.forEach((y, i) => { if (Number.isFinite(y)) { d += `${pen}${px(i)} ${py(y)}`; pen = "L"; } else pen = "M"; });
    parts.push(shape("path", { d, class: "edge curve" }), line, dot);
    svg.replaceChildren(...parts);
    mark();
  }
  function mark() {
    const i = shown - 1;
    line.setAttribute("d", `M${px(i)} ${MARGIN.top - 8}V${height - MARGIN.bottom + 6}`);
    dot.setAttribute("visibility", Number.isFinite(loss[i]) ? "visible" : "hidden");
    dot.setAttribute("cx", px(i));
    dot.setAttribute("cy", Number.isFinite(loss[i]) ? py(loss[i]) : 0);
  }
  svg.addEventListener("click", (e) => {
    const x = e.clientX - svg.getBoundingClientRect().left;
    go(1 + Math.round((x - MARGIN.left) / (width - MARGIN.left - MARGIN.right) * (loss.length - 1)));
  });
  holder.append(svg);
  draw();
  new ResizeObserver(draw).observe(holder);
  return (event, known, step) => { shown = step; mark(); };
}
