const classOf = (column) => ['number', 'long', 'wide', 'faint', 'lead', 'minor'].filter((name) => column[name]).join(' ');

/**
 * A table that keeps its rows by key and updates them in place, so that focus and selection
 * survive. empty is the text below a table without rows.
 *
 * A column is { head, text(item) }. Optional are number (right-aligned), name (the cell is the
 * header of its row), long (can wrap anywhere), faint, note(item) for a second line, and
 * bad(item) or pill(item) for the style. A column of buttons is { head, button, label(item),
 * press(item), shown(item) }. wide cells get what the others leave.
 *
 * On narrow screens each row of a table with the class cards is two lines: the name, lead cells and
 * buttons, then the others, where data-head labels numbers. minor cells are only there if they are bad,
 * and those with idle(item) if that is false; wide and faint cells have a line of their own.
 */
export class Table {
  constructor(table, columns, { key, empty = '' }) {
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
    this.empty = document.createElement('p');
    this.empty.className = 'none';
    this.empty.textContent = empty;
    table.after(this.empty);
  }

  /** Shows the items in their order. */
  show(items) {
    const shown = new Set(items.map(this.key));
    for (const key of [...this.rows.keys()]) if (!shown.has(key)) this.remove(key);
    let next = this.body.firstElementChild;
    for (const item of items) {
      const key = this.key(item);
      let row = this.rows.get(key);
      if (!row) this.rows.set(key, row = this.createRow());
      this.updateRow(row, item);
      if (row.element === next) next = next.nextElementSibling;
      else this.body.insertBefore(row.element, next);
    }
    this.empty.hidden = items.length > 0;
    this.body.parentElement.hidden = items.length === 0;
  }

  /** Removes a row. If it has the focus, the next row gets it, or else the heading of the table. */
  remove(key) {
    const { element } = this.rows.get(key), focused = element.contains(document.activeElement);
    const near = element.nextElementSibling ?? element.previousElementSibling;
    element.remove();
    this.rows.delete(key);
    if (!focused) return;
    const heading = this.empty.closest('section')?.querySelector('h2');
    if (heading) heading.tabIndex = -1;
    (near?.querySelector('button:not([hidden])') ?? heading)?.focus();
  }

  createRow() {
    const row = { element: document.createElement('tr'), item: null };
    row.cells = this.columns.map((c) => {
      const cell = document.createElement(c.name ? 'th' : 'td');
      if (c.name) cell.scope = 'row';
      if (c.head) cell.dataset.head = c.head;
      cell.className = classOf(c);
      let content = document.createElement('span');
      if (c.button) {
        content = document.createElement('button');
        content.className = 'quiet small';
        content.textContent = c.button;
        content.addEventListener('click', () => c.press(row.item));
      }
      cell.append(content);
      if (c.note) cell.append(document.createElement('small'));
      row.element.append(cell);
      return content;
    });
    return row;
  }

  updateRow(row, item) {
    row.item = item;
    this.columns.forEach((c, i) => {
      const content = row.cells[i];
      if (c.button) {
        content.hidden = !c.shown(item);
        content.setAttribute('aria-label', c.label(item));
        return;
      }
      const text = c.text(item);
      if (content.textContent !== text) content.textContent = text;
      content.parentElement.classList.toggle('empty', text === '');
      if (c.idle) content.parentElement.classList.toggle('idle', c.idle(item));
      if (c.note) content.nextSibling.textContent = c.note(item);
      content.className = c.pill ? `pill ${c.pill(item)}` : c.bad?.(item) ? 'bad' : '';
    });
  }
}
