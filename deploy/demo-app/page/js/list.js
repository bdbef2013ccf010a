// A list of any length of which only what can be seen is in the document. All rows are equally high. One stop of the Tab
// key; arrows, Page Up, Page Down, Home and End go from row to row.

import { reconcile, setAttribute } from './dom.js';

const beyond = 4; // rows that are ready above and below what can be seen
const pageRows = 5;

export class LongList {
  #list;
  #scroller;
  #parts;
  #gap;
  #items = [];
  #known = null; // keys of the last drawing; null: nothing was drawn
  #places = new Map(); // key -> index
  #rowHeight = 0;
  #active = null; // key of the row that Tab goes to
  #going = false; // to the active row: what has the focus on the way does not count

  /**
   * `list` is an ul in an element that scrolls. `key(item)` names a row, `create(item)` makes its li, `update(li, item)`
   * brings that up to date. The first button in it has the focus of the row.
   */
  constructor(list, { gap = 0, ...parts }) {
    this.#list = list;
    this.#scroller = list.parentElement;
    this.#gap = gap;
    this.#parts = parts;
    this.#scroller.addEventListener('scroll', () => this.#render(), { passive: true });
    list.addEventListener('keydown', (event) => this.#pressed(event));
    list.addEventListener('focusin', ({ target }) => this.#focused(target));
    new ResizeObserver(() => {
      this.#rowHeight = 0;
      this.#render();
    }).observe(this.#scroller);
  }

  /** Rows look otherwise from now on. */
  measureAgain() {
    this.#rowHeight = 0;
  }

  draw(items) {
    const held = this.#hold();
    this.#items = items;
    this.#places = new Map(items.map((item, index) => [this.#parts.key(item), index]));
    this.#size();
    this.#release(held);
    this.#render();
    this.#known = new Set(this.#places.keys());
  }

  /** Which row must stay where it is on the screen: that with the focus, or the first that is seen of a list that was scrolled. */
  #hold() {
    const height = this.#rowHeight;
    const { scrollTop } = this.#scroller;
    if (!height || (scrollTop === 0 && !this.#list.contains(document.activeElement))) return null;
    const first = this.#list.contains(document.activeElement) ? this.#places.get(this.#active) ?? 0 : Math.floor(scrollTop / height);
    return { keys: this.#items.slice(first, first + 2 * pageRows).map(this.#parts.key), offset: scrollTop - first * height };
  }

  #release(held) {
    const key = held?.keys.find((name) => this.#places.has(name));
    if (key === undefined) return;
    const top = Math.max(0, this.#places.get(key) * this.#rowHeight + held.offset);
    if (Math.abs(top - this.#scroller.scrollTop) >= 1) this.#scroller.scrollTop = top;
  }

  #size() {
    if (!this.#rowHeight && this.#items.length) this.#rowHeight = this.#measure();
    this.#list.style.height = this.#items.length ? `${this.#items.length * this.#rowHeight - this.#gap}px` : '';
  }

  #measure() {
    const node = this.#list.firstElementChild;
    if (node) return node.offsetHeight + this.#gap;
    const probe = this.#parts.create(this.#items[0]);
    this.#list.append(probe);
    const height = probe.offsetHeight + this.#gap;
    probe.remove();
    return height;
  }

  #render() {
    if (!this.#rowHeight) this.#size();
    const height = this.#rowHeight || 1;
    const { scrollTop, clientHeight } = this.#scroller;
    const first = Math.max(0, Math.floor(scrollTop / height) - beyond);
    const last = Math.min(this.#items.length, Math.ceil((scrollTop + clientHeight) / height) + beyond);
    const rows = this.#items.slice(first, last);
    if (!this.#places.has(this.#active)) this.#active = rows.length ? this.#parts.key(this.#items[Math.min(this.#items.length - 1, Math.ceil(scrollTop / height))]) : null;
    const active = this.#places.get(this.#active);
    // The row with the focus stays in the document wherever it is: else the focus would be lost.
    if (active < first) rows.unshift(this.#items[active]);
    if (active >= last) rows.push(this.#items[active]);
    reconcile(this.#list, rows, {
      key: this.#parts.key,
      create: (item) => this.#create(item),
      update: (node, item) => this.#update(node, item),
    });
  }

  #create(item) {
    const node = this.#parts.create(item);
    const isNew = this.#known && !this.#known.has(this.#parts.key(item));
    if (isNew) node.classList.add('new');
    return node;
  }

  #update(node, item) {
    const key = this.#parts.key(item);
    const place = this.#places.get(key);
    const top = `${place * this.#rowHeight}px`;
    if (node.style.top !== top) node.style.top = top;
    setAttribute(node, 'aria-posinset', place + 1);
    setAttribute(node, 'aria-setsize', this.#items.length);
    setAttribute(node, 'data-key', key);
    this.#parts.update(node, item);
    for (const button of node.querySelectorAll('button')) setAttribute(button, 'tabindex', key === this.#active ? 0 : -1);
  }

  #focused(target) {
    const key = target.closest('li')?.dataset.key;
    if (key === undefined || key === this.#active || this.#going) return;
    this.#active = key;
    this.#render();
  }

  #pressed(event) {
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: pageRows, PageUp: -pageRows, Home: -Infinity, End: Infinity };
    const step = steps[event.key];
    if (step === undefined || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const last = this.#items.length - 1;
    if (last >= 0) this.#go(Math.max(0, Math.min(last, (this.#places.get(this.#active) ?? 0) + step)));
  }

  #go(place) {
    const height = this.#rowHeight;
    const { scrollTop, clientHeight } = this.#scroller;
    this.#active = this.#parts.key(this.#items[place]);
    if (place * height < scrollTop) this.#scroller.scrollTop = place * height;
    else if ((place + 1) * height > scrollTop + clientHeight) this.#scroller.scrollTop = (place + 1) * height - clientHeight;
    this.#going = true;
    this.#render();
    this.#going = false;
    [...this.#list.children].find((node) => node.dataset.key === this.#active)?.querySelector('button')?.focus({ preventScroll: true });
  }
}
