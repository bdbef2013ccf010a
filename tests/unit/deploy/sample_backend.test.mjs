/* The sample backend's stream: believable, repeatable, and in the shape that the shared rules expect. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { decisionOf } from '../../../deploy/demo-app/backend/decision.mjs';
import { Random } from '../../../deploy/demo-app/backend/random.mjs';
import { Schedule } from '../../../deploy/demo-app/backend/schedule.mjs';
import { TaskStream } from '../../../deploy/demo-app/backend/stream.mjs';

const world = JSON.parse(readFileSync(new URL('../../../deploy/demo-app/world.json', import.meta.url), 'utf8'));

function tasks(seed, count, wish) {
    const stream = new TaskStream(world, new Random(seed));
    return Array.from({ length: count }, () => {
        const task = stream.next(wish);
        const time = new Date(0);
        return { task, events: task.steps.map((step, index) => stream.event(task, step, index + 1, time)) };
    });
}

test('one seed makes one stream', () => {
    const text = (seed) => JSON.stringify(tasks(seed, 50).map(({ events }) => events));
    assert.equal(text(7), text(7));
    assert.notEqual(text(7), text(8));
});

test('a task goes from created to an end, and nothing but reviews and the archive follow it', () => {
    for (const { events } of tasks(1, 500)) {
        const names = events.map(({ event }) => event);
        assert.deepEqual(names.slice(0, 2), ['task.created', 'task.queued']);
        const end = names.findIndex((name, index) =>
            name === 'task.completed' || name === 'task.cancelled' || (name === 'task.failed' && events[index].data.final));
        assert.ok(end > 1, names.join(' '));
        assert.ok(names.slice(end + 1, -1).every((name) => name.startsWith('review.')), names.join(' '));
        assert.equal(names.at(-1), 'task.archived');
        assert.deepEqual(events.map(({ seq }) => seq), events.map((_, index) => index + 1));
    }
});

test('each event says what its task is now', () => {
    const phases = { 'task.created': 'waiting', 'task.queued': 'waiting', 'task.started': 'running', 'task.progress': 'running', 'task.completed': 'completed', 'task.cancelled': 'cancelled' };
    for (const { events } of tasks(8, 300)) {
        let started;
        for (const { event, time, data } of events) {
            const { summary } = data;
            assert.deepEqual([summary.title, summary.documents, summary.createdAt], [events[0].data.documents[0].name, events[0].data.documents.length, events[0].time]);
            assert.ok(!phases[event] || summary.phase === phases[event], `${event}: ${summary.phase}`);
            assert.ok(event !== 'task.failed' || summary.phase === (data.final ? 'failed' : 'waiting'));
            if (event === 'task.started')
                started = time;
            assert.equal(summary.startedAt, started);
            assert.ok(event !== 'review.completed' || summary.review.decision === data.review.decision);
            assert.ok(!event.startsWith('review.') || summary.review.queue === data.review.queue);
        }
    }
});

test('a task that nobody goes on with is withdrawn', () => {
    const stream = new TaskStream(world, new Random(9));
    const task = stream.next();
    const event = stream.withdraw(task, 'backend-ended', 3, new Date(0));
    assert.deepEqual([event.event, event.taskId, event.seq, event.data.reason], ['task.archived', task.taskId, 3, 'backend-ended']);
});

test('progress of an attempt only grows and stays below 100', () => {
    for (const { events } of tasks(2, 300)) {
        let last = 0;
        for (const { event, data } of events) {
            if (event === 'task.started')
                last = 0;
            if (event !== 'task.progress')
                continue;
            assert.ok(data.progress >= last && data.progress < 100, `${last} then ${data.progress}`);
            last = data.progress;
        }
    }
});

test('no step comes before the one it follows', () => {
    for (const { task } of tasks(3, 300))
        assert.ok(task.steps.every(({ afterMs }) => afterMs >= 0), JSON.stringify(task.steps.map(({ afterMs }) => afterMs)));
});

test('a short doubtful task completes below its confidence limit within 15 seconds', () => {
    for (const { task } of tasks(4, 300, { type: 'classification', doubtful: true })) {
        const completed = task.steps.findIndex(({ event }) => event === 'task.completed');
        const afterMs = task.steps.slice(0, completed + 1).reduce((sum, step) => sum + step.afterMs, 0);
        assert.ok(afterMs < 15000, `${afterMs} ms`);
        assert.ok(task.steps[completed].data.confidence < 0.7);
    }
});

test('users and projects are those of the task\'s tenant', () => {
    const tenants = new Map(world.tenants.map((tenant) => [tenant.id, tenant]));
    for (const { task } of tasks(5, 300)) {
        const tenant = tenants.get(task.tenantId);
        assert.ok(tenant.users.some(({ id }) => id === task.userId));
        assert.ok(tenant.projects.some(({ id }) => id === task.projectId));
    }
});

test('a schedule gives what is due, in the order of time, then of adding', () => {
    const random = new Random(6);
    const schedule = new Schedule();
    const expected = [];
    for (let i = 0; i < 1000; i++) {
        const at = random.integer(0, 50);
        schedule.add(at, i);
        expected.push([at, i]);
    }
    expected.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    const taken = [];
    for (let now = 0; now <= 50; now++)
        for (let due = schedule.take(now); due; due = schedule.take(now)) {
            assert.equal(due.atMs, now);
            taken.push([due.atMs, due.item]);
        }
    assert.deepEqual(taken, expected);
    assert.equal(schedule.size, 0);
});

test('a record that is no decision is none, whatever it holds', () => {
    const record = (value, key = 't1') => ({ key: key && Buffer.from(key), value: value && Buffer.from(value) });
    assert.deepEqual(decisionOf(record('{"decision":"reject","by":"ann"}')), { decision: 'reject', by: 'ann', taskId: 't1' });
    for (const odd of [record('{'), record('null'), record('[]'), record('{"decision":1}'), record(null), record('{"decision":"reject"}', null)])
        assert.equal(decisionOf(odd), null);
});
