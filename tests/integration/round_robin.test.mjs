/* Several gateways behind plain round robin, request by request: stock clients do not notice. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertConsecutive } from './lib/client.mjs';
import { SLOW } from './lib/places.mjs';
import { RoundRobin } from './lib/round_robin.mjs';
import { eventually, sleep } from './lib/wait.mjs';
import { taskEvent, World } from './lib/world.mjs';

const GATEWAYS = 3;
const TASKS = Array.from({ length: 30 }, (_, i) => `task-${i}`);
const EVENTS = 60;

async function withGateways(t, name, run) {
    const world = await World.open(t, name);
    await world.dispatcher();
    const gateways = [];
    for (let i = 0; i < GATEWAYS; i++)
        gateways.push(await world.gateway({ name: `gateway-${i}` }));
    const balancer = await new RoundRobin(gateways).start();
    try {
        await run({ world, gateways, balancer, backend: await world.backend() });
    } finally {
        await balancer.stop();
    }
}

async function publish(backend, first = 1, last = EVENTS) {
    for (let n = first; n <= last; n++) {
        await backend.events(TASKS.map((taskId) => taskEvent({ taskId, n })));
        await sleep(20);
    }
}

async function expectAll(clients, last = EVENTS) {
    const received = () => clients.reduce((sum, client) => sum + client.received.length, 0);
    await eventually(() => received() >= TASKS.length * last, { timeout: 60000 * SLOW, what: () => `all events, ${received()} came` });
    await sleep(500);
    clients.forEach((client, i) => assertConsecutive(client.received,
        { last, number: ({ notification }) => notification.taskStatus.data.n, what: TASKS[i] }));
}

const clientsOf = (world, balancer, transports) => Promise.all(TASKS.map((taskId) => world.client(balancer,
    { rooms: [`task:${taskId}`], options: { transports } })));

test('long-polling through plain round robin', { timeout: 180000 * SLOW }, (t) => withGateways(t, 'round-robin-polling',
    async ({ world, balancer, backend }) => {
        const clients = await clientsOf(world, balancer, ['polling']);
        await publish(backend);
        await expectAll(clients);
        assert.equal(balancer.answers(400, 599), 0, `answers ${JSON.stringify([...balancer.codes])}`);
        assert.ok(clients.every(({ returns }) => !returns), 'nobody came back');
    }));

test('the default transports through plain round robin: every upgrade takes its session along', { timeout: 240000 * SLOW }, (t) => withGateways(t, 'round-robin-upgrade',
    async ({ world, gateways, balancer, backend }) => {
        let over = false;
        const published = (async () => { // while clients come and upgrade
            let n = 0;
            for (; !over; await sleep(20)) {
                n++;
                await backend.events(TASKS.map((taskId) => taskEvent({ taskId, n })));
            }
            return n;
        })();
        const clients = [];
        for (const taskId of TASKS) {
            const client = await world.client(balancer, { rooms: [`task:${taskId}`], options: { transports: ['polling', 'websocket'] } });
            client.connects = 1;
            client.socket.on('connect', () => client.connects++);
            clients.push(client);
        }
        await eventually(() => clients.every(({ transport }) => transport === 'websocket'), { timeout: 20000 * SLOW, what: 'all upgrades' });
        over = true;
        const last = await published;
        await eventually(() => clients.every(({ received }) => received.at(-1)?.notification.taskStatus.data.n === last),
            { timeout: 60000 * SLOW, what: 'the last event' });
        clients.forEach(({ received }, i) => {
            const numbers = received.map(({ notification }) => notification.taskStatus.data.n);
            numbers.forEach((n, j) => assert.equal(n, numbers[0] + j, `${TASKS[i]}: ${numbers}`));
        });
        assert.equal(balancer.answers(400, 599), 0, `answers ${JSON.stringify([...balancer.codes])}`);
        assert.ok(clients.every(({ connects }) => connects === 1), 'nobody came back');
        const metrics = await Promise.all(gateways.map(async ({ operations }) => (await fetch(`${operations}/metrics`)).text()));
        const value = (name) => metrics.reduce((sum, text) => sum + Number(text.match(new RegExp(`^smartstack_gateway_${name} (\\d+)$`, 'm'))?.[1] ?? NaN), 0);
        assert.ok(value('takeovers_total\\{outcome="done"\\}') > TASKS.length / 3, `taken over: ${value('takeovers_total\\{outcome="done"\\}')}`);
        assert.equal(value('takeovers_total\\{outcome="failed"\\}'), 0);
        assert.equal(value('engineio_sessions\\{transport="websocket"\\}'), TASKS.length);
        assert.equal(value('engineio_sessions\\{transport="polling"\\}'), 0);
    }));
