/* The broker is killed and comes back, under load: the programs stay, nobody is disconnected, nothing is lost and nothing
 * comes twice. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertConsecutive } from './lib/client.mjs';
import { SLOW } from './lib/places.mjs';
import { Stream } from './lib/stream.mjs';
import { awaitedLater, eventually, sleep } from './lib/wait.mjs';
import { taskEvent, World } from './lib/world.mjs';

const TASKS = Array.from({ length: 10 }, (_, i) => `task-${i}`);
const RESTARTS = 3;

test('a broker that is killed and comes back costs time, nothing else', { timeout: 240000 * SLOW }, async (t) => {
    const world = await World.open(t, 'broker_restart', { broker: 'own' });
    const programs = [await world.dispatcher(), await world.gateway()];
    const clients = await Promise.all(TASKS.map((taskId) => world.client(programs[1], { rooms: [`task:${taskId}`] })));
    const received = () => clients.reduce((sum, client) => sum + client.received.length, 0);
    let disconnects = 0;
    clients.forEach(({ socket }) => socket.on('disconnect', () => disconnects++));

    let over = false;
    let last = 0;
    const produced = awaitedLater((async () => {
        const stream = new Stream(world.broker);
        while (!over) {
            last++;
            await stream.write(TASKS.map((taskId) => taskEvent({ taskId, n: last })));
            await sleep(20);
        }
        await stream.close();
    })());

    const alive = () => programs.forEach((program) => {
        if (!program.alive)
            throw Object.assign(new Error(`${program.name} has ended\n${program.tail()}`), { final: true });
    });
    for (let i = 0; i < RESTARTS; i++) {
        const before = received();
        await eventually(() => received() > before + 200, { timeout: 60000 * SLOW, what: () => `live delivery\n${programs[0].tail()}` });
        await world.broker.kill();
        await sleep(500);
        await world.broker.start();
        await eventually(() => {
            alive();
            return received() > before + 1000;
        }, { timeout: 60000 * SLOW, what: () => `delivery after restart ${i}\n${programs[0].tail()}` });
    }
    over = true;
    await produced;
    await eventually(() => received() >= last * TASKS.length, { timeout: 60000 * SLOW, what: () => `${last * TASKS.length} notifications, ${received()} came` });
    await sleep(1000);
    alive();
    clients.forEach((client, i) => assertConsecutive(client.received,
        { last, number: ({ notification }) => notification.taskStatus.data.n, what: TASKS[i] }));
    assert.equal(disconnects, 0, 'nobody was disconnected');
});
