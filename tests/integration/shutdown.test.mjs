/* SIGTERM under load: the programs end with code 0, and after a restart nothing is lost and nothing comes twice. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeNotification } from './lib/backend.mjs';
import { assertConsecutive } from './lib/client.mjs';
import { SLOW } from './lib/places.mjs';
import { awaitedLater, eventually, sleep } from './lib/wait.mjs';
import { taskEvent, World } from './lib/world.mjs';

const TASKS = Array.from({ length: 20 }, (_, i) => `task-${i}`);
const EVENTS = 150;

test('a program that is asked to end ends in good order, and goes on where it stood', { timeout: 180000 * SLOW }, async (t) => {
    const world = await World.open(t, 'shutdown');
    const programs = { dispatcher: await world.dispatcher(), gateway: await world.gateway() };
    const backend = await world.backend();
    const transports = [['websocket'], ['polling'], ['polling', 'websocket']];
    const clients = await Promise.all(TASKS.map((taskId, i) => world.client(programs.gateway,
        { rooms: [`task:${taskId}`], options: { transports: transports[i % 3] } })));
    const recoveries = [];
    clients.forEach(({ socket }) => socket.on('connect', () => recoveries.push(socket.recovered)));
    const received = () => clients.reduce((sum, client) => sum + client.received.length, 0);

    const produced = awaitedLater((async () => {
        for (let n = 1; n <= EVENTS; n++) {
            await backend.events(TASKS.map((taskId) => taskEvent({ taskId, n })));
            await sleep(40 * SLOW);
        }
    })());

    const order = ['dispatcher', 'gateway', 'dispatcher', 'gateway'];
    for (const [i, name] of order.entries()) {
        await eventually(() => received() >= ((i + 1) * TASKS.length * EVENTS) / (order.length + 1),
            { timeout: 60000 * SLOW, what: () => `enough events before step ${i}, ${received()} came` });
        const program = programs[name];
        program.signal('SIGTERM');
        const end = await program.waitEnd(15000 * SLOW);
        assert.deepEqual(end, { code: 0, signal: null }, `${name} ends with code 0\n${program.tail()}`);
        program.start();
        await world.waitReady(program);
    }
    await produced;
    await eventually(() => received() >= TASKS.length * EVENTS,
        { timeout: 60000 * SLOW, what: () => `all events, ${received()} came of ${TASKS.length * EVENTS}` });
    await sleep(1000);

    clients.forEach((client, i) => assertConsecutive(client.received,
        { last: EVENTS, number: ({ notification }) => notification.taskStatus.data.n, what: TASKS[i] }));
    assert.ok(recoveries.length >= 2 * TASKS.length, `${recoveries.length} reconnections`);
    assert.ok(recoveries.every(Boolean), 'every client recovered');
    const published = (await world.broker.read('fanout.tenant')).map(({ value }) => decodeNotification(value));
    assert.equal(published.length, TASKS.length * EVENTS, 'committed notifications');
});
