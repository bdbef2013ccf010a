/* One hostile client, and one hostile record, after another against a gateway that serves an honest client: the process
 * lives, the honest client gets each of its events once and in order, the hostile one is told why, and memory is bounded. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { once } from 'node:events';
import { test } from 'node:test';
import { Kafka, logLevel, Partitioners } from 'kafkajs';
import { WebSocket } from 'ws';
import { FORMS } from './lib/backend.mjs';
import { assertConsecutive, token } from './lib/client.mjs';
import { SLOW } from './lib/places.mjs';
import { eventually, PATIENCE, within } from './lib/wait.mjs';
import { SECRET, taskEvent, World } from './lib/world.mjs';

const MEMORY = 128 * 1024 * (process.env.BUILD_DIR === 'build' ? 1 : 6); // KiB; sanitizers keep what was freed for a while
const CONNECT = (bearer) => `40${JSON.stringify({ token: bearer })}`;

const resident = (program) => Number(/^VmRSS:\s+(\d+) kB/m.exec(fs.readFileSync(`/proc/${program.pid}/status`, 'utf8'))[1]);

/* A long-polling client that is written by hand: it posts what it likes and reads when it likes. */
class Poller {
    constructor(gateway) { this.base = `${gateway.url}/socket.io/?EIO=4&transport=polling`; }

    async open() {
        const body = await (await fetch(this.base)).text();
        this.base += `&sid=${JSON.parse(body.slice(1)).sid}`;
        return this;
    }

    post(body) { return fetch(this.base, { method: 'POST', body, headers: { 'content-type': 'text/plain;charset=UTF-8' } }); }

    async read() { return (await fetch(this.base)).text(); }
}

/* A Socket.IO client over a WebSocket, by hand; `heard` has all packets, `closed` resolves to code and reason. */
async function openWebSocket(gateway) {
    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`);
    socket.heard = [];
    socket.on('error', () => {});
    socket.on('message', (data) => {
        socket.heard.push(data.toString());
        if (data.toString() === '2')
            socket.send('3');
    });
    socket.closed = once(socket, 'close').then(([code, reason]) => ({ code, reason: reason.toString() }));
    await once(socket, 'open');
    return socket;
}

const hears = (socket, pattern) => eventually(() => socket.heard.find((packet) => pattern.test(packet)),
    { what: () => `${pattern}; heard: ${socket.heard.slice(-3).join(' | ').slice(0, 500)}` });

const ATTACKS = {
    async 'forty thousand requests by polling, and no answer read'(gateway, good) {
        for (const packet of ['42["subscribe","task:1"]', '42["unsubscribe","task:1"]']) {
            const poller = await new Poller(gateway).open();
            await poller.post(CONNECT(good));
            const body = Array(9999).fill(packet).join('\x1e');
            for (let i = 0; i < 4; i++)
                await poller.post(body);
            const said = await poller.read();
            assert.ok(said.length < 2 * 1024 * 1024, `${said.length} bytes wait`);
        }
    },
    async 'forty thousand requests by WebSocket, and no answer read'(gateway, good) {
        const socket = await openWebSocket(gateway);
        socket.send(CONNECT(good));
        await hears(socket, /^40\{/);
        socket.pause();
        for (let i = 0; i < 40000 && socket.readyState === WebSocket.OPEN; i++)
            socket.send(`42${i}["subscribe","${'task:'}${i}"]`);
        socket.resume();
        await eventually(() => socket.readyState === WebSocket.CLOSED || socket.heard.at(-1).startsWith('4339999['),
            { what: 'an end, or all answers' });
        socket.terminate();
    },
    async 'five hundred bad signatures on one connection'(gateway) {
        const socket = await openWebSocket(gateway);
        for (let i = 0; i < 500 && socket.readyState === WebSocket.OPEN; i++)
            socket.send(CONNECT(token({ sub: 'usr_evil', tenant: 'acme', n: i }, 'not the secret of the tests at all')));
        const { code, reason } = await within(PATIENCE, socket.closed, 'the end of the connection');
        assert.equal(code, 1008);
        assert.match(reason, /^[a-z_]+$/);
        assert.ok(socket.heard.filter((packet) => packet.startsWith('44')).length <= 10, socket.heard.length);
    },
    async 'names of events that are endless, or no text'(gateway, good) {
        const socket = await openWebSocket(gateway);
        socket.send(CONNECT(good));
        await hears(socket, /^40\{/);
        const names = [`review.${'A'.repeat(900000)}`, 'review.\r\nx: y', 'review.\u001b[2J', 'review.\u0000'];
        for (const [i, name] of names.entries()) {
            socket.send(`42${i}${JSON.stringify([name, {}])}`);
            const answer = await hears(socket, new RegExp(`^43${i}\\[`));
            assert.match(answer, /"ok":false/);
            assert.match(answer, /"message":"[^"]{10,}/);
        }
        socket.terminate();
    },
    async 'JSON that is nested without end'(gateway, good) {
        const socket = await openWebSocket(gateway);
        socket.send(CONNECT(good));
        await hears(socket, /^40\{/);
        for (const depth of [65, 500, 100000]) {
            socket.send(`421["review.claim",${'['.repeat(depth)}${']'.repeat(depth)}]`);
            await hears(socket, /^431\[.*"ok":false/);
            socket.heard.length = 0;
        }
        socket.terminate();
    },
    async 'pages of other sites'(gateway, good) {
        const headers = { origin: 'https://evil.example' };
        for (const path of ['/socket.io/?EIO=4&transport=polling', `/sse?room=task:1&token=${good}`]) {
            const response = await fetch(gateway.url + path, { headers });
            assert.equal(response.status, 403, path);
            assert.match(await response.text(), /origin_not_allowed/);
        }
        const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/ws`, 'smartstack.v1.json', { headers });
        const [, response] = await once(socket, 'unexpected-response');
        assert.equal(response.statusCode, 403);
    },
    async 'records that no dispatcher wrote'(gateway, good, world) {
        const producer = new Kafka({ brokers: [world.broker.address], logLevel: logLevel.NOTHING })
            .producer({ createPartitioner: Partitioners.DefaultPartitioner });
        await producer.connect();
        const odd = [
            { key: 'k'.repeat(70000), value: 'x' }, { key: null, value: null }, { key: '', value: '' },
            { key: 'acme', value: Buffer.from([0xff, 0xff, 0xff, 0xff]) },
            { key: 'acme', value: 'x', headers: { rooms: Buffer.alloc(7) } },
            { key: 'acme', value: 'x', headers: { rooms: Buffer.alloc(800000) } },
        ];
        for (let partition = 0; partition < 8; partition++)
            await producer.send({ topic: 'fanout.tenant', messages: odd.map((message) => ({ ...message, partition })) });
        await producer.disconnect();
        await eventually(async () => await world.metric(gateway, 'smartstack_gateway_records_faulty_total') >= 3,
            { what: 'the records are counted' });
    },
};

test('what is hostile harms nobody else', { timeout: 240000 * SLOW }, async (t) => {
    const settings = { gateway: { cors: { origins: ['https://app.example'] }, access: { events: ['review.*'] } } };
    const world = await World.open(t, 'boundary', { settings });
    await world.dispatcher();
    const gateway = await world.gateway();
    const backend = await world.backend();
    const honest = await world.client(gateway, { rooms: ['task:honest'] });
    const { pid } = gateway;
    let n = 0;
    for (const [name, attack] of Object.entries(ATTACKS)) {
        await t.test(name, async () => {
            const bearer = token({ sub: `usr_${n}`, tenant: 'acme' }, SECRET);
            const records = Array.from({ length: 20 }, () => FORMS.json(taskEvent({ taskId: 'honest', n: ++n })));
            await Promise.all([attack(gateway, bearer, world), backend.records(records)]);
            await honest.waitCount(n);
            assert.ok(gateway.alive && gateway.pid === pid, gateway.tail());
            const kib = resident(gateway);
            assert.ok(kib < MEMORY, `${kib} KiB`);
        });
    }
    assertConsecutive(honest.received, { last: n, number: ({ notification }) => notification.taskStatus.data.n });
    assert.ok(honest.socket.connected);
});
