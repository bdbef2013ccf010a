// What one notification says of a task or of a review: all that its card shows. Pure. The backend puts a summary into the
// data of each event, so the latest is enough; of other producers' events a card has what the event itself says.

const phaseOfEvent = {
  'task.created': 'waiting', 'task.queued': 'waiting', 'task.started': 'running', 'task.progress': 'running',
  'task.completed': 'completed', 'task.failed': 'failed', 'task.cancelled': 'cancelled',
};
export const phases = ['waiting', 'running', 'completed', 'failed', 'cancelled'];
const ranks = { critical: 0, high: 1, normal: 2, low: 3 };

export const rank = (priority) => ranks[priority] ?? 2;

/** Milliseconds since 1970, or null. */
function instant(text) {
  const ms = Date.parse(text ?? '');
  return Number.isNaN(ms) ? null : ms;
}

/** Of a task.status. */
export function taskOf({ time, taskStatus: status }) {
  const data = status.data ?? {};
  const summary = data.summary ?? {};
  const at = instant(time) ?? 0;
  const phase = phaseOf(status.event, data, summary);
  const ended = phase !== 'waiting' && phase !== 'running';
  return {
    taskId: status.taskId, event: status.event, at, phase,
    type: status.type, priority: status.priority ?? 'normal', projectId: status.projectId, userId: status.userId, tenantId: status.tenantId,
    title: summary.title ?? data.documents?.[0]?.name ?? null,
    more: (summary.documents ?? data.documents?.length ?? 1) - 1,
    createdAt: instant(summary.createdAt) ?? (status.event === 'task.created' ? at : null),
    startedAt: instant(summary.startedAt) ?? (status.event === 'task.started' ? at : null),
    endedAt: instant(summary.endedAt) ?? (ended ? at : null),
    durationMs: summary.durationMs ?? data.durationMs ?? null,
    progress: status.progress ?? data.progress ?? (phase === 'completed' ? 100 : 0),
    stage: data.stage ?? (status.event === 'task.started' ? 'starting' : null),
    attempt: data.attempt ?? summary.attempt ?? 1,
    model: data.model ?? summary.model ?? null,
    confidence: summary.confidence ?? data.confidence ?? null,
    cost: summary.cost ?? data.cost ?? null,
    error: phase === 'failed' ? summary.error ?? data.error ?? null : null,
    note: noteOf(status.event, phase, data, summary),
    review: reviewState(status.event, data, summary),
  };
}

function phaseOf(event, data, summary) {
  if (phases.includes(summary.phase)) return summary.phase;
  if (event === 'task.failed' && data.final === false) return 'waiting';
  if (event?.startsWith('review.')) return 'completed'; // it is asked for when a task is done
  return phaseOfEvent[event] ?? 'waiting';
}

function noteOf(event, phase, data, summary) {
  if (phase === 'cancelled') return summary.reason ?? data.reason ?? 'cancelled';
  if (phase !== 'waiting') return '';
  if (event === 'task.queued') return data.position ? `place ${data.position} in line` : 'next in line';
  if (event === 'task.failed') return `will be tried again after attempt ${data.attempt ?? summary.attempt ?? 1}`;
  return event === 'task.created' ? 'created' : String(event ?? '').split('.').at(-1);
}

function reviewState(event, data, summary) {
  const review = summary.review ?? (event?.startsWith('review.') ? data.review : null);
  if (!review) return null;
  return { queue: review.queue, decision: review.decision ?? (event === 'review.completed' ? 'decided' : null) };
}

/** Of a review.alert that nobody can claim. `key` names it over all queues. */
export function alertOnly({ time, reviewAlert: alert, item }) {
  return { key: `${alert.queue}/${item?.key ?? alert.taskId}`, ...about(alert, alert.data ?? {}, time), id: null, version: 0, state: 'open', by: null };
}

/** Of a review.updated, and of its alert if that is known: the last of several, as in a queue without lives. */
export function reviewOf({ time, reviewUpdate: update }, alert) {
  const { id, version, state, by = null } = update;
  return {
    key: `${update.queue}/${id}`, ...about({ ...update, ...alert?.reviewAlert }, alert?.reviewAlert.data ?? {}, alert?.time ?? time), id, version, state, by,
    decisions: update.decisions ?? ['approve', 'reject'],
  };
}

function about(review, data, time) {
  const documents = data.summary?.documents ?? data.documents?.length ?? 1;
  return {
    taskId: review.taskId, queue: review.queue, reason: review.reason, priority: review.priority ?? 'normal', at: instant(time) ?? 0,
    title: review.title ?? data.summary?.title ?? data.documents?.[0]?.name ?? null,
    more: documents - 1,
    type: review.type, projectId: review.projectId, userId: review.userId, tenantId: review.tenantId,
    dueAt: instant(review.dueTime),
  };
}

const byText = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
const never = Number.MAX_SAFE_INTEGER; // no due time: behind all that have one

/** How the columns and the queue are sorted: by what the items say, so that a page that was loaded again shows the same. */
export const order = {
  waiting: (a, b) => rank(a.priority) - rank(b.priority) || (a.createdAt ?? a.at) - (b.createdAt ?? b.at) || byText(a.taskId, b.taskId),
  running: (a, b) => (a.startedAt ?? a.at) - (b.startedAt ?? b.at) || byText(a.taskId, b.taskId),
  finished: (a, b) => (b.endedAt ?? b.at) - (a.endedAt ?? a.at) || byText(a.taskId, b.taskId),
  reviews: (a, b) => (a.dueAt ?? never) - (b.dueAt ?? never) || rank(a.priority) - rank(b.priority) || byText(a.key, b.key),
};
