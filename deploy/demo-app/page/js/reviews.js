// The manual-review queue: what needs a decision, soonest due first. Draws what it is given.

import { titleOf } from './board.js';
import { byId, element, setAttribute, setText } from './dom.js';
import { due, elapsed, words } from './format.js';
import { LongList } from './list.js';

export class Reviews {
  #list;
  #now = 0;

  constructor(names, open) {
    this.names = names;
    this.open = open;
    this.#list = new LongList(byId('reviews'), {
      key: (review) => review.key,
      create: (review) => this.#create(review),
      update: (node, review) => this.#update(node, review),
    });
  }

  /** Returns how many of them are not wanted. */
  draw(reviews, known, wanted, now) {
    this.#now = now;
    const list = reviews.filter(wanted);
    setText(byId('count-reviews'), !known ? '–' : list.length === reviews.length ? reviews.length : `${list.length} of ${reviews.length}`);
    setAttribute(byId('reviews'), 'data-empty', !known ? 'Loading …' : reviews.length ? 'None of these is looked for.' : 'No task needs a decision.');
    this.#list.draw(list);
    return reviews.length - list.length;
  }

  #create(review) {
    const parts = {
      priority: element('span', { class: 'badge' }),
      queue: element('span', { class: 'queue' }),
      age: element('span', { class: 'number quiet' }),
      title: element('button', { type: 'button', class: 'review-title', click: () => this.open(review.taskId) }),
      reason: element('span', { class: 'reason' }),
      where: element('span', { class: 'review-where quiet' }),
      due: element('span', { class: 'review-due number' }),
      actions: element('span', { class: 'review-actions' }), // what a reviewer can do with it
    };
    const node = element('li', { class: 'review' },
      element('div', { class: 'review-head' }, parts.title, parts.age),
      element('div', { class: 'chips' }, parts.priority, parts.queue, parts.reason),
      element('div', { class: 'review-foot' }, parts.where, parts.due, parts.actions));
    node.parts = parts;
    return node;
  }

  #update(node, review) {
    const { parts } = node;
    setAttribute(node, 'data-priority', review.priority);
    setAttribute(node, 'data-queue', review.queue);
    setAttribute(node, 'data-task', review.taskId);
    setAttribute(parts.priority, 'data-kind', review.priority);
    setText(parts.priority, words(review.priority));
    setText(parts.queue, words(review.queue));
    setText(parts.reason, words(review.reason));
    setText(parts.age, elapsed(this.#now - review.at));
    const title = titleOf(review);
    setText(parts.title, title);
    setAttribute(parts.title, 'title', `${title}: task ${review.taskId}`);
    setText(parts.where, [words(review.type), this.names.project(review.projectId), this.names.user(review.userId)].filter(Boolean).join(' · '));
    setText(parts.due, review.dueAt === null ? '' : due(review.dueAt, this.#now));
    setAttribute(parts.due, 'data-late', review.dueAt !== null && review.dueAt < this.#now ? '' : null);
  }
}
