// Numbers, targets and all that is single: a field and a slider for each.
class Controls {
  constructor(page, view) {
    this.view = view;
    this.fields = [];
    const root = document.getElementById('controls');
    page.nodes.forEach((node, k) => {
      if (node.input < 0 || node.role === 'parameter' || (node.role === 'input' && product(node.shape) > 1)) return;
      const count = Math.min(page.inputs[node.input].count, 12);
      for (let e = 0; e < count; e++) root.append(this.field(page, node, k, e, count));
    });
    if (!this.fields.length) root.hidden = true;
  }
  field(page, node, k, e, count) {
    const { view } = this, box = make('div', undefined, 'control'), name = count > 1 ? elementName(node, e) : node.name;
    const label = make('label', name, 'name'), number = make('input'), range = make('input');
    label.title = name;
    const v = view.values[k][e], whole = view.whole(k), most = Math.max(Math.abs(v) * 2, whole ? (page.classes || []).length - 1 || 9 : 2);
    Object.assign(number, { type: 'number', step: whole ? 1 : 'any', id: `number${k}-${e}` });
    label.htmlFor = number.id;
    if (node.settings) label.append(make('span', ` in ${node.settings}`, 'note'));
    Object.assign(range, { type: 'range', min: whole ? 0 : -most, max: most, step: whole ? 1 : most / 200 });
    range.setAttribute('aria-label', `slide ${name}`);
    const put = text => { const x = Number(text); if (text !== '' && isFinite(x)) view.edit(k, e, x, false); };
    for (const input of [number, range]) {
      input.addEventListener('input', () => put(input.value));
      input.addEventListener('change', () => view.finish());
    }
    label.addEventListener('click', () => view.pick(k, e));
    box.append(label, number, range);
    this.fields.push({ k, e, number, range });
    return box;
  }
  draw() {
    for (const { k, e, number, range } of this.fields) {
      const v = this.view.values[k][e];
      if (document.activeElement !== number) number.value = Number(v.toPrecision(7));
      if (document.activeElement !== range) range.value = v;
    }
  }
}
