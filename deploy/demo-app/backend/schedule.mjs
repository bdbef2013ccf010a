// Things to do at times to come, earliest first: a binary heap. Those of the same time come in the order they were added.

export class Schedule {
  #heap = [];
  #added = 0;

  get size() {
    return this.#heap.length;
  }

  add(atMs, item) {
    const heap = this.#heap;
    let at = heap.push({ atMs, order: this.#added++, item }) - 1;
    for (let parent = (at - 1) >> 1; at > 0 && this.#before(at, parent); parent = (at - 1) >> 1) {
      this.#swap(at, parent);
      at = parent;
    }
  }

  /** The earliest item that is due at `nowMs`, with its time; undefined if there is none. */
  take(nowMs) {
    const heap = this.#heap;
    if (heap.length === 0 || heap[0].atMs > nowMs) return undefined;
    this.#swap(0, heap.length - 1);
    const { atMs, item } = heap.pop();
    this.#sink();
    return { atMs, item };
  }

  #sink() {
    const size = this.#heap.length;
    for (let at = 0; ; ) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) if (child < size && this.#before(child, least)) least = child;
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #before(a, b) {
    const [left, right] = [this.#heap[a], this.#heap[b]];
    return left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order);
  }

  #swap(a, b) {
    [this.#heap[a], this.#heap[b]] = [this.#heap[b], this.#heap[a]];
  }
}
