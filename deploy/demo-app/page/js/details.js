// One task in a dialog: its facts and everything that happened to it. While it is open the page follows the task's own
// room as well, as a page that shows a single task would, and asks for the room's past.

import { titleOf } from './board.js';
import { byId, element, setText } from './dom.js';
import { due, duration, elapsed, money, percent, timeOfDay, words } from './format.js';
import { listOf, membersOf, numberOf, textOf } from './said.js';
import { taskOf } from './task.js';

const pastMax = 100;

export class Details {
  #taskId = null;
  #happened = new Map(); // event id -> notification
  #changes = 0;
  #drawn = null;

  constructor(names, connection) {
    this.names = names;
    this.connection = connection;
    this.dialog = byId('details');
    this.dialog.addEventListener('close', () => this.#left());
    this.dialog.addEventListener('click', (event) => {
      if (event.target === this.dialog) this.dialog.close(); // the backdrop
    });
    connection.addEventListener('history', ({ detail }) => {
      if (detail.room === this.#room) this.take(detail.data);
    });
  }

  /** Null: none is shown. */
  get taskId() {
    return this.#taskId;
  }

  get #room() {
    return `task:${this.#taskId}`;
  }

  /** `done` is called when the gateway has answered. */
  open(taskId, done) {
    this.#taskId = taskId;
    this.#happened.clear();
    this.#drawn = null;
    if (!this.dialog.open) this.dialog.showModal();
    this.follow(done);
  }

  /** Joins the task's room; also anew, after the session was lost. */
  follow(done) {
    if (this.#taskId === null) return;
    const room = this.#room;
    setText(byId('details-room'), `Joining ${room} …`);
    this.connection.ask('subscribe', room, { last: pastMax }, (answer) => {
      if (room !== this.#room) return;
      const past = answer?.history?.complete === false ? `; what was before its last ${pastMax} updates, or long ago, is not shown` : '';
      setText(byId('details-room'), answer?.ok ? `Following ${room}${past}` : `Not following ${room}: ${answer?.error?.message ?? 'no answer'}`);
      done();
    });
  }

  /** A notification of any task. */
  take(notification) {
    const { taskStatus, reviewAlert, reviewUpdate: update } = notification;
    const about = taskStatus ?? reviewAlert ?? update;
    if (this.#taskId === null || about?.taskId !== this.#taskId || !update && notification.item?.removed && notification.item.key !== this.#taskId) return;
    const key = update ? `${update.id}.${update.version}` : taskStatus ? notification.eventId : reviewAlert.queue + reviewAlert.reason + notification.eventId;
    if (this.#happened.has(key)) return;
    this.#happened.set(key, notification);
    this.#changes += 1;
  }

  draw(tasks, now) {
    if (!this.dialog.open) return;
    const happened = [...this.#happened.values()].sort((a, b) => Date.parse(b.time) - Date.parse(a.time));
    const latest = happened.find(({ taskStatus }) => taskStatus);
    const task = tasks.get(this.#taskId) ?? (latest ? taskOf(latest) : null);
    const state = `${this.#changes}/${task?.at}/${task?.phase === 'running' ? Math.floor(now / 1000) : ''}`;
    if (state === this.#drawn) return;
    this.#drawn = state;
    setText(byId('details-title'), titleOf(task ?? { taskId: this.#taskId }));
    byId('details-facts').replaceChildren(...task ? this.#facts(task, now) : []);
    byId('details-history').replaceChildren(...happened.length
      ? happened.map((notification) => this.#entry(notification)) : [element('li', {}, 'Nothing is known of it any more.')]);
  }

  #facts(task, now) {
    const facts = {
      State: words(task.phase) + (task.phase === 'running' ? `, ${Math.round(task.progress ?? 0)} %` : ''),
      Kind: words(task.type),
      Priority: words(task.priority),
      Project: this.names.project(task.projectId),
      Owner: this.names.user(task.userId),
      Worked: task.phase === 'running' && task.startedAt !== null ? elapsed(now - task.startedAt) : task.durationMs ? duration(task.durationMs) : null,
      Model: task.model,
      Confidence: typeof task.confidence === 'number' ? percent(task.confidence) : null,
      Cost: money(task.cost),
      Error: task.error?.message,
      Review: task.review ? words(task.review.decision ?? `asked of ${task.review.queue}`) : null,
    };
    return Object.entries(facts).filter(([, value]) => value)
      .map(([name, value]) => element('div', {}, element('dt', {}, name), element('dd', {}, value)));
  }

  #entry({ time, taskStatus, reviewAlert, reviewUpdate, rules = [] }) {
    const at = Date.parse(time);
    const name = taskStatus?.event ?? (reviewAlert ? 'review.alert' : 'review.updated');
    const text = taskStatus ? brief(taskStatus.event, membersOf(taskStatus.data)) : reviewAlert ? briefAlert(reviewAlert, at) : this.#briefUpdate(reviewUpdate);
    return element('li', {},
      element('span', { class: 'history-head' },
        element('time', { class: 'number quiet', datetime: time }, timeOfDay(at)), element('b', {}, name)),
      element('span', { class: 'quiet' }, text),
      element('span', { class: 'rules' }, ...rules.map((rule) => element('span', { class: 'reason' }, rule))));
  }

  #briefUpdate({ queue, state, by, decision }) {
    return [words(queue), [decision ? `${state}: ${decision}` : state, by && `by ${this.names.user(by)}`].filter(Boolean).join(' ')].join(', ');
  }

  #left() {
    if (this.#taskId !== null) this.connection.ask('unsubscribe', this.#room);
    this.#taskId = null;
  }
}

function briefAlert({ queue, reason, priority, dueTime }, at) {
  return [`${words(queue)}: ${words(reason).toLowerCase()}`, `priority ${priority}`, dueTime ? due(Date.parse(dueTime), at) : null].filter(Boolean).join(', ');
}

function brief(event, data) {
  const said = (name) => textOf(data[name]) ?? '–';
  const review = membersOf(data.review);
  switch (event) {
    case 'task.created':
      return listOf(data.documents).map((document) => textOf(document?.name)).filter(Boolean).join(', ');
    case 'task.queued':
      return `${said('queue')}, place ${said('position')}`;
    case 'task.started':
      return `${said('model')}, attempt ${said('attempt')}, on ${said('worker')}`;
    case 'task.progress':
      return `${said('progress')} %, ${said('stage')}`;
    case 'task.completed':
      return `in ${duration(numberOf(data.durationMs))}, confidence ${percent(numberOf(data.confidence) ?? 0)}`;
    case 'task.failed':
      return `${textOf(data.error?.message) ?? ''}${data.final ? '' : ', will be tried again'}`;
    case 'review.required':
      return `${textOf(review.queue) ?? '–'}: ${listOf(review.reasons).map(textOf).filter(Boolean).join(', ')}`;
    case 'review.completed':
      return `${textOf(review.decision) ?? '–'} after ${duration(numberOf(review.durationMs))}`;
    default:
      return textOf(data.reason) ?? '';
  }
}
