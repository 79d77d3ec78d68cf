// The loss over the recorded steps of a training run, with the step that is shown; a click goes there.

function drawCurve(trace, holder, go) {
  const loss = trace.loss.map((x) => x === null ? NaN : Number(x)), finite = loss.filter(Number.isFinite);
  const width = 420, height = 260, left = 58, low = Math.min(...finite), high = Math.max(...finite);
  const px = (i) => left + (loss.length > 1 ? i / (loss.length - 1) : 0.5) * (width - left - 16);
  const py = (y) => height - 34 - (high > low ? (y - low) / (high - low) : 0.5) * (height - 60);
  const svg = shape("svg", { width, height, viewBox: `0 0 ${width} ${height}`, class: "forward" });
  const write = (x, y, words, anchor) => { const t = shape("text", { x, y, "font-size": 11, "text-anchor": anchor, class: "label" }); t.textContent = words; svg.append(t); };
  write(8, 16, "loss", "start");
  if (finite.length) { write(left - 6, py(high) + 4, short(high), "end"); if (high > low) write(left - 6, py(low) + 4, short(low), "end"); }
  else write(left, height / 2, "no loss was recorded", "start");
  write(left, height - 10, `step ${trace.steps[0]}`, "start");
  write(width - 16, height - 10, `step ${trace.steps[trace.steps.length - 1]}`, "end");
  let d = "", pen = "M";
  loss.forEach((y, i) => { if (Number.isFinite(y)) { d += `${pen}${px(i)} ${py(y)}`; pen = "L"; } else pen = "M"; });
  svg.append(shape("path", { d, class: "edge curve" }));
  const line = shape("path", { class: "edge lit" }), dot = shape("circle", { r: 5, class: "dot" });
  svg.append(line, dot);
  svg.addEventListener("click", (e) => {
    const x = e.clientX - svg.getBoundingClientRect().left;
    go(1 + Math.round((x - left) / (width - left - 16) * (loss.length - 1)));
  });
  holder.append(svg);
  return (event, known, step) => {
    const i = step - 1;
    line.setAttribute("d", `M${px(i)} 22L${px(i)} ${height - 28}`);
    dot.setAttribute("visibility", Number.isFinite(loss[i]) ? "visible" : "hidden");
    dot.setAttribute("cx", px(i));
    dot.setAttribute("cy", Number.isFinite(loss[i]) ? py(loss[i]) : 0);
  };
}
