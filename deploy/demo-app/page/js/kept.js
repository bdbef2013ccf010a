// What a page leaves to itself for a reload: session, cursor and board, of one moment (deploy/docs/state.md). It is taken
// once: a tab that is a copy of another begins with a session of its own.

const name = 'smartstack.page';
const version = 1;

/** What was kept for `who`, or null. */
export function takeKept(who) {
  try {
    const kept = JSON.parse(sessionStorage.getItem(name));
    sessionStorage.removeItem(name);
    return kept?.version === version && kept.who === who ? kept : null;
  } catch {
    return null; // storage may be forbidden, and what is there may be anybody's
  }
}

export function keep(who, kept) {
  try {
    sessionStorage.setItem(name, JSON.stringify({ version, who, ...kept }));
  } catch {
    // forbidden, or more than there is room for: the page that comes asks for the state
  }
}
