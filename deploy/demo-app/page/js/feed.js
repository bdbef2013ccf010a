// The notification feed, the short-lived toasts, and what is read out to those who do not see the page.

import { byId, element, reconcile, setText } from './dom.js';
import { timeOfDay } from './format.js';

const toastMs = 6000;
const toastsMax = 3;
const announceEveryMs = 4000;

export class Feed {
  draw(notices, leftOut) {
    setText(byId('feed-older'), leftOut ? `${leftOut} older: no longer kept here` : '');
    reconcile(byId('feed'), notices, {
      key: (notice) => notice.id,
      create: (notice) => element('li', { class: 'notice', 'data-severity': notice.severity },
        element('span', { class: 'notice-mark', 'aria-hidden': 'true' }),
        element('span', { class: 'notice-text' },
          element('span', { class: 'notice-title' }, element('span', { class: 'hidden' }, `${notice.severity}: `), notice.title),
          notice.body ? element('span', { class: 'quiet' }, notice.body) : null),
        element('time', { class: 'quiet number', datetime: new Date(notice.at).toISOString() }, timeOfDay(notice.at))),
      update: () => {},
    });
  }
}

/** A few words at the edge of the window. Everything it says stands in the feed too. */
export function toast(text, severity = 'info') {
  const box = byId('toasts');
  const node = element('div', { class: 'toast', 'data-severity': severity }, text);
  box.append(node);
  while (box.childElementCount > toastsMax) box.firstElementChild.remove();
  setTimeout(() => node.remove(), toastMs);
}

/** Reads out, but not more than one sentence every few seconds: the latest wins. */
export class Announcer {
  #pending = null;
  #timer = null;

  say(text) {
    this.#pending = text;
    this.#timer ??= setTimeout(() => this.#flush(), 300);
  }

  /** At once, interrupting: the connection was lost, a critical review. */
  alert(text) {
    setText(byId('alerts'), text);
  }

  #flush() {
    if (this.#pending) setText(byId('announcements'), this.#pending);
    this.#pending = null;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (this.#pending) this.say(this.#pending);
    }, announceEveryMs);
  }
}
