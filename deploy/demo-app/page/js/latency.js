// Measures: how long events take to the page, and how many come per second. Pure.

const window = 240; // samples that the percentiles are of
const seconds = 60; // shown by the sparklines

export class Measures {
  #samples = [];
  #perSecond = new Array(seconds).fill(0);
  #latencyOfSecond = new Array(seconds).fill(null);
  #second = null;
  total = 0;

  clear() {
    this.#samples = [];
    this.#perSecond.fill(0);
    this.#latencyOfSecond.fill(null);
    this.#second = null;
    this.total = 0;
  }

  /** `latencyMs` null: it says nothing about latency, e.g. it was missed and given later. */
  add(nowMs, latencyMs) {
    this.advance(nowMs);
    this.total += 1;
    this.#perSecond[seconds - 1] += 1;
    if (latencyMs === null) return;
    // Clocks of two machines may differ by a little; a negative latency is none.
    const sample = Math.max(0, latencyMs);
    this.#samples.push(sample);
    if (this.#samples.length > window) this.#samples.shift();
    const worst = this.#latencyOfSecond[seconds - 1];
    this.#latencyOfSecond[seconds - 1] = worst === null ? sample : Math.max(worst, sample);
  }

  /** Moves the seconds along; also called when nothing comes. */
  advance(nowMs) {
    const second = Math.floor(nowMs / 1000);
    this.#second ??= second;
    for (let steps = Math.min(seconds, second - this.#second); steps > 0; steps--) {
      this.#perSecond.shift();
      this.#perSecond.push(0);
      this.#latencyOfSecond.shift();
      this.#latencyOfSecond.push(null);
    }
    this.#second = Math.max(this.#second, second);
  }

  /** Of the last five whole seconds. */
  rate() {
    return this.#perSecond.slice(-6, -1).reduce((sum, count) => sum + count, 0) / 5;
  }

  percentile(fraction) {
    if (this.#samples.length === 0) return null;
    const sorted = [...this.#samples].sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(fraction * sorted.length))];
  }

  get rates() {
    return this.#perSecond.slice(0, -1);
  }

  get latencies() {
    return this.#latencyOfSecond.slice(0, -1);
  }
}

/** An SVG path of the values, lowest 0, as an area; gaps (null) stay at the value before. */
export function sparkline(values, width, height, floor) {
  const top = Math.max(floor, ...values.map((value) => value ?? 0));
  let last = 0;
  const points = values.map((value, index) => {
    last = value ?? last;
    return `${((index / (values.length - 1)) * width).toFixed(1)} ${(height - 1 - (last / top) * (height - 3)).toFixed(1)}`;
  });
  return `M0 ${height}L${points.join('L')}L${width} ${height}Z`;
}
