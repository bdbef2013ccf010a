// Values as people read them.

export function duration(ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return '–';
  if (ms < 0) return '0.0 s';
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${String(seconds % 60).padStart(2, '0')} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Of a clock that runs: whole seconds, so that it moves once in a second and never back. */
export function elapsed(ms) {
  if (ms === null || Number.isNaN(ms)) return '';
  const seconds = Math.max(0, Math.floor(ms / 1000));
  return seconds < 60 ? `${seconds} s` : duration(seconds * 1000);
}

export function latency(ms) {
  if (ms === null || ms === undefined) return '–';
  return `${Math.round(ms)} ms`;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' });

export function timeOfDay(ms) {
  return Number.isNaN(ms) ? '–' : clock.format(ms);
}

const day = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });

/** With its day, if that is another than `now`'s. */
export function timeAndDay(ms, now) {
  return day.format(ms) === day.format(now) ? timeOfDay(ms) : `${day.format(ms)}, ${timeOfDay(ms)}`;
}

const names = new Map([['pii', 'Personal data']]); // what does not say itself
const abbreviations = /\b(ocr)\b/gi;

/** low_confidence -> Low confidence */
export function words(text) {
  if (names.has(text)) return names.get(text);
  const spaced = String(text ?? '').replace(/[_-]+/g, ' ').trim().replace(abbreviations, (word) => word.toUpperCase());
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}

export function percent(fraction) {
  return `${Math.round(fraction * 100)} %`;
}

export function money(cost) {
  return cost && typeof cost.amount === 'number' ? `${cost.amount.toFixed(2)} ${cost.currency ?? ''}`.trim() : null;
}

export function due(ms, now) {
  const left = ms - now;
  return left < 0 ? `overdue by ${duration(-left)}` : `due in ${left < 90_000 ? duration(left) : coarse(left)}`;
}

function coarse(ms) {
  const minutes = Math.round(ms / 60_000);
  return minutes < 120 ? `${minutes} min` : minutes < 2880 ? `${Math.round(minutes / 60)} h` : `${Math.round(minutes / 1440)} days`;
}
