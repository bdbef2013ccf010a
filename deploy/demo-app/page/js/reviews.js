// The manual-review queue: what needs a decision, most urgent first. Draws what it is given.

import { byId, element, reconcile, setAttribute, setText } from './dom.js';
import { due, duration, words } from './format.js';
import { rank } from './store.js';

const shown = 25;

export class Reviews {
  constructor(names, { open, dismiss }) {
    this.names = names;
    this.open = open;
    this.dismiss = dismiss;
  }

  /** Returns how many are open. */
  draw(reviews, tasks, now) {
    const sorted = [...reviews].sort((a, b) =>
      Number(Boolean(a.decision)) - Number(Boolean(b.decision)) || rank(a.priority) - rank(b.priority) || b.at - a.at);
    reconcile(byId('reviews'), sorted.slice(0, shown), {
      key: (review) => review.key,
      create: (review) => this.#create(review),
      update: (node, review) => this.#update(node, review, tasks.get(review.taskId), now),
    });
    const open = sorted.filter((review) => !review.decision).length;
    setText(byId('count-reviews'), open);
    return open;
  }

  #create(review) {
    const parts = {
      priority: element('span', { class: 'badge' }),
      queue: element('span', { class: 'queue' }, review.queue),
      age: element('span', { class: 'number quiet' }),
      title: element('button', { type: 'button', class: 'review-title', click: () => this.open(review.taskId) }),
      reasons: element('span', { class: 'reasons' }),
      due: element('span', { class: 'quiet' }),
      dismiss: element('button', { type: 'button', class: 'link-button', click: () => this.dismiss(review.key) }, 'Dismiss'),
    };
    const node = element('li', { class: 'review', 'data-queue': review.queue, 'data-task': review.taskId },
      element('div', { class: 'review-head' }, parts.title, parts.age),
      element('div', { class: 'chips' }, parts.priority, parts.queue, parts.reasons),
      element('div', { class: 'review-foot' }, parts.due, parts.dismiss));
    node.parts = parts;
    return node;
  }

  #update(node, review, task, now) {
    const { parts } = node;
    setAttribute(node, 'data-priority', review.priority);
    setAttribute(node, 'data-decided', review.decision);
    setAttribute(parts.priority, 'data-kind', review.priority);
    setText(parts.priority, words(review.priority));
    setText(parts.age, duration(now - review.at));
    const what = review.title ?? task?.title ?? review.data?.documents?.[0]?.name ?? `Task ${review.taskId.slice(0, 8)}`;
    setText(parts.title, what);
    setAttribute(parts.title, 'title', `Task ${review.taskId}`);
    this.#reasons(parts.reasons, review.reasons);
    const where = [this.names.tenant(review.tenantId), review.type ? words(review.type) : null].filter(Boolean).join(' · ');
    const when = review.decision ? words(review.decision) : review.dueAt ? due(review.dueAt, now) : '';
    setText(parts.due, [where, when].filter(Boolean).join(' · '));
    parts.dismiss.hidden = Boolean(review.decision);
    setAttribute(parts.dismiss, 'aria-label', `Dismiss ${what}`);
  }

  #reasons(node, reasons) {
    if (node.childElementCount === reasons.length) return;
    node.replaceChildren(...reasons.map((reason) => element('span', { class: 'reason' }, words(reason))));
  }
}
