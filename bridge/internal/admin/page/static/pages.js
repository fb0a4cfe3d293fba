// Where the operator is in a list of sessions that the bridge sends in pages.

export class Pages {
  search = '';
  sort = 'session';
  next = ''; // the cursor of the page after the one that is shown
  cursors = ['']; // of the pages up to the one that is shown

  get index() { return this.cursors.length - 1; }
  get first() { return this.index === 0; }

  /** Begins another list. */
  ask(search, sort) {
    Object.assign(this, { search, sort, next: '', cursors: [''] });
  }

  forward() {
    if (this.next) this.cursors.push(this.next);
    this.next = '';
  }

  back() {
    if (!this.first) this.cursors.pop();
  }

  /** Returns the path of the page. */
  path(limit) {
    const query = new URLSearchParams({ sort: this.sort, limit });
    if (this.search) query.set('search', this.search);
    if (!this.first) query.set('after', this.cursors.at(-1));
    return `/sessions?${query}`;
  }
}
