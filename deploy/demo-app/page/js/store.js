// What the page knows: tasks, reviews and notices, made of the notifications it was given. Pure: no document, no socket.
// Everything has a limit; the oldest goes first.

const limits = { tasks: 400, history: 40, reviews: 80, notices: 80, seen: 2000 };
const phaseOfEvent = {
  'task.created': 'waiting', 'task.queued': 'waiting', 'task.started': 'running', 'task.progress': 'running',
  'task.completed': 'completed', 'task.failed': 'failed', 'task.cancelled': 'cancelled',
};
const ranks = { critical: 0, high: 1, normal: 2, low: 3 };

export const rank = (priority) => ranks[priority] ?? 2;

/** A set that forgets its oldest members. */
class Seen {
  #members = new Set();

  /** True when it is new. */
  add(member) {
    if (this.#members.has(member)) return false;
    this.#members.add(member);
    if (this.#members.size > limits.seen) this.#members.delete(this.#members.values().next().value);
    return true;
  }
}

export class Store {
  constructor() {
    this.clear();
  }

  clear() {
    this.tasks = new Map();
    this.reviews = new Map();
    this.notices = [];
    this.totals = { completed: 0, failed: 0 };
    this.seen = new Seen();
  }

  /**
   * A task status update. Returns the task, or null if this event is known already: one event may
   * come in several lanes, e.g. to a tenant's board and to the reviewers of a queue.
   */
  status(notification) {
    const status = notification.taskStatus;
    if (!status?.taskId || !this.seen.add(`${notification.eventId}`)) return null;
    const at = Date.parse(notification.time) || Date.now();
    const task = this.#task(status.taskId, at);
    Object.assign(task, {
      type: status.type ?? task.type, priority: status.priority ?? task.priority, userId: status.userId ?? task.userId,
      projectId: status.projectId ?? task.projectId, tenantId: status.tenantId ?? task.tenantId, changedAt: at,
    });
    task.history.push({ at, event: status.event, rules: notification.rules ?? [], data: status.data });
    if (task.history.length > limits.history) task.history.shift();
    this.#apply(task, status, at);
    return task;
  }

  /** A review that somebody has to do. Those of one task and queue are one entry with several reasons. */
  review(notification) {
    const alert = notification.reviewAlert;
    if (!alert?.taskId || !this.seen.add(notification.id)) return null;
    const key = `${alert.queue}/${alert.taskId}`;
    const at = Date.parse(notification.time) || Date.now();
    const review = this.reviews.get(key) ?? {
      key, at, taskId: alert.taskId, queue: alert.queue, reasons: [], priority: 'low', decision: null, decidedAt: null,
    };
    const { type, tenantId, projectId, data } = alert;
    Object.assign(review, { type: type ?? review.type, tenantId: tenantId ?? review.tenantId, projectId: projectId ?? review.projectId });
    if (!review.reasons.includes(alert.reason)) review.reasons.push(alert.reason);
    if (rank(alert.priority) < rank(review.priority)) review.priority = alert.priority;
    if (alert.title) review.title = alert.title;
    review.data = data ?? review.data;
    review.dueAt = Date.parse(alert.dueTime ?? '') || review.dueAt || null;
    this.reviews.delete(key);
    this.reviews.set(key, review);
    trim(this.reviews, limits.reviews);
    return review;
  }

  dismissReview(key) {
    this.reviews.delete(key);
  }

  notice(notice) {
    this.notices.unshift(notice);
    this.notices.length = Math.min(this.notices.length, limits.notices);
  }

  /** Forgets decided reviews after a while. */
  expire(now, keepMs = 12_000) {
    for (const [key, review] of this.reviews) if (review.decidedAt && now - review.decidedAt > keepMs) this.reviews.delete(key);
  }

  #task(taskId, at) {
    let task = this.tasks.get(taskId);
    if (!task) {
      task = {
        taskId, firstAt: at, createdAt: null, startedAt: null, endedAt: null, phase: 'waiting', note: '', progress: null,
        stage: null, attempt: 1, attempts: null, history: [], title: null, result: null, error: null, review: null,
      };
      this.tasks.set(taskId, task);
      trim(this.tasks, limits.tasks);
    }
    return task;
  }

  #apply(task, status, at) {
    const data = status.data ?? {};
    if (status.event.startsWith('review.')) {
      this.#applyReview(task, status.event, data, at);
      return;
    }
    task.phase = phaseOfEvent[status.event] ?? task.phase;
    if (data.attempt) task.attempt = data.attempt;
    if (data.documents?.length) {
      task.title = data.documents[0].name;
      task.more = data.documents.length - 1;
    }
    this.#times(task, status, data, at);
    this.#outcome(task, status, data);
  }

  #times(task, status, data, at) {
    switch (status.event) {
      case 'task.created':
        task.createdAt = at;
        task.note = 'created';
        break;
      case 'task.queued':
        task.note = data.position ? `place ${data.position} in line` : 'next in line';
        break;
      case 'task.started':
        Object.assign(task, { startedAt: at, endedAt: null, progress: 0, stage: 'starting', model: data.model, error: null });
        break;
      case 'task.progress':
        task.startedAt ??= at;
        task.progress = status.progress ?? data.progress ?? task.progress;
        task.stage = data.stage ?? task.stage;
        task.etaAt = data.etaMs ? at + data.etaMs : null;
        break;
      default:
        task.endedAt = at;
    }
  }

  #outcome(task, status, data) {
    if (status.event === 'task.completed') {
      this.totals.completed += 1;
      Object.assign(task, { progress: 100, result: data, durationMs: data.durationMs ?? null });
    } else if (status.event === 'task.failed') {
      Object.assign(task, { error: data.error ?? null, durationMs: data.durationMs ?? null, attempts: data.maxAttempts ?? null });
      if (data.final === false) Object.assign(task, { phase: 'waiting', note: `will be tried again after attempt ${data.attempt}`, endedAt: null });
      else this.totals.failed += 1;
    } else if (status.event === 'task.cancelled') {
      task.note = data.reason ?? 'cancelled';
    }
  }

  #applyReview(task, event, data, at) {
    const review = data.review ?? {};
    if (task.history.length === 1) task.phase = 'completed'; // the page was opened after the task was done
    if (event === 'review.required') {
      task.review = { queue: review.queue, decision: null };
      const open = this.reviews.get(`${review.queue}/${task.taskId}`);
      if (open && review.slaMinutes) open.dueAt = at + review.slaMinutes * 60_000;
      return;
    }
    task.review = { queue: review.queue, decision: review.decision ?? 'decided' };
    for (const open of this.reviews.values()) {
      if (open.taskId !== task.taskId || open.decision) continue;
      Object.assign(open, { decision: review.decision ?? 'decided', decidedAt: Date.now() });
    }
  }
}

function trim(map, limit) {
  while (map.size > limit) map.delete(map.keys().next().value);
}
