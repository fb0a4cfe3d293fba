const classOf = (column) => ['number', 'long', 'faint'].filter((name) => column[name]).join(' ');

/**
 * A table whose rows are kept by key and changed in place. A column is { head, text } and
 * may say number, name (it heads its row), long (it may be broken anywhere), faint,
 * note(item) below the text, bad(item), pill(item), or be a button: { button, label(item),
 * press(item), shown() }. On a narrow screen a row of a table of class cards becomes a card,
 * that names each value by data-head.
 */
export class Table {
  constructor(table, columns, { key, none = '' }) {
    this.columns = columns;
    this.key = key;
    this.rows = new Map();
    const head = table.createTHead().insertRow();
    for (const c of columns) {
      const th = document.createElement('th');
      th.scope = 'col';
      th.textContent = c.head;
      th.className = classOf(c);
      head.append(th);
    }
    this.body = table.createTBody();
    this.none = document.createElement('p');
    this.none.className = 'none';
    this.none.textContent = none;
    table.after(this.none);
  }

  show(items) {
    const gone = new Set(this.rows.keys());
    let at = this.body.firstElementChild;
    for (const item of items) {
      const key = this.key(item);
      gone.delete(key);
      let row = this.rows.get(key);
      if (!row) this.rows.set(key, row = this.row());
      this.fill(row, item);
      if (row.element === at) at = at.nextElementSibling;
      else this.body.insertBefore(row.element, at);
    }
    for (const key of gone) {
      this.rows.get(key).element.remove();
      this.rows.delete(key);
    }
    this.none.hidden = items.length > 0;
    this.body.parentElement.hidden = items.length === 0;
  }

  row() {
    const row = { element: document.createElement('tr'), item: null };
    row.cells = this.columns.map((c) => {
      const cell = document.createElement(c.name ? 'th' : 'td');
      if (c.name) cell.scope = 'row';
      if (c.head) cell.dataset.head = c.head;
      cell.className = classOf(c);
      let inner = document.createElement('span');
      if (c.button) {
        inner = document.createElement('button');
        inner.className = 'quiet small';
        inner.textContent = c.button;
        inner.addEventListener('click', () => c.press(row.item));
      }
      cell.append(inner);
      if (c.note) cell.append(document.createElement('small'));
      row.element.append(cell);
      return inner;
    });
    return row;
  }

  fill(row, item) {
    row.item = item;
    this.columns.forEach((c, i) => {
      const inner = row.cells[i];
      if (c.button) {
        inner.hidden = !c.shown();
        inner.setAttribute('aria-label', c.label(item));
        return;
      }
      const text = c.text(item);
      if (inner.textContent !== text) inner.textContent = text;
      inner.parentElement.classList.toggle('empty', text === '');
      if (c.note) inner.nextSibling.textContent = c.note(item);
      inner.className = c.pill ? `pill ${c.pill(item)}` : c.bad?.(item) ? 'bad' : '';
    });
  }
}
