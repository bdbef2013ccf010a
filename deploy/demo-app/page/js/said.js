// What a backend's data says. It may be any JSON, and what a card cannot show is as if it were not there: one odd event must not
// keep the page from showing the others. Pure.

export const textOf = (value) => (typeof value === 'string' || typeof value === 'number' ? String(value) : null);
export const numberOf = (value) => (Number.isFinite(value) ? value : null);
export const listOf = (value) => (Array.isArray(value) ? value : []);
export const membersOf = (value) => (typeof value === 'object' && value !== null ? value : {});

/** Milliseconds since 1970, or null. */
export function instantOf(value) {
  const ms = typeof value === 'string' ? Date.parse(value) : NaN;
  return Number.isNaN(ms) ? null : ms;
}
