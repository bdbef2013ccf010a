// One task in a dialog: its facts and everything that happened to it. While it is open the page follows the task's own
// room as well, as a page that shows a single task would.

import { byId, element, setText } from './dom.js';
import { duration, money, percent, timeOfDay, words } from './format.js';

export class Details {
  #taskId = null;
  #drawn = null;

  constructor(names, connection) {
    this.names = names;
    this.connection = connection;
    this.dialog = byId('details');
    this.dialog.addEventListener('close', () => this.#left());
    this.dialog.addEventListener('click', (event) => {
      if (event.target === this.dialog) this.dialog.close(); // the backdrop
    });
  }

  async open(taskId) {
    this.#taskId = taskId;
    this.#drawn = null;
    this.dialog.showModal();
    const room = `task:${taskId}`;
    setText(byId('details-room'), `Joining ${room} …`);
    const answer = await this.connection.room('subscribe', room);
    if (this.#taskId === taskId)
      setText(byId('details-room'), answer?.ok ? `Following ${room}` : `Not following ${room}: ${answer?.error?.message ?? 'no answer'}`);
  }

  draw(tasks, now) {
    if (!this.dialog.open) return;
    const task = tasks.get(this.#taskId);
    if (!task) {
      setText(byId('details-title'), `Task ${this.#taskId?.slice(0, 8)}`);
      byId('details-facts').replaceChildren();
      byId('details-history').replaceChildren(element('li', {}, 'Nothing has been heard of this task since the page was opened.'));
      return;
    }
    const state = `${task.history.length}/${task.changedAt}/${task.phase === 'running' ? Math.floor(now / 1000) : ''}`;
    if (state === this.#drawn) return;
    this.#drawn = state;
    setText(byId('details-title'), task.title ?? `${words(task.type)} ${task.taskId.slice(0, 8)}`);
    this.#facts(task, now);
    byId('details-history').replaceChildren(...[...task.history].reverse().map((entry) => this.#entry(entry)));
  }

  #facts(task, now) {
    const worked = task.durationMs ?? (task.startedAt ? now - task.startedAt : null);
    const facts = {
      State: words(task.phase) + (task.phase === 'running' ? `, ${Math.round(task.progress ?? 0)} %` : ''),
      Kind: words(task.type),
      Priority: words(task.priority),
      Project: this.names.project(task.projectId),
      Owner: this.names.user(task.userId),
      Duration: duration(worked),
      Model: task.model,
      Confidence: typeof task.result?.confidence === 'number' ? percent(task.result.confidence) : null,
      Cost: money(task.result?.cost),
      Error: task.error?.message,
    };
    byId('details-facts').replaceChildren(...Object.entries(facts).filter(([, value]) => value)
      .map(([name, value]) => element('div', {}, element('dt', {}, name), element('dd', {}, value))));
  }

  #entry({ at, event, rules, data }) {
    return element('li', {},
      element('span', { class: 'history-head' },
        element('time', { class: 'number quiet', datetime: new Date(at).toISOString() }, timeOfDay(at)), element('b', {}, event)),
      element('span', { class: 'quiet' }, brief(event, data)),
      element('span', { class: 'rules' }, ...rules.map((rule) => element('span', { class: 'reason' }, rule))));
  }

  async #left() {
    const taskId = this.#taskId;
    this.#taskId = null;
    if (taskId) await this.connection.room('unsubscribe', `task:${taskId}`);
  }
}

function brief(event, data = {}) {
  switch (event) {
    case 'task.created':
      return (data.documents ?? []).map(({ name }) => name).join(', ');
    case 'task.queued':
      return `${data.queue}, place ${data.position}`;
    case 'task.started':
      return `${data.model}, attempt ${data.attempt}, on ${data.worker}`;
    case 'task.progress':
      return `${data.progress} %, ${data.stage}`;
    case 'task.completed':
      return `in ${duration(data.durationMs)}, confidence ${percent(data.confidence ?? 0)}`;
    case 'task.failed':
      return `${data.error?.message ?? ''}${data.final ? '' : ', will be tried again'}`;
    case 'review.required':
      return `${data.review?.queue}: ${(data.review?.reasons ?? []).join(', ')}`;
    case 'review.completed':
      return `${data.review?.decision} after ${duration(data.review?.durationMs)}`;
    default:
      return data.reason ?? '';
  }
}
