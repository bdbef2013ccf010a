// What one notification says of a task or of a review: all that its card shows. Pure. The backend puts a summary into the
// data of each event, so the latest is enough; of other producers' events a card has what the event itself says.

import { instantOf, listOf, membersOf, numberOf, textOf } from './said.js';

const phaseOfEvent = new Map(Object.entries({
  'task.created': 'waiting', 'task.queued': 'waiting', 'task.started': 'running', 'task.progress': 'running',
  'task.completed': 'completed', 'task.failed': 'failed', 'task.cancelled': 'cancelled',
}));
export const phases = ['waiting', 'running', 'completed', 'failed', 'cancelled'];
const ranks = new Map(Object.entries({ critical: 0, high: 1, normal: 2, low: 3 }));

export const rank = (priority) => ranks.get(priority) ?? 2;

/** Of a task or a review: its name, and how many documents it has beside the first. */
function titleOf({ title }, data, summary) {
  const documents = listOf(data.documents);
  return {
    title: textOf(title) ?? textOf(summary.title) ?? textOf(documents[0]?.name),
    more: (numberOf(summary.documents) ?? (documents.length || 1)) - 1,
  };
}

/** Of a task.status. */
export function taskOf({ time, taskStatus: status }) {
  const data = membersOf(status.data);
  const summary = membersOf(data.summary);
  const at = instantOf(time) ?? 0;
  const phase = phaseOf(status.event, data, summary);
  const ended = phase !== 'waiting' && phase !== 'running';
  return {
    taskId: status.taskId, event: status.event, at, phase,
    type: status.type, priority: status.priority ?? 'normal', projectId: status.projectId, userId: status.userId, tenantId: status.tenantId,
    ...titleOf({}, data, summary),
    createdAt: instantOf(summary.createdAt) ?? (status.event === 'task.created' ? at : null),
    startedAt: instantOf(summary.startedAt) ?? (status.event === 'task.started' ? at : null),
    endedAt: instantOf(summary.endedAt) ?? (ended ? at : null),
    durationMs: numberOf(summary.durationMs) ?? numberOf(data.durationMs),
    progress: numberOf(status.progress) ?? numberOf(data.progress) ?? (phase === 'completed' ? 100 : 0),
    stage: textOf(data.stage) ?? (status.event === 'task.started' ? 'starting' : null),
    attempt: attemptOf(data, summary),
    model: textOf(data.model) ?? textOf(summary.model),
    confidence: numberOf(summary.confidence) ?? numberOf(data.confidence),
    cost: costOf(summary.cost ?? data.cost),
    error: phase === 'failed' ? errorOf(summary.error ?? data.error) : null,
    note: noteOf(status.event, phase, data, summary),
    review: reviewState(status.event, data, summary),
  };
}

const attemptOf = (data, summary) => numberOf(data.attempt) ?? numberOf(summary.attempt) ?? 1;

function costOf(said) {
  const { amount, currency } = membersOf(said);
  return numberOf(amount) === null ? null : { amount, currency: textOf(currency) ?? '' };
}

function errorOf(said) {
  const { code, message } = membersOf(said);
  return said ? { code: textOf(code) ?? '', message: textOf(message) ?? '' } : null;
}

function phaseOf(event, data, summary) {
  if (phases.includes(summary.phase)) return summary.phase;
  if (event === 'task.failed' && data.final === false) return 'waiting';
  if (event?.startsWith('review.')) return 'completed'; // it is asked for when a task is done
  return phaseOfEvent.get(event) ?? 'waiting';
}

function noteOf(event, phase, data, summary) {
  if (phase === 'cancelled') return textOf(summary.reason) ?? textOf(data.reason) ?? 'cancelled';
  if (phase !== 'waiting') return '';
  if (event === 'task.queued') return textOf(data.position) ? `place ${textOf(data.position)} in line` : 'next in line';
  if (event === 'task.failed') return `will be tried again after attempt ${attemptOf(data, summary)}`;
  return event === 'task.created' ? 'created' : String(event ?? '').split('.').at(-1);
}

function reviewState(event, data, summary) {
  const review = summary.review ?? (event?.startsWith('review.') ? data.review : null);
  if (!review) return null;
  return { queue: textOf(review.queue) ?? '', decision: textOf(review.decision) ?? (event === 'review.completed' ? 'decided' : null) };
}

/** Of a review.alert that nobody can claim. `key` names it over all queues. */
export function alertOnly({ time, reviewAlert: alert, item }) {
  return { key: `${alert.queue}/${item?.key ?? alert.taskId}`, ...about(alert, alert.data, time), id: null, version: 0, state: 'open', by: null };
}

/** Of a review.updated, and of its alert if that is known: the last of several, as in a queue without lives. */
export function reviewOf({ time, reviewUpdate: update }, alert) {
  const { id, version, state, by = null } = update;
  return {
    key: `${update.queue}/${id}`, ...about({ ...update, ...alert?.reviewAlert }, alert?.reviewAlert.data, alert?.time ?? time), id, version, state, by,
    decisions: update.decisions ?? ['approve', 'reject'],
  };
}

function about(review, said, time) {
  const data = membersOf(said);
  return {
    taskId: review.taskId, queue: review.queue, reason: review.reason, priority: review.priority ?? 'normal', at: instantOf(time) ?? 0,
    ...titleOf(review, data, membersOf(data.summary)),
    type: review.type, projectId: review.projectId, userId: review.userId, tenantId: review.tenantId,
    dueAt: instantOf(review.dueTime),
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
