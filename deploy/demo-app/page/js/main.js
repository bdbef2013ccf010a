// Puts the page together: notifications go into the store, and the store is drawn at most once per frame.

import { Board } from './board.js';
import { Connection } from './connection.js';
import { Details } from './details.js';
import { byId } from './dom.js';
import { Announcer, Feed, toast } from './feed.js';
import { words } from './format.js';
import { drawConnection, drawFacts, drawMeasures, drawTiles } from './glance.js';
import { Identity } from './identity.js';
import { Measures } from './latency.js';
import { Reviews } from './reviews.js';
import { Store } from './store.js';

const clockMs = 250; // durations tick
const settleMs = 1000; // what was missed, or why it could not be made up, follows the connection within this time

class Page {
  #store = new Store();
  #measures = new Measures();
  #connection = new Connection();
  #announcer = new Announcer();
  #feed = new Feed();
  #rooms = new Set();
  #noticeNumber = 0;
  #due = false;

  constructor(world) {
    this.identity = new Identity(world);
    const { names } = this.identity;
    this.details = new Details(names, this.#connection);
    const open = (taskId) => this.details.open(taskId).then(() => this.#later());
    this.board = new Board(names, open);
    this.reviews = new Reviews(names, { open, dismiss: (key) => this.#dismiss(key) });
    this.#listen();
    this.#connection.open(this.identity.credentials);
    setInterval(() => this.#later(), clockMs);
  }

  #listen() {
    const connection = this.#connection;
    window.smartstackTheme(byId('theme'));
    this.identity.addEventListener('change', () => this.#restart());
    connection.addEventListener('change', () => this.#later());
    connection.addEventListener('connected', ({ detail }) => this.#connected(detail));
    connection.addEventListener('lost', () => this.#announcer.alert('Connection lost; reconnecting.'));
    connection.addEventListener('notification', ({ detail }) => this.#take(detail));
    connection.addEventListener('any', ({ detail }) => this.#roomsChanged(detail));
    byId('cut').addEventListener('click', () => connection.cut(4000));
    byId('connection').addEventListener('click', ({ currentTarget }) => {
      const panel = byId('connection-panel');
      panel.hidden = !panel.hidden;
      currentTarget.setAttribute('aria-expanded', String(!panel.hidden));
      this.#later();
    });
    byId('feed-clear').addEventListener('click', () => {
      this.#store.notices = [];
      this.#later();
    });
    for (const id of ['project', 'mine']) byId(id).addEventListener('change', () => this.#later());
    document.addEventListener('visibilitychange', () => this.#later());
  }

  #restart() {
    this.#store.clear();
    this.#measures.clear();
    this.#rooms.clear();
    this.#connection.open(this.identity.credentials);
    this.#announcer.say(`Now looking as ${this.identity.user.name} of ${this.identity.tenant.name}.`);
    this.#later();
  }

  #connected({ again, recovered }) {
    for (const room of this.identity.rooms) this.#rooms.add(room);
    if (!again) this.#announcer.say('Connected. Updates are live.');
    else setTimeout(() => this.#cameBack(recovered, this.#connection.facts), settleMs);
    this.#later();
  }

  #cameBack(recovered, facts) {
    const missed = facts.replayed - facts.replayedBefore;
    if (recovered) {
      this.#tell('Connection recovered', missed ? `${missed} updates of the break were caught up; nothing was lost.` : 'Nothing was missed.', 'success');
    } else {
      const why = facts.freshReason ? ` (${words(facts.freshReason).toLowerCase()})` : '';
      this.#tell('Connected again', `As a fresh session${why}: what happened in between is not shown.`, 'warning');
    }
    this.#later();
  }

  #take({ name, notification, now, latency }) {
    this.#measures.add(now, latency);
    if (name === 'task.status') this.#store.status(notification);
    else if (name === 'review.alert') this.#alert(this.#store.review(notification));
    else this.#inform(notification);
    this.#later();
  }

  #alert(review) {
    if (!review) return;
    const text = `Review for ${review.queue}: ${words(review.reasons.at(-1)).toLowerCase()}, priority ${review.priority}.`;
    if (review.priority === 'critical') this.#announcer.alert(text);
    else this.#announcer.say(text);
  }

  #inform(notification) {
    const { title, body, severity = 'info', taskId } = notification.clientNotification ?? {};
    if (!title) return;
    const text = [this.#store.tasks.get(taskId)?.title, body].filter(Boolean).join(' · ');
    const at = Date.parse(notification.time) || Date.now();
    this.#store.notice({ id: notification.id, title: words(title), body: text, severity, at });
    this.#announcer.say(`${words(title)}. ${text}`);
  }

  /** News of the page itself. */
  #tell(title, body, severity) {
    this.#store.notice({ id: `page-${this.#noticeNumber++}`, title, body, severity, at: Date.now() });
    toast(`${title}. ${body}`, severity);
    this.#announcer.say(`${title}. ${body}`);
  }

  #roomsChanged({ name, values }) {
    const room = values[0]?.room;
    if (name === 'subscribed' && room) this.#rooms.add(room);
    if (name === 'unsubscribed' && room) this.#rooms.delete(room);
    if (name === 'stale') this.#tell('The broker is away', 'Updates will go on when it is back.', 'warning');
    if (name === 'live') this.#tell('The broker is back', 'Nothing was lost.', 'success');
  }

  #dismiss(key) {
    this.#store.dismissReview(key);
    this.#later();
  }

  #later() {
    if (this.#due) return;
    this.#due = true;
    // A page in the background gets no frames; there it is drawn when it comes back.
    if (!document.hidden) requestAnimationFrame(() => this.#draw());
    else this.#due = false;
  }

  #draw() {
    this.#due = false;
    const now = Date.now();
    this.#store.expire(now);
    this.#measures.advance(now);
    const columns = this.board.draw(this.#visible(), now);
    const open = this.reviews.draw(this.#store.reviews.values(), this.#store.tasks, now);
    this.#feed.draw(this.#store.notices);
    this.details.draw(this.#store.tasks, now);
    drawTiles(columns, this.#store, open);
    drawMeasures(this.#measures);
    drawConnection(this.#connection, this.#measures);
    if (!byId('connection-panel').hidden) drawFacts(this.#connection, this.#measures, [...this.#rooms], now);
  }

  #visible() {
    const project = byId('project').value;
    const mine = byId('mine').checked ? this.identity.user.id : null;
    const tenant = this.identity.tenant.id;
    // A reviewer also hears of other tenants' tasks: those stand in the review queue, not on the board.
    return [...this.#store.tasks.values()].filter((task) =>
      task.tenantId === tenant && (!project || task.projectId === project) && (!mine || task.userId === mine));
  }
}

const response = await fetch('world.json');
new Page(await response.json());
