/* What the demo page makes of the notifications it is given. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Measures, sparkline } from '../../../deploy/demo-app/page/js/latency.js';
import { Store } from '../../../deploy/demo-app/page/js/store.js';

let number = 0;

function status(event, data = {}, more = {}) {
    number += 1;
    return {
        id: `n${number}`, eventId: `e${number}`, time: '2026-03-02T08:00:00Z', rooms: ['tenant:acme'], rules: ['board'],
        taskStatus: { event, taskId: 't1', type: 'ocr', status: '', priority: 'high', projectId: 'p', userId: 'u', tenantId: 'acme', data, ...more },
    };
}

function alert(reason, priority, queue = 'quality') {
    number += 1;
    return { id: `n${number}`, eventId: `e${number}`, time: '2026-03-02T08:00:00Z', reviewAlert: { queue, reason, priority, taskId: 't1' } };
}

test('a task follows its events', () => {
    const store = new Store();
    const phase = (...args) => store.status(status(...args)).phase;
    assert.equal(phase('task.created', { documents: [{ name: 'a.pdf' }, { name: 'b.pdf' }] }), 'waiting');
    assert.equal(phase('task.started', { attempt: 1 }), 'running');
    assert.equal(store.status(status('task.progress', {}, { progress: 40 })).progress, 40);
    assert.equal(phase('task.failed', { attempt: 1, final: false, error: { code: 'X' } }), 'waiting');
    assert.equal(phase('task.started', { attempt: 2 }), 'running');
    const task = store.status(status('task.completed', { durationMs: 1200, confidence: 0.5 }));
    assert.equal(task.phase, 'completed');
    assert.equal(task.title, 'a.pdf');
    assert.equal(task.durationMs, 1200);
    assert.deepEqual(store.totals, { completed: 1, failed: 0 });
});

test('an event that comes in two lanes counts once', () => {
    const store = new Store();
    const first = status('task.completed');
    assert.ok(store.status(first));
    assert.equal(store.status({ ...first, id: 'of another lane' }), null);
    assert.equal(store.totals.completed, 1);
});

test('alerts of one task and queue are one review with all reasons and the highest priority', () => {
    const store = new Store();
    store.review(alert('pii', 'normal'));
    store.review(alert('cost', 'critical'));
    store.review(alert('cost', 'low'));
    store.review(alert('pii', 'low', 'finance'));
    assert.equal(store.reviews.size, 2);
    const review = store.reviews.get('quality/t1');
    assert.deepEqual(review.reasons, ['pii', 'cost']);
    assert.equal(review.priority, 'critical');
});

test('a decision closes the reviews of its task, and they are forgotten later', () => {
    const store = new Store();
    store.review(alert('pii', 'normal'));
    store.status(status('review.completed', { review: { queue: 'quality', decision: 'approved' } }));
    const review = store.reviews.get('quality/t1');
    assert.equal(review.decision, 'approved');
    store.expire(review.decidedAt + 1000, 5000);
    assert.equal(store.reviews.size, 1);
    store.expire(review.decidedAt + 6000, 5000);
    assert.equal(store.reviews.size, 0);
});

test('a task of which only a review is known is not shown as waiting', () => {
    const store = new Store();
    assert.equal(store.status(status('review.required', { review: { queue: 'quality' } })).phase, 'completed');
});

test('what is kept has a limit', () => {
    const store = new Store();
    for (let i = 0; i < 1000; i++) {
        store.status(status('task.created', {}, { taskId: `task ${i}` }));
        store.review({ ...alert('pii', 'low'), reviewAlert: { queue: 'quality', reason: 'pii', priority: 'low', taskId: `task ${i}` } });
        store.notice({ id: i });
    }
    assert.ok(store.tasks.size <= 400 && store.reviews.size <= 80 && store.notices.length <= 80);
    assert.ok(store.tasks.has('task 999') && !store.tasks.has('task 0'));
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
