/* Hostile inputs to the gateway itself, on /socket.io/, /ws and /sse, while stock clients of all three get their
 * notifications: no crash, no leak, each notification once and in order, nobody disconnected, memory bounded.
 *
 *   node tests/hostile/gateway.test.mjs [--inputs N] [--seed N] [--kind NAME]
 *        [--only N]           input number N of this seed and nothing else
 *
 * tests/run sends 300. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseArgs } from 'node:util';
import { assertConsecutive, token } from '../integration/lib/client.mjs';
import { SLOW } from '../integration/lib/places.mjs';
import { EventClient, WebSocketClient } from '../integration/lib/streams.mjs';
import { eventually, sleep } from '../integration/lib/wait.mjs';
import { SECRET, taskEvent, World } from '../integration/lib/world.mjs';
import { attack, status, STREAM_WEIGHTS, WEIGHTS } from './lib/attack.mjs';
import { frame, target } from './lib/raw.mjs';

const { values } = parseArgs({
    options: {
        inputs: { type: 'string', default: '300' },
        seed: { type: 'string', default: '1' },
        kind: { type: 'string' },
        only: { type: 'string' },
    },
});
const INPUTS = Number(values.inputs);
const SEED = Number(values.seed);
const EVERY_MS = 50;
/* Memory of the release build while it is attacked, above what it needs for its well-behaved clients. */
const MEMORY_MOST_KB = 96 * 1024;

const settings = {
    gateway: {
        access: { events: ['task.cancel'] },
        client_events: { max_size: 100000 },
        socketio: { ping_interval: '2s', ping_timeout: '20s', max_payload: 1000000 },
        websocket: { ping_interval: '2s', ping_timeout: '20s', max_message: 1000000 },
    },
};

const hostile = token({ sub: 'hostile', tenant: 'acme' }, SECRET);
Object.assign(target, {
    paths: ['/socket.io/', '/ws'],
    polls: ['/socket.io/'],
    bare: '/socket.io/',
    connect: `40${JSON.stringify({ token: hostile })}`,
    connected: '"pid"',
    ask: '420["nothing"]',
    answer: '430[',
    noise: () => Buffer.concat(Array.from({ length: 4000 }, () => frame(9, 'x'.repeat(125)))),
    hello: JSON.stringify({ type: 'connect', token: hostile }),
    token: hostile,
});

/* Whether this process, and its clients with it, has just stood still for longer than a heartbeat may take: a stock client
 * that wakes up looks at its clock before its socket. It must come back, and miss nothing, but it was not disturbed. */
const standstill = { last: Date.now(), until: 0 };
setInterval(() => {
    const now = Date.now();
    if (now - standstill.last > 15000)
        standstill.until = now + 2000;
    standstill.last = now;
}, 100).unref();
const stoodStill = () => Date.now() < standstill.until || Date.now() - standstill.last > 15000;

/* Clients of every kind; what went wrong with one is in `faults`. */
async function openWitnesses(world, gateway) {
    const faults = [];
    const witnesses = [];
    const bearer = token({ sub: 'usr_test', tenant: 'acme' }, SECRET);
    for (let i = 0; i < 8; i++) {
        const client = await world.client(gateway, { rooms: ['task:witness'], options: i % 2 ? { transports: ['polling'] } : {} });
        client.socket.on('disconnect', (reason) => {
            if (reason !== 'ping timeout' || !stoodStill())
                faults.push(`socket.io ${i}: ${reason}`);
        });
        witnesses.push({ what: `socket.io ${i}`, client });
    }
    for (const protocol of ['smartstack.v1.json', 'smartstack.v1.protobuf']) {
        const client = await new WebSocketClient(gateway.url, { protocol, token: bearer }).connect();
        await client.subscribe('task:witness');
        witnesses.push({ what: protocol, client, interruptions: () => client.closes.length });
    }
    const client = await new EventClient(gateway.url, { rooms: ['task:witness'], token: bearer }).connect();
    witnesses.push({ what: 'sse', client, interruptions: () => client.sessions.length - 1 });
    return {
        check(last) {
            for (const { what, client: { received }, interruptions } of witnesses) {
                assertConsecutive(received, { last, number: ({ notification }) => notification.taskStatus.data.n, what });
                assert.equal(interruptions?.() ?? 0, 0, `${what} was interrupted`);
            }
            assert.deepEqual(faults, []);
        },
        have: (count) => witnesses.every((one) => one.client.received.length >= count),
        close() {
            witnesses.forEach(({ client }) => client.disconnect());
        },
    };
}

/* Notifications for the witnesses until it is told to stop; then how many. */
function produce(backend) {
    let n = 0;
    let stopped = false;
    const running = (async () => {
        while (!stopped) {
            await backend.events([taskEvent({ taskId: 'witness', n: ++n })]);
            await sleep(EVERY_MS);
        }
        return n;
    })();
    return () => { stopped = true; return running; };
}

test(`the gateway takes ${INPUTS} hostile inputs (seed ${SEED})`, { timeout: (120000 + INPUTS * 150) * SLOW }, () =>
    World.use('hostile-gateway', { broker: 'embedded', settings }, async (world) => {
        await world.dispatcher();
        const gateway = await world.gateway();
        gateway.port = Number(new URL(gateway.url).port);
        const witnesses = await openWitnesses(world, gateway);
        const stop = produce(await world.backend());
        await sleep(1000);
        const before = status(gateway.pid);
        const numbers = values.only ? [Number(values.only)] : Array.from({ length: INPUTS }, (_, i) => i);
        const began = Date.now();
        const weights = values.kind ? { [values.kind]: 1 } : { ...WEIGHTS, ...STREAM_WEIGHTS };
        const { counts, wrongs, peak } = await attack(gateway, numbers, { seed: SEED, weights });
        const seconds = (Date.now() - began) / 1000;
        assert.ok(gateway.alive, `the gateway has ended\n${gateway.tail(60)}`);
        const last = await stop();
        await eventually(() => witnesses.have(last), { timeout: 60000 * SLOW, what: `${last} notifications for everyone` });
        await sleep(500); // for what should not come
        /* Sessions that were left alone end by their heartbeat. */
        await eventually(() => status(gateway.pid).descriptors <= before.descriptors,
            { timeout: 90000 * SLOW, interval: 200, what: () => `${status(gateway.pid).descriptors} descriptors, ${before.descriptors} before` });
        console.log(JSON.stringify({ seconds, counts, notifications: last, memoryKb: { before: before.memoryKb, peak, after: status(gateway.pid).memoryKb } }));
        assert.deepEqual(wrongs, []);
        witnesses.check(last);
        if (SLOW === 1)
            assert.ok(peak - before.memoryKb < MEMORY_MOST_KB, `${before.memoryKb} kB before, ${peak} kB at most`);
        witnesses.close();
    }));
