// What the page knows: of each room that it follows the items, as deploy/docs/state.md has it, and the notices. Pure: no
// document, no socket, no clock. All that the page counts and lists is made of the items, so it is the same whether the
// page has been there all the time, was loaded again, or has just been opened.

import { alertOnly, order, phases, reviewOf, taskOf } from './task.js';

const noticesMax = 200;
const overMax = 1000;

/** The items of one room. */
class Room {
  items = new Map();
  coming = null; // those of a state that is on its way: shown when it is whole
  answer = null; // {complete, since}; null: what the room shows is not known
  over = new Map(); // reviews that have ended lately -> the version they ended with

  /** Live, beside a state that is on its way too: who is in the room already gets both. False: it is known. */
  take(notification) {
    const { key, removed } = notification.item;
    if (this.#isOld(notification)) return false;
    for (const items of [this.items, this.coming]) {
      if (removed) items?.delete(key);
      else items?.set(key, notification);
    }
    if (removed && notification.reviewUpdate) bound(this.over.set(key, notification.reviewUpdate.version));
    return true;
  }

  /** Of a state. */
  put(notification) {
    const { key } = notification.item;
    if (!this.#isOld(notification)) this.coming?.set(key, notification);
    else if (this.items.has(key)) this.coming?.set(key, this.items.get(key));
  }

  /** The update of a review also comes by the lane of its task's user, maybe later: a review never goes back. */
  #isOld({ item, reviewUpdate: update }) {
    return update && update.version <= (this.items.get(item.key)?.reviewUpdate?.version ?? this.over.get(item.key) ?? 0);
  }
}

function bound(map) {
  if (map.size > overMax) map.delete(map.keys().next().value);
}

export class Store {
  #rooms = new Map();
  #made = new WeakMap(); // notification -> what its card shows
  #changes = 0;
  #drawn = { at: -1 };
  #noticeIds = new Set();
  #lifeless = new Map();

  constructor(rooms = []) {
    this.clear(rooms);
  }

  /** Begins anew, with these rooms. */
  clear(rooms) {
    this.#rooms = new Map(rooms.map((room) => [room, new Room()]));
    this.#changes += 1;
    this.clearNotices();
  }

  /** Rooms whose state has yet to be asked for. */
  get unanswered() {
    return [...this.#rooms].filter(([, { answer }]) => !answer).map(([room]) => room);
  }

  /** Whether all that the page counts is known. */
  get known() {
    return this.unanswered.length === 0;
  }

  /** What has not changed since this time may be missing; 0: nothing is. */
  get since() {
    return Math.max(0, ...[...this.#rooms.values()].map(({ answer }) => (answer && !answer.complete ? answer.since : 0)));
  }

  /** The session is a new one: every room has to be asked for. What was shown stays until the answers have come. */
  forget() {
    for (const room of this.#rooms.values()) Object.assign(room, { answer: null, coming: null });
  }

  /** The event `state`. */
  state({ room: name, first, items }) {
    const room = this.#rooms.get(name);
    if (!room) return;
    if (first) room.coming = new Map();
    for (const { data } of items) if (data?.item) room.put(data); // else an event of its own, of which this page knows nothing
  }

  /** The answer that ends a state. */
  answered(name, { complete, since }) {
    const room = this.#rooms.get(name);
    if (!room) return;
    Object.assign(room, { answer: { complete, since }, items: room.coming ?? room.items, coming: null });
    this.#changes += 1;
  }

  /** A live notification, of whatever kind. True: it says something new of what is shown. */
  live(notification) {
    if (!notification.item) return false;
    const rooms = notification.rooms.map((name) => this.#rooms.get(name)).filter(Boolean);
    const isNews = rooms.map((room) => room.take(notification)).some(Boolean);
    this.#changes += isNews;
    return isNews;
  }

  /** There were too many reviews: this one is an alert and no more. */
  lifeless(id) {
    this.#lifeless.set(id, true);
    bound(this.#lifeless);
    this.#changes += 1;
  }

  /** {tasks, byId, waiting, running, finished, reviews, counts}; the same object until something changes. */
  get shown() {
    if (this.#drawn.at !== this.#changes) this.#drawn = { at: this.#changes, ...this.#show() };
    return this.#drawn;
  }

  #show() {
    const of = (kind, member) => [...this.#rooms].filter(([name]) => name.startsWith(kind))
      .flatMap(([, { items }]) => [...items.values()]).filter((notification) => notification[member]);
    const tasks = of('tenant:', 'taskStatus').map((notification) => this.#make(notification, taskOf));
    const reviews = this.#reviews(of('review:', 'reviewAlert'), of('review:', 'reviewUpdate')).sort(order.reviews);
    const inPhase = (...names) => tasks.filter(({ phase }) => names.includes(phase));
    const counts = Object.fromEntries(phases.map((phase) => [phase, inPhase(phase).length]));
    return {
      tasks, reviews, byId: new Map(tasks.map((task) => [task.taskId, task])), counts: { ...counts, reviews: reviews.length },
      waiting: inPhase('waiting').sort(order.waiting), running: inPhase('running').sort(order.running),
      finished: inPhase('completed', 'failed', 'cancelled').sort(order.finished),
    };
  }

  /** Where reviews have a life, it tells which there are; its alert knows more of the task. */
  #reviews(alerts, updates) {
    const alertOf = new Map(alerts.map((alert) => [alert.reviewAlert.reviewId, alert]));
    const alone = alerts.filter(({ reviewAlert: { reviewId } }) => !reviewId || this.#lifeless.has(reviewId));
    return [
      ...updates.map((update) => this.#make(update, () => reviewOf(update, alertOf.get(update.reviewUpdate.id)))),
      ...alone.map((alert) => this.#make(alert, alertOnly)),
    ];
  }

  #make(notification, make) {
    let made = this.#made.get(notification);
    if (!made) this.#made.set(notification, made = make(notification));
    return made;
  }

  /** Adds one, newest first, unless it is known: a room's past may repeat what was live. True if it is new. */
  notice(notice) {
    if (this.#noticeIds.has(notice.id)) return false;
    this.#noticeIds.add(notice.id);
    const place = this.notices.findIndex(({ at }) => at <= notice.at);
    this.notices.splice(place < 0 ? this.notices.length : place, 0, notice);
    if (this.notices.length > noticesMax) this.noticesLeftOut += this.notices.splice(noticesMax).length;
    return true;
  }

  clearNotices() {
    this.notices = [];
    this.noticesLeftOut = 0;
    this.#noticeIds.clear();
  }

  /** All of it, for JSON; restore() takes it back. */
  keep() {
    return {
      rooms: [...this.#rooms].map(([name, { answer, items, over }]) => [name, { answer, items: [...items], over: [...over] }]),
      lifeless: [...this.#lifeless],
      notices: this.notices, noticesLeftOut: this.noticesLeftOut,
    };
  }

  restore({ rooms, lifeless, notices, noticesLeftOut }) {
    this.#rooms = new Map(rooms.map(([name, { answer, items, over }]) =>
      [name, Object.assign(new Room(), { answer, items: new Map(items), over: new Map(over) })]));
    this.#lifeless = new Map(lifeless);
    Object.assign(this, { notices, noticesLeftOut });
    this.#noticeIds = new Set(notices.map(({ id }) => id));
    this.#changes += 1;
  }
}
