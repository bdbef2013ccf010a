/* Ten thousand events to a hundred clients in a hundred rooms, malformed records among them, and a dispatcher that is
 * killed on the way: each client gets exactly its events, once each and in order. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeNotification, FORMS } from './lib/backend.mjs';
import { assertConsecutive } from './lib/client.mjs';
import { SLOW } from './lib/places.mjs';
import { awaitedLater, eventually, sleep } from './lib/wait.mjs';
import { taskEvent, World } from './lib/world.mjs';

const ROOMS = 100;
const EVENTS_PER_ROOM = 100;
const KILLS = 3;
const TASKS = Array.from({ length: ROOMS }, (_, i) => `task-${i}`);

const protobuf = { 'content-type': 'application/protobuf' };
const structured = { 'content-type': 'application/cloudevents+json' };

/* Records that cannot be processed, each for another reason. */
const MALFORMED = [
    { value: 'not JSON at all' },
    { value: '' },
    { value: '{"event":"task.progress",}' },
    { value: '{"id":"cut off","event":"task.prog' },
    { value: '[{"event":"task.progress"}]' },
    { value: '"task.progress"' },
    { value: '42' },
    { value: 'null' },
    { value: '{"event":"task.progress"} and more' },
    { value: "{'event':'task.progress'}" },
    { value: '{"event":"task.progress","data":01}' },
    { value: '{"event":"task.progress","data":NaN}' },
    { value: Buffer.from('{"event":"\xff\xfe"}', 'latin1') },
    { value: '{"data":' + '['.repeat(100000) + ']'.repeat(100000) + '}' },
    { value: Buffer.from([0xff, 0xff, 0xff, 0xff]), headers: protobuf },
    { value: Buffer.from([0x0a, 0x7f, 0x41]), headers: protobuf },
    { value: '{"event":"task.progress"}', headers: { 'content-type': 'application/x-unknown' } },
    { value: '{"specversion":"1.0"', headers: structured },
    { value: '[]', headers: structured },
    { value: Buffer.from('\u0000\u0001\u0002') },
];

test('each client gets exactly its events, whatever befalls the dispatcher', { timeout: 240000 * SLOW }, async (t) => {
    assert.equal(MALFORMED.length, 20);
    const world = await World.open(t, 'exactly_once');
    const dispatcher = await world.dispatcher();
    const gateway = await world.gateway();
    const backend = await world.backend();
    const clients = await Promise.all(TASKS.map((taskId) => world.client(gateway, { rooms: [`task:${taskId}`] })));
    const received = () => clients.reduce((sum, client) => sum + client.received.length, 0);

    /* One event for every room at a time; every fifth time a malformed record in its midst, and a tombstone, which is no event. */
    const malformed = [...MALFORMED];
    const produced = awaitedLater((async () => {
        for (let n = 1; n <= EVENTS_PER_ROOM; n++) {
            const records = TASKS.map((taskId) => FORMS.json(taskEvent({ taskId, n })));
            if (n % 5 === 0)
                records.splice(ROOMS / 2, 0, { key: TASKS[n % ROOMS], ...malformed.shift() }, { key: TASKS[n % ROOMS], value: null });
            await backend.records(records);
            await sleep(50);
        }
    })());

    for (let kill = 1; kill <= KILLS; kill++) {
        await eventually(() => received() >= (kill * ROOMS * EVENTS_PER_ROOM) / (KILLS + 1),
            { timeout: 60000 * SLOW, what: () => `enough events before kill ${kill}, ${received()} came\n${dispatcher.tail()}` });
        await dispatcher.kill();
        dispatcher.start();
    }
    await produced;
    await eventually(() => received() >= ROOMS * EVENTS_PER_ROOM,
        { timeout: 90000 * SLOW, what: () => `all events, ${received()} came\n${dispatcher.tail()}` });
    await sleep(1000); // for what should not come

    clients.forEach((client, i) => assertConsecutive(client.received,
        { last: EVENTS_PER_ROOM, number: ({ notification }) => notification.taskStatus.data.n, what: TASKS[i] }));
    clients.forEach((client, i) => client.received.forEach(
        ({ notification }) => assert.deepEqual(notification.rooms, [`task:${TASKS[i]}`])));

    const published = (await world.broker.read('fanout.tenant')).map(({ value }) => decodeNotification(value));
    assert.equal(published.length, ROOMS * EVENTS_PER_ROOM, 'committed notifications');
    assert.equal(new Set(published.map(({ id }) => id)).size, published.length, 'every id once');

    const dead = await world.broker.read('tasks.dead-letter', { headers: true });
    assert.equal(dead.length, MALFORMED.length, 'dead letters');
    const text = (value) => (value ?? Buffer.alloc(0)).toString('latin1');
    assert.deepEqual(dead.map(({ value }) => text(value)).sort(), MALFORMED.map(({ value }) => text(value && Buffer.from(value))).sort());
    t.diagnostic(`reasons: ${[...new Set(dead.map(({ headers }) => `${headers['dead-letter-reason']}: ${headers['dead-letter-problem']}`))].join(' | ')}`);
    for (const { headers, value } of dead) {
        const beginning = text(value).slice(0, 40);
        assert.match(headers['dead-letter-reason'] ?? '', /^[\w-]+$/, `a reason for ${beginning}`);
        assert.ok(headers['dead-letter-problem']?.length > 5, `a problem that a person can read for ${beginning}`);
    }
    const origins = dead.map(({ headers }) => ['topic', 'partition', 'offset'].map((part) => headers[`dead-letter-${part}`]));
    origins.forEach((origin) => assert.equal(origin[0], 'tasks.events'));
    assert.equal(new Set(origins.map(String)).size, MALFORMED.length, 'origins are told apart');
});
