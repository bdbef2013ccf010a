// The task board: three columns of cards. Draws what it is given; knows no socket.

import { byId, element, icon, setAttribute, setText } from './dom.js';
import { duration, elapsed, money, percent, words } from './format.js';
import { LongList } from './list.js';
import { rank } from './task.js';

const columns = ['waiting', 'running', 'finished'];
const emptyTexts = { waiting: 'No task waits.', running: 'Nothing runs at the moment.', finished: 'Nothing has finished lately.' };

export class Board {
  #lists;
  #now = 0;

  /** `names` turns ids into names; `open(taskId)` is called for a card that is chosen. */
  constructor(names, open) {
    this.names = names;
    this.open = open;
    this.#lists = Object.fromEntries(columns.map((name) => [name, new LongList(byId(`cards-${name}`), {
      gap: 8,
      key: (task) => task.taskId,
      create: (task) => this.#create(task),
      update: (node, task) => this.#update(node.parts, node, task),
    })]));
    byId('board').addEventListener('keydown', (event) => sideways(event));
  }

  /** `shown` is the store's; `wanted(task)` tells which of it. Returns how many tasks are not wanted. */
  draw(shown, known, wanted, now) {
    this.#now = now;
    let hidden = 0;
    for (const name of columns) {
      const all = shown[name];
      const list = all.filter(wanted);
      hidden += all.length - list.length;
      setText(byId(`count-${name}`), !known ? '–' : list.length === all.length ? all.length : `${list.length} of ${all.length}`);
      setAttribute(byId(`cards-${name}`), 'data-empty', !known ? 'Loading …' : all.length ? 'None of these is looked for.' : emptyTexts[name]);
      this.#lists[name].draw(list);
    }
    return hidden;
  }

  #create(task) {
    const parts = {
      icon: element('span', { class: 'card-icon', title: words(task.type) }, icon(task.type ?? 'extraction')),
      title: element('span', { class: 'card-title' }),
      badge: element('span', { class: 'badge' }),
      sub: element('span', { class: 'card-sub' }),
      bar: element('span', { class: 'progress', role: 'progressbar', 'aria-valuemin': 0, 'aria-valuemax': 100 }, element('span')),
      left: element('span'),
      right: element('span', { class: 'number' }),
    };
    const button = element('button', { type: 'button', class: 'card-button', click: () => this.open(task.taskId) },
      element('span', { class: 'card-head' }, parts.icon, parts.title, parts.badge),
      parts.sub, parts.bar,
      element('span', { class: 'card-foot' }, parts.left, parts.right));
    const node = element('li', { class: 'card' }, button);
    node.parts = parts;
    return node;
  }

  #update(parts, node, task) {
    setAttribute(node, 'data-phase', task.phase);
    setAttribute(node, 'data-task', task.taskId);
    const title = titleOf(task);
    setText(parts.title, title);
    setAttribute(parts.title, 'title', title);
    this.#badge(parts.badge, task);
    setText(parts.sub, `${words(task.type)} · ${this.names.project(task.projectId)} · ${this.names.user(task.userId)}`);
    const running = task.phase === 'running';
    parts.bar.hidden = !running;
    if (running) {
      const value = Math.round(task.progress ?? 0);
      setAttribute(parts.bar, 'aria-valuenow', value);
      setAttribute(parts.bar, 'aria-label', `${title}: ${value} %`);
      parts.bar.firstElementChild.style.setProperty('width', `${Math.max(2, value)}%`);
    }
    setText(parts.left, left(task));
    setText(parts.right, right(task, this.#now));
  }

  #badge(badge, task) {
    const [kind, text] =
      task.review?.decision ? ['completed', words(task.review.decision)]
      : task.review ? ['review', `Review: ${words(task.review.queue).toLowerCase()}`]
      : task.phase === 'failed' ? ['failed', 'Failed']
      : task.phase === 'cancelled' ? ['cancelled', 'Cancelled']
      : task.phase === 'completed' ? ['completed', 'Completed']
      : rank(task.priority) < 2 ? [task.priority, words(task.priority)]
      : ['', ''];
    setAttribute(badge, 'data-kind', kind);
    setText(badge, text);
    badge.hidden = text === '';
  }
}

/** What people call a task or a review. */
export function titleOf({ title, more, type, taskId }) {
  if (title) return title + (more > 0 ? ` +${more}` : '');
  return `${words(type ?? 'task')} ${String(taskId).slice(0, 8)}`;
}

/** Left and right: to the column beside. */
function sideways(event) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const from = columns.findIndex((name) => byId(`cards-${name}`).contains(event.target));
  if (!step || from < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  for (let to = from + step; to >= 0 && to < columns.length; to += step) {
    const button = byId(`cards-${columns[to]}`).querySelector('button[tabindex="0"]');
    if (button) return button.focus();
  }
}

function left(task) {
  switch (task.phase) {
    case 'running':
      return `${words(task.stage ?? 'working')}${task.attempt > 1 ? ` · attempt ${task.attempt}` : ''} · ${Math.round(task.progress ?? 0)} %`;
    case 'completed': {
      const parts = [typeof task.confidence === 'number' ? `confidence ${percent(task.confidence)}` : null, money(task.cost)];
      return parts.filter(Boolean).join(' · ');
    }
    case 'failed':
      return task.error ? words(task.error.code).toLowerCase() : 'failed';
    default:
      return words(task.note).toLowerCase();
  }
}

function right(task, now) {
  if (task.phase === 'waiting') return task.createdAt === null ? '' : elapsed(now - task.createdAt);
  if (task.phase === 'running') return task.startedAt === null ? '' : elapsed(now - task.startedAt);
  return task.durationMs ? duration(task.durationMs) : '';
}
