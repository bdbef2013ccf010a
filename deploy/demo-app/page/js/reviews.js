// The manual-review queue: what needs a decision, soonest due first. Draws what it is given.

import { titleOf } from './board.js';
import { byId, element, setAttribute, setText } from './dom.js';
import { due, elapsed, words } from './format.js';
import { LongList } from './list.js';

const keys = { c: 'claim', t: 'take', r: 'release', u: 'undo', d: 'decide' };
const labels = { claim: 'Claim', take: 'Take over', decide: 'Decide', release: 'Release', undo: 'Undo release' };

export class Reviews {
  #list;
  #now = 0;
  #shown = new Map(); // key -> review

  /** `open(taskId)` shows a task. `may(review)` is {may, busy}, commands.js; `act(act, review, choice)` does one of them. */
  constructor(names, { open, may, act }) {
    Object.assign(this, { names, open, may, act });
    byId('reviews').addEventListener('keydown', (event) => this.#pressed(event));
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
    this.#shown = new Map(list.map((review) => [review.key, review]));
    setText(byId('count-reviews'), !known ? '–' : list.length === reviews.length ? reviews.length : `${list.length} of ${reviews.length}`);
    setAttribute(byId('reviews'), 'data-empty', !known ? 'Loading …' : reviews.length ? 'None of these is looked for.' : 'No task needs a decision.');
    const life = list.some(({ version }) => version) ? '' : null;
    if ((life === '') !== byId('reviews').hasAttribute('data-life')) this.#list.measureAgain();
    setAttribute(byId('reviews'), 'data-life', life);
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
      holder: element('span', { class: 'review-holder' }),
    };
    const buttons = Object.fromEntries(Object.entries(keys).map(([key, act]) => [act, element('button', {
      type: 'button', class: 'action', 'data-act': act, 'aria-keyshortcuts': key, title: `${labels[act]} (${key})`,
      click: ({ currentTarget }) => this.#do(act, currentTarget),
    }, labels[act])]));
    parts.actions = element('span', { class: 'review-actions' }, ...Object.values(buttons));
    const node = element('li', { class: 'review' },
      element('div', { class: 'review-head' }, parts.title, parts.age),
      element('div', { class: 'chips' }, parts.priority, parts.queue, parts.reason),
      element('div', { class: 'review-foot' }, parts.where, parts.due),
      element('div', { class: 'review-foot review-act' }, parts.holder, parts.actions));
    node.parts = { ...parts, buttons };
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
    this.#actions(node, review);
  }

  #actions(node, review) {
    const { parts } = node;
    const { may, busy } = this.may(review);
    setAttribute(node, 'data-state', review.state);
    setAttribute(node, 'data-version', review.version);
    setAttribute(node, 'aria-busy', busy);
    setText(parts.holder, busy ? 'On its way …' : review.by ? `${this.names.user(review.by)} has it` : '');
    const focused = parts.actions.contains(document.activeElement) ? document.activeElement : null;
    for (const [act, button] of Object.entries(parts.buttons)) button.hidden = !may.includes(act);
    if (focused?.hidden) parts.title.focus({ preventScroll: true });
  }

  #pressed(event) {
    const act = keys[event.key];
    if (!act || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.#do(act, event.target);
  }

  #do(act, target) {
    const review = this.#shown.get(target.closest('li')?.dataset.key);
    if (review && this.may(review).may.includes(act)) this.act(act, review);
  }
}
