/* --replay on a real broker: what was is judged by other rules, between two times, without a trace; twice the same bytes. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { PROGRAMS, SLOW } from './lib/places.mjs';
import { taskEvent, World } from './lib/world.mjs';

const OLD = `rules:
  - {name: all, when: {event: [{prefix: task.}]}, rooms: ["task:{taskId}"]}
  - {name: even, when: {event: [task.even]}, rooms: ["task:{taskId}"]}
  - {name: tenant, when: {event: [task.odd]}, rooms: ["tenant:{tenantId}"]}
`;
const NEW = `rules:
  - {name: all, when: {event: [{prefix: task.}]}, rooms: ["task:{taskId}"]}
  - {name: even, when: {event: [task.even, task.odd]}, rooms: ["task:{taskId}"]}
  - {name: tenant, when: {event: [task.odd]}, rooms: ["tenant:{tenantId}", "user:{userId}"]}
`;
const EVENTS = 400;

test('replay: rule by rule what would be otherwise, twice the same bytes', { timeout: 200000 * SLOW }, async (t) => {
    const world = await World.open(t, 'replay', { rules: OLD });
    const backend = await world.backend();
    const start = Math.floor(Date.now() / 1000) * 1000 - 3600000; // within retention
    const records = Array.from({ length: EVENTS }, (_, n) => ({
        key: `task-${n % 40}`, timestamp: String(start + n * 1000),
        value: JSON.stringify(taskEvent({ taskId: `task-${n % 40}`, n, event: n % 2 ? 'task.odd' : 'task.even' })),
    }));
    await backend.records(records);
    await backend.records([{ key: 'x', timestamp: String(start + 5000), value: 'nonsense' }]);
    const file = path.join(world.data, 'new.yaml');
    fs.writeFileSync(file, NEW);
    const config = world.writeConfiguration('replay', {});
    const topics = async () => (await world.broker.admin((admin) => admin.listTopics())).filter((name) => !name.startsWith('__')).sort(); // but Kafka's own
    const before = await topics();

    let runs = 0;
    const replay = async (...args) => {
        const program = world.program(`replay-${++runs}`, PROGRAMS.dispatcher, ['--config', config, '--replay', '--rules', file, ...args]).start();
        program.foreign = true;
        const { code } = await program.waitEnd(60000 * SLOW);
        assert.equal(code, 0, program.text());
        return program.text().split('\n').filter((line) => line.startsWith('{')).join('\n');
    };
    const times = ['--from', new Date(start + 100000).toISOString(), '--to', new Date(start + 300000).toISOString()];
    const first = await replay();
    assert.equal(await replay(), first, 'twice the same bytes');
    const lines = (text) => Object.fromEntries(text.split('\n').map(JSON.parse).map((line) => [line.rule ?? (line.topic ? `${line.topic}-${line.partition}` : 'whole'), line]));
    const all = lines(first);
    assert.equal(all.whole.events, EVENTS + 1);
    assert.deepEqual(all.whole.dead, { before: 1, after: 1 });
    const counts = ({ before: was, after, more, less, changed }) => [was, after, more, less, changed];
    assert.deepEqual(counts(all.all), [400, 400, 0, 0, 0]);
    assert.deepEqual(counts(all.even), [200, 400, 200, 0, 0]);
    assert.deepEqual(counts(all.tenant), [200, 200, 0, 0, 200]);
    assert.equal(all.even.samples.more.length, 5);

    const part = lines(await replay(...times));
    assert.deepEqual(counts(part.all), [200, 200, 0, 0, 0], 'of 100 s to 300 s');
    const same = lines(await replay('--diff', file));
    assert.deepEqual(counts(same.even), [400, 400, 0, 0, 0], 'a file against itself');

    assert.deepEqual(await topics(), before, 'no topic was made');
    assert.deepEqual(await world.broker.read('fanout.tenant'), [], 'nothing was produced');
});
