// The task board: three columns of cards. Draws what it is given; knows no socket.

import { byId, element, icon, reconcile, setAttribute, setText } from './dom.js';
import { duration, money, percent, words } from './format.js';
import { rank } from './store.js';

const shown = { waiting: 24, running: 40, finished: 30 };
const columnOf = { waiting: 'waiting', running: 'running', completed: 'finished', failed: 'finished', cancelled: 'finished' };

export class Board {
  /** `names` turns ids into names; `open(taskId)` is called for a card that is chosen. */
  constructor(names, open) {
    this.names = names;
    this.open = open;
  }

  draw(tasks, now) {
    const columns = { waiting: [], running: [], finished: [] };
    for (const task of tasks) columns[columnOf[task.phase]].push(task);
    columns.waiting.sort((a, b) => rank(a.priority) - rank(b.priority) || a.firstAt - b.firstAt);
    columns.running.sort((a, b) => (a.startedAt ?? a.firstAt) - (b.startedAt ?? b.firstAt));
    columns.finished.sort((a, b) => (b.endedAt ?? b.changedAt) - (a.endedAt ?? a.changedAt));
    for (const [name, list] of Object.entries(columns)) {
      setText(byId(`count-${name}`), list.length);
      reconcile(byId(`cards-${name}`), list.slice(0, shown[name]), {
        key: (task) => task.taskId,
        create: (task) => this.#create(task),
        update: (node, task) => this.#update(node.parts, node, task, now),
      });
    }
    return columns;
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

  #update(parts, node, task, now) {
    setAttribute(node, 'data-phase', task.phase);
    setAttribute(node, 'data-task', task.taskId);
    setText(parts.title, task.title ? task.title + (task.more ? ` +${task.more}` : '') : `${words(task.type)} ${task.taskId.slice(0, 8)}`);
    this.#badge(parts.badge, task);
    setText(parts.sub, `${words(task.type)} · ${this.names.project(task.projectId)} · ${this.names.user(task.userId)}`);
    const running = task.phase === 'running';
    parts.bar.hidden = !running;
    if (running) {
      const value = Math.round(task.progress ?? 0);
      setAttribute(parts.bar, 'aria-valuenow', value);
      setAttribute(parts.bar, 'aria-label', `${parts.title.textContent}: ${value} %`);
      parts.bar.firstElementChild.style.setProperty('width', `${Math.max(2, value)}%`);
    }
    setText(parts.left, left(task));
    setText(parts.right, right(task, now));
  }

  #badge(badge, task) {
    const [kind, text] =
      task.review ? ['review', task.review.decision ? words(task.review.decision) : `Review: ${task.review.queue}`]
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

function left(task) {
  switch (task.phase) {
    case 'running':
      return `${words(task.stage ?? 'working')}${task.attempt > 1 ? ` · attempt ${task.attempt}` : ''} · ${Math.round(task.progress ?? 0)} %`;
    case 'completed': {
      const confidence = task.result?.confidence;
      const parts = [typeof confidence === 'number' ? `confidence ${percent(confidence)}` : null, money(task.result?.cost)];
      return parts.filter(Boolean).join(' · ');
    }
    case 'failed':
      return task.error ? words(task.error.code).toLowerCase() : 'failed';
    default:
      return task.note;
  }
}

function right(task, now) {
  if (task.phase === 'waiting') return duration(now - (task.createdAt ?? task.firstAt));
  if (task.phase === 'running') return duration(now - (task.startedAt ?? task.firstAt));
  return task.durationMs ? duration(task.durationMs) : '';
}
