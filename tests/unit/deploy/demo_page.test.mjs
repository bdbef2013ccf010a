/* What the demo page makes of the notifications it is given. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Commands } from '../../../deploy/demo-app/page/js/commands.js';
import { filterOf, isOn, matcher, nothing, putFilter } from '../../../deploy/demo-app/page/js/filter.js';
import { elapsed, timeOfDay, words } from '../../../deploy/demo-app/page/js/format.js';
import { Measures, sparkline } from '../../../deploy/demo-app/page/js/latency.js';
import { Store } from '../../../deploy/demo-app/page/js/store.js';
import { alertOnly, rank, reviewOf, taskOf } from '../../../deploy/demo-app/page/js/task.js';

const BOARD = 'tenant:acme';
const QUEUE = 'review:quality';
const T0 = Date.parse('2026-03-02T08:00:00Z');
let number = 0;

function notification(room, item, content, at = T0) {
    number += 1;
    return { id: `n${number}`, eventId: `e${number}`, time: new Date(at).toISOString(), rooms: [room, 'user:u'], rules: ['board'], item, ...content };
}

function status(event, data = {}, { taskId = 't1', removed, room = BOARD, at, ...more } = {}) {
    const item = removed ? { key: taskId, removed } : { key: taskId };
    return notification(room, item, { taskStatus: { event, taskId, type: 'ocr', priority: 'high', projectId: 'p', userId: 'u', tenantId: 'acme', data, ...more } }, at);
}

function alert(reason, { taskId = 't1', queue = 'quality', priority = 'normal', due, ...more } = {}) {
    const dueTime = due === undefined ? undefined : new Date(T0 + due).toISOString();
    return notification(`review:${queue}`, { key: `review:${taskId}` }, { reviewAlert: { queue, reason, priority, taskId, dueTime, ...more } });
}

const over = (taskId, queue = 'quality') => notification(`review:${queue}`, { key: `review:${taskId}`, removed: true }, { taskStatus: { event: 'review.completed', taskId } });

/* A store that knows its rooms, which show nothing yet. */
function store(rooms = [BOARD, QUEUE]) {
    const result = new Store(rooms);
    for (const room of rooms)
        give(result, room, []);
    return result;
}

function give(to, room, notifications, answer = { complete: true, since: 0 }) {
    const items = notifications.map((data) => ({ event: 'any', data }));
    to.state({ room, first: true, items: items.slice(0, 1) });
    to.state({ room, first: false, items: items.slice(1) });
    to.answered(room, answer);
}

const idsOf = (list) => list.map(({ taskId }) => taskId);

test('a task is what its latest event says', () => {
    const of = (...args) => taskOf(status(...args));
    const created = of('task.created', { documents: [{ name: 'a.pdf' }, { name: 'b.pdf' }] });
    assert.deepEqual([created.phase, created.title, created.more, created.createdAt], ['waiting', 'a.pdf', 1, T0]);
    assert.equal(of('task.started', { attempt: 1 }).phase, 'running');
    assert.equal(of('task.progress', {}, { progress: 40 }).progress, 40);
    const again = of('task.failed', { attempt: 1, final: false, error: { code: 'X' } });
    assert.deepEqual([again.phase, again.note, again.error], ['waiting', 'will be tried again after attempt 1', null]);
    assert.equal(of('task.failed', { final: true, error: { code: 'X' } }).error.code, 'X');
    assert.equal(of('task.cancelled', { reason: 'duplicate' }).note, 'duplicate');
    assert.equal(of('review.required', { review: { queue: 'quality' } }).phase, 'completed');
    assert.equal(of('task.paused').phase, 'waiting', 'an event that nobody knows');
});

test('what a card shows is text and numbers, whatever the event says', () => {
    const odd = [null, true, 7, 'x', [], {}, { toString: null, valueOf: null }, [null], [{ name: { toString: null } }], 1e400];
    const names = ['summary', 'title', 'documents', 'durationMs', 'progress', 'stage', 'attempt', 'model', 'confidence', 'cost', 'error', 'position', 'reason', 'review'];
    const plain = (value) => value === null || ['string', 'boolean'].includes(typeof value) || Number.isFinite(value);
    const shown = (card) => Object.entries(card).forEach(([name, value]) => {
        const parts = ['cost', 'error', 'review', 'decisions'].includes(name) && value ? Object.values(value) : [value ?? null];
        assert.ok(parts.every(plain), `${name}: ${JSON.stringify(value)}`);
    });
    for (const value of odd) {
        const members = Object.fromEntries(names.map((name) => [name, value]));
        for (const data of [value, members, { ...members, summary: { ...members, phase: 'failed', createdAt: value } }, { summary: {}, cost: { amount: 1, currency: value } }])
            for (const event of ['task.created', 'task.queued', 'task.progress', 'task.failed', 'task.cancelled', 'review.required', 'task.constructor', 'constructor']) {
                shown(taskOf(status(event, data)));
                shown(alertOnly(alert('pii', { data })));
                shown(reviewOf(update(1), alert('pii', { data })));
            }
    }
    assert.equal(taskOf(status('constructor')).phase, 'waiting', 'no name is more than a name');
    assert.deepEqual(['constructor', '__proto__', 'toString'].map((name) => [words(name).toLowerCase(), rank(name)]),
        [['constructor', 2], ['proto', 2], ['tostring', 2]]);
    assert.equal(timeOfDay(NaN), '–');
});

test('a summary says what the event does not: titles and times do not depend on when the page was opened', () => {
    const summary = { title: 'a.pdf', documents: 3, phase: 'running', createdAt: '2026-03-02T07:00:00Z', startedAt: '2026-03-02T07:58:00Z', attempt: 2 };
    const task = taskOf(status('task.progress', { progress: 7, summary }));
    assert.deepEqual([task.title, task.more, task.startedAt, task.createdAt, task.attempt], ['a.pdf', 2, T0 - 120000, T0 - 3600000, 2]);
    const reviewed = taskOf(status('review.completed', { summary: { ...summary, phase: 'completed', review: { queue: 'legal', decision: 'approved' }, confidence: 0.5 } }));
    assert.deepEqual([reviewed.phase, reviewed.confidence, reviewed.review], ['completed', 0.5, { queue: 'legal', decision: 'approved' }]);
    assert.equal(taskOf(status('task.progress')).startedAt, null, 'a start that is not known is no start at the latest event');
    const review = alertOnly(alert('pii', { due: 60000, data: { summary } }));
    assert.deepEqual([review.title, review.more, review.dueAt], ['a.pdf', 2, T0 + 60000]);
});

test('the board is the same for a page that was there, one that joined, and one that was loaded again', () => {
    const live = store();
    const events = [
        status('task.created', {}, { taskId: 'a' }), status('task.created', {}, { taskId: 'b' }), alert('pii', { taskId: 'a' }),
        status('task.started', {}, { taskId: 'a' }), alert('cost', { taskId: 'c' }), status('task.completed', {}, { taskId: 'b' }),
        status('task.created', {}, { taskId: 'd' }), status('task.archived', {}, { taskId: 'b', removed: true }), over('c'),
    ];
    events.forEach((event) => live.live(event));
    const joined = new Store([BOARD, QUEUE]);
    assert.equal(joined.known, false);
    give(joined, BOARD, [events[3], events[6]]);
    give(joined, QUEUE, [events[2]]);
    assert.equal(joined.known, true);
    const loaded = new Store([BOARD, QUEUE]);
    loaded.restore(JSON.parse(JSON.stringify(live.keep())));
    assert.deepEqual(loaded.unanswered, []);
    for (const each of [live, joined, loaded]) {
        const { waiting, running, finished, reviews, counts } = each.shown;
        assert.deepEqual([idsOf(waiting), idsOf(running), idsOf(finished), idsOf(reviews)], [['d'], ['a'], [], ['a']]);
        assert.deepEqual(counts, { waiting: 1, running: 1, completed: 0, failed: 0, cancelled: 0, reviews: 1 });
    }
});

test('a state takes the place of what was there, when it is whole, and nothing that is live meanwhile is lost', () => {
    const page = store();
    page.live(status('task.created', {}, { taskId: 'gone' }));
    page.forget();
    assert.deepEqual(page.unanswered, [BOARD, QUEUE]);
    page.state({ room: BOARD, first: true, items: [{ data: status('task.created', {}, { taskId: 'a' }) }] });
    assert.deepEqual(idsOf(page.shown.tasks), ['gone'], 'half a state is not shown');
    page.live(status('task.started', {}, { taskId: 'a' }));
    page.live(status('task.created', {}, { taskId: 'b' }));
    page.state({ room: 'tenant:other', first: true, items: [] });
    page.answered(BOARD, { complete: true, since: 0 });
    assert.deepEqual([idsOf(page.shown.waiting), idsOf(page.shown.running)], [['b'], ['a']]);
    assert.deepEqual(page.unanswered, [QUEUE]);
});

test('a page that is left in the middle of a state asks again', () => {
    const page = store();
    page.forget();
    page.state({ room: BOARD, first: true, items: [] });
    const loaded = new Store([]);
    loaded.restore(JSON.parse(JSON.stringify(page.keep())));
    assert.deepEqual(loaded.unanswered, [BOARD, QUEUE]);
});

test('an answer that is not complete says since when', () => {
    const page = store();
    assert.equal(page.since, 0);
    give(page, QUEUE, [], { complete: false, since: T0 });
    assert.equal(page.since, T0);
});

test('of a room that is not followed, and about no item, nothing is kept', () => {
    const page = store();
    page.live(status('task.created', {}, { room: 'task:t1' }));
    page.live({ ...status('task.created'), item: undefined });
    assert.equal(page.shown.tasks.length, 0);
});

test('nothing is dropped', () => {
    const page = store();
    for (let i = 0; i < 2000; i++) {
        page.live(status('task.started', {}, { taskId: `task ${i}` }));
        page.live(alert('pii', { taskId: `task ${i}` }));
    }
    assert.deepEqual([page.shown.counts.running, page.shown.running.length, page.shown.counts.reviews], [2000, 2000, 2000]);
    assert.equal(page.shown, page.shown, 'it is counted once');
});

test('reviews are sorted by when they are due, then by priority; what has no due time comes last', () => {
    const page = store();
    const given = [alert('x', { taskId: 'never' }), alert('x', { taskId: 'late', due: 5000 }), alert('x', { taskId: 'high', due: 1000, priority: 'high' }),
        alert('x', { taskId: 'low', due: 1000, priority: 'low' })];
    given.forEach((each) => page.live(each));
    assert.deepEqual(idsOf(page.shown.reviews), ['high', 'low', 'late', 'never']);
});

function update(version, { id = 'r1', state = 'open', by, ...more } = {}) {
    const item = ['decided', 'closed'].includes(state) ? { key: id, removed: true } : { key: id };
    return notification(QUEUE, item, { reviewUpdate: { id, version, state, by, queue: 'quality', reason: 'pii', taskId: id, ...more } });
}

test('where reviews have a life it says which there are, and never goes back', () => {
    const page = store();
    const shows = () => page.shown.reviews.map(({ id, version, state, by }) => [id, version, state, by]);
    page.live(alert('pii', { taskId: 't1', reviewId: 'r1', data: { documents: [{ name: 'a.pdf' }] } }));
    assert.deepEqual(shows(), [], 'an alert whose review is about to open');
    assert.equal(page.live(update(1)), true);
    assert.deepEqual(shows(), [['r1', 1, 'open', null]]);
    assert.equal(page.shown.reviews[0].title, 'a.pdf', 'its alert knows more');
    page.live(update(2, { state: 'claimed', by: 'ann' }));
    assert.equal(page.live(update(1)), false, 'by a slower lane');
    assert.deepEqual(shows(), [['r1', 2, 'claimed', 'ann']]);

    const kept = JSON.parse(JSON.stringify(page.keep()));
    const again = new Store();
    again.restore(kept);
    assert.deepEqual(again.shown.reviews, page.shown.reviews);

    /* A state that is older than what came beside it. */
    page.forget();
    page.state({ room: QUEUE, first: true, items: [] });
    page.live(update(4, { id: 'r2', state: 'claimed', by: 'bob' }));
    page.live(update(3, { state: 'decided', by: 'ann' }));
    page.state({ room: QUEUE, first: false, items: [{ data: update(2, { state: 'claimed', by: 'ann' }) }, { data: update(3, { id: 'r2' }) }] });
    page.answered(QUEUE, { complete: true, since: 0 });
    assert.deepEqual(shows(), [['r2', 4, 'claimed', 'bob']]);
    page.live(update(2));
    assert.deepEqual(shows(), [['r2', 4, 'claimed', 'bob']], 'what is over stays over');
    const after = new Store();
    after.restore(JSON.parse(JSON.stringify(page.keep())));
    after.live(update(2));
    assert.deepEqual(after.shown.reviews.map(({ id }) => id), ['r2'], 'also on the page that comes next');
});

test('an item of another kind may have the name of a review', () => {
    const page = store();
    page.live(update(1));
    page.live(notification(QUEUE, { key: 'r1' }, { clientNotification: { title: 'late' } }));
    assert.deepEqual(page.shown.reviews, []);
    assert.equal(page.live(update(2)), true);
    assert.deepEqual(page.shown.reviews.map(({ version }) => version), [2]);
    page.forget();
    give(page, QUEUE, [{ anything: 'an event of its own comes with its data alone' }, update(3)]);
    assert.deepEqual(page.shown.reviews.map(({ version }) => version), [3]);
});

test('what is over is remembered for a while, and a review without a life is its alert', () => {
    const page = store();
    for (let i = 0; i < 3000; i++)
        page.live(update(2, { id: `r${i}`, state: 'closed' }));
    const { over } = page.keep().rooms.find(([name]) => name === QUEUE)[1];
    assert.deepEqual([over.length, over[0][0]], [1000, 'r2000']);
    page.live(alert('pii', { taskId: 't1', reviewId: 'r9000' }));
    assert.deepEqual(page.shown.reviews, []);
    page.lifeless('r9000');
    assert.deepEqual(page.shown.reviews.map(({ taskId, version }) => [taskId, version]), [['t1', 0]]);
});

test('notices: each once, newest first, and how many older ones are not kept', () => {
    const page = store();
    for (let i = 0; i < 250; i++)
        assert.ok(page.notice({ id: i, at: T0 + i }));
    assert.equal(page.notice({ id: 249, at: T0 }), false);
    assert.deepEqual([page.notices.length, page.notices[0].id, page.noticesLeftOut], [200, 249, 50]);
    page.clearNotices();
    page.notice({ id: 2, at: 2 });
    page.notice({ id: 1, at: 1 });
    assert.deepEqual(page.notices.map(({ id }) => id), [2, 1]);
});

test('what is looked for: all words, and every choice', () => {
    const names = { project: () => 'Claims intake', user: () => 'Mara' };
    const task = { taskId: 't1', title: 'Rechnung 12.pdf', type: 'ocr', projectId: 'p', userId: 'u', priority: 'high' };
    const finds = (filter, item = task) => matcher({ ...nothing, ...filter }, { user: 'u', names })(item);
    assert.ok(finds({}) && finds({ q: ' mara RECHNUNG ' }) && finds({ project: 'p', priority: 'high', mine: '1' }));
    assert.ok(!finds({ q: 'mara invoice' }) && !finds({ project: 'q' }) && !finds({ priority: 'low' }) && !finds({ mine: '1' }, { ...task, userId: 'v' }));
    assert.ok(finds({ queue: 'legal' }), 'a task is in no queue');
    assert.ok(!finds({ queue: 'legal' }, { ...task, queue: 'quality' }));
    const query = new URLSearchParams('tenant=acme&q=old');
    putFilter(query, { ...nothing, project: 'p', mine: '1' });
    assert.equal(String(query), 'tenant=acme&project=p&mine=1');
    assert.ok(isOn(filterOf(query)) && !isOn(nothing));
});

test('a clock that runs moves once in a second, and never back', () => {
    assert.deepEqual([-500, 0, 999, 1000, 9999, 10000, 59999, 60000, 61500].map(elapsed),
        ['0 s', '0 s', '0 s', '1 s', '9 s', '10 s', '59 s', '1 min 00 s', '1 min 01 s']);
});

test('percentiles are of live updates only', () => {
    const measures = new Measures();
    for (let i = 1; i <= 100; i++)
        measures.add(1000, i);
    measures.add(1000, null);
    assert.equal(measures.percentile(0.5), 51);
    assert.equal(measures.percentile(0.95), 96);
    assert.equal(measures.total, 101);
});

test('the rate is of the last five whole seconds', () => {
    const measures = new Measures();
    for (let second = 0; second < 10; second++)
        for (let i = 0; i < 4; i++)
            measures.add(second * 1000 + i, 1);
    measures.advance(10000);
    assert.equal(measures.rate(), 4);
    measures.advance(100000);
    assert.equal(measures.rate(), 0);
});

test('a sparkline stays inside its box', () => {
    const path = sparkline([0, null, 10, 5], 120, 32, 5);
    const numbers = path.match(/[\d.]+/g).map(Number);
    assert.ok(numbers.every((value) => value >= 0 && value <= 120), path);
    assert.ok(path.startsWith('M0 32L') && path.endsWith('L120 32Z'), path);
});

test('a command is on its way until the review says otherwise, and is nobody else\'s', () => {
    const asked = [], told = [];
    const commands = new Commands({ ask: (...args) => asked.push(args) }, { user: (id) => id }, (title) => told.push(title), () => {});
    const review = { id: 'r1', version: 1, state: 'open', by: null, queue: 'legal' };
    const may = () => commands.of(review, 'ann');
    assert.deepEqual(may(), { may: ['claim', 'decide'], busy: false });
    commands.send('claim', review);
    const [verb, payload, { room, id }] = asked[0];
    assert.deepEqual([verb, payload, room], ['review.claim', { review: 'r1', version: 1 }, 'review:legal']);
    assert.deepEqual(may(), { may: [], busy: true });
    commands.refused({ id: 'r1', command: 'of another', reason: 'claimed' });
    assert.deepEqual(told, [], 'what is told to others');
    commands.took({ id: 'r1', version: 2, state: 'claimed', by: 'bob', command: 'of another' }, []);
    assert.deepEqual(told, ['bob was faster']);
    commands.send('claim', review);
    commands.clear();
    assert.deepEqual(may(), { may: ['claim', 'decide'], busy: false });
    commands.took({ id: 'r1', version: 2, state: 'claimed', by: 'ann', command: id }, []);
    assert.deepEqual(told, ['bob was faster'], 'whoever looks now has said nothing');
});
