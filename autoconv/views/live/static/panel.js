// The selected element: its value, gradient and equation with the run's numbers; and a field to change it.

const FIRST = 12; // terms of an equation that are shown at once

class Panel {
  constructor(page, view) {
    Object.assign(this, { page, view, all: { value: false, grad: false } });
    this.root = document.getElementById('about');
    this.title = document.getElementById('name');
  }

  // picked: {node, e}; values and gradients are the view's
  async show(picked) {
    const { view, page } = this;
    if (!picked) {
      this.title.textContent = 'Pick an element';
      this.root.replaceChildren(make('p', 'Click a number, a pixel or a weight: here stands how it comes about. Drag one that has no formula, '
        + 'up or down, or type it here; arrow keys move the choice, + and - change it.', 'note'));
      return;
    }
    const { node: k, e } = picked, node = page.nodes[k], name = elementName(node, e), loss = page.nodes[page.loss].name;
    const turn = this.turn = (this.turn || 0) + 1;
    const [formula, sweep] = [await view.ask('explain', k, e, 'value'), await view.ask('explain', k, e, 'grad')];
    if (turn !== this.turn) return;
    const one = values => values && values[values.length === 1 ? 0 : e], value = one(view.values[k]), grad = one(view.grads[k]);
    const typing = document.activeElement && document.activeElement.matches('#panel input[type=number]') && this.shown === name;
    this.title.textContent = name;
    const list = make('dl'), say = (what, number) => list.append(make('dt', what), make('dd', number));
    say('value', short(value));
    if (grad !== null && grad !== undefined) say('gradient', short(grad));
    const before = one(view.before[k]);
    if (before !== undefined && before !== value) say('was', `${short(before)} (${value - before > 0 ? '+' : ''}${short(value - before)})`);
    say('in', `${node.name} ${node.shape.join('×')} ${node.call}`.trim());
    const parts = [list];
    if (formula) parts.push(...this.equation(name, formula, 'value'));
    if (sweep) parts.push(...this.equation(`d${loss}/d${name}`, sweep, 'grad'));
    if (view.reached.length) parts.push(make('p', 'Reads ' + view.reached.map(([n, count]) => `${count} of the ${product(page.nodes[n].shape)} numbers of ${page.nodes[n].name}`).join(', ') + '.', 'note'));
    if (typing) { // the field stays as it is while somebody types into it
      const edit = this.root.querySelector('.edit');
      for (const child of [...this.root.children]) if (child !== edit) child.remove();
      edit.before(list);
      edit.after(...parts.slice(1));
      return;
    }
    if (node.input >= 0) parts.splice(1, 0, this.field(k, e, name, value));
    this.shown = name;
    this.root.replaceChildren(...parts);
  }

  field(k, e, name, value) {
    const { view } = this, box = make('div', undefined, 'edit'), number = make('input'), range = make('input');
    const whole = view.whole(k), most = Math.max(Math.abs(value), view.most(k), whole ? 9 : 1);
    number.type = 'number';
    number.step = whole ? 1 : 'any';
    number.value = whole ? value : Number(value.toPrecision(7));
    number.setAttribute('aria-label', `value of ${name}`);
    range.type = 'range';
    Object.assign(range, { min: whole ? 0 : -most, max: most, step: whole ? 1 : most / 200 });
    range.value = value;
    range.setAttribute('aria-label', `slide ${name}`);
    const put = (text, done) => { const v = Number(text); if (text !== '' && isFinite(v)) view.edit(k, e, v, done); };
    number.addEventListener('input', () => { put(number.value, false); range.value = number.value; });
    number.addEventListener('change', () => view.finish());
    range.addEventListener('input', () => { put(range.value, false); number.value = Number(Number(range.value).toPrecision(4)); });
    range.addEventListener('change', () => view.finish());
    box.append(number, range);
    return box;
  }

  equation(name, found, side) {
    const { terms, count, padding, value } = found, box = make('div', undefined, 'equation'), parts = [box];
    const order = [...terms].sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
    const inline = count > 6 ? 3 : 6;
    const joined = key => (terms.slice(0, inline).map(t => t[key]).join(' + ') + (count > inline ? ' + …' : '')).replaceAll('+ -', '- ') || '0';
    const lines = [`${name} = ${joined('text')}`, `= ${joined('num')}`, `= ${short(value)}`];
    for (const text of new Set(lines)) box.append(factors('div', text));
    if (count > 6) {
      const table = make('table'), head = make('tr'), shown = this.all[side] ? order : order.slice(0, FIRST);
      for (const text of ['the largest terms', `of ${count}`]) head.append(make('th', text));
      table.append(head);
      for (const term of shown) {
        const row = make('tr'), words = factors('td', term.text);
        if (term.num !== term.text) words.append(make('br'), make('span', term.num, 'note'));
        row.append(words, make('td', short(term.value), term.value < 0 ? 'minus' : 'plus'));
        table.append(row);
      }
      parts.push(table);
      const rest = value - shown.reduce((s, t) => s + t.value, 0);
      if (count > shown.length) parts.push(make('p', `The other ${count - shown.length} add up to ${short(Math.abs(rest) < 1e-12 ? 0 : rest)}.`, 'note'));
      if (order.length > FIRST) {
        const more = make('button', this.all[side] ? 'Fewer' : `All ${order.length}`);
        more.addEventListener('click', () => { this.all[side] = !this.all[side]; this.show(this.view.picked); });
        parts.push(more);
      }
    }
    if (padding) parts.push(make('p', `${padding} cells of padding count as 0.`, 'note'));
    return parts;
  }
}

function factors(tag, text) { // a text that is broken between factors and terms, not within an index
  const element = make(tag);
  for (const part of text.split(/(?<=[·=])|(?<= [+-] )/)) element.append(make('span', part, 'factor'), make('wbr'));
  return element;
}
