/* Many stock JavaScript clients at once, half of them by polling only, the others by their default (an upgrade while
 * events flow already). Each sends events with attachments and gets every one back: once, in order, unchanged.
 *
 *   node tests/clients/swarm.test.mjs [--clients N] [--events N] [--seed N]
 *
 * tests/run uses a smaller swarm than the defaults of `full`, which is 100 clients with 1,000 events each. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { parseArgs } from 'node:util';
import { io } from 'socket.io-client';
import { Random } from '../chaos/lib/random.mjs';
import { newLogDirectory, SLOW } from '../integration/lib/places.mjs';
import { sleep, within } from '../integration/lib/wait.mjs';
import { endWell, startEcho } from './lib/echo.mjs';

const { values } = parseArgs({
    options: {
        clients: { type: 'string', default: '20' },
        events: { type: 'string', default: '200' },
        seed: { type: 'string', default: '1' },
    },
});
const CLIENTS = Number(values.clients);
const EVENTS = Number(values.events);
const SEED = Number(values.seed);
const LIMIT_MS = (30000 + CLIENTS * EVENTS * 3) * SLOW;

/* What event `index` of a client carries follows from its chance, so that the answer can be compared with it. */
function payload(random) {
    const attachments = Array.from({ length: random.integer(1, 4) },
        () => Buffer.alloc(random.pick([0, 1, 3, 100, 1000]), random.integer(0, 256)));
    return [`text ${random.bits()} \u2028\u{1f600}`, { attachments, more: [null, random.fraction()] }];
}

class Client {
    constructor(url, number, chance) {
        Object.assign(this, { number, sendChance: chance.fork(), pauses: chance.fork(), got: 0, faults: [] });
        this.expected = [];
        this.polling = number % 2 === 0;
        this.socket = io(url, { forceNew: true, reconnection: false, ...(this.polling ? { transports: ['polling'] } : {}) });
        this.done = new Promise((resolve, reject) => {
            this.socket.on('connect_error', reject);
            this.socket.on('disconnect', (reason, details) => reject(new Error(
                `client ${number}: ${reason} (${details?.message}, ${details?.description}) after ${this.got} events`)));
            this.socket.on('message-back', (...args) => {
                const expected = this.expected.shift();
                try {
                    assert.deepEqual(args, expected);
                } catch (error) {
                    reject(error);
                }
                if (++this.got === EVENTS)
                    resolve();
            });
        });
        this.done.catch(() => {});
    }

    /* Begins at once, before the connection stands. */
    async send() {
        for (let i = 0; i < EVENTS; i++) {
            const event = [i, ...payload(this.sendChance)];
            this.expected.push(event);
            this.socket.emit('message', ...event);
            if (this.pauses.fraction() < 0.05)
                await sleep(this.pauses.integer(0, 30));
        }
    }
}

test(`${CLIENTS} clients get each of ${EVENTS} events once and in order (seed ${SEED})`, { timeout: LIMIT_MS + 10000 }, async () => {
    const log = path.join(newLogDirectory('swarm'), 'echo.log');
    const server = await startEcho(log, { options: ['--ping-interval', 1000, '--ping-timeout', 200000, '--connect-timeout', 200000] });
    const chance = new Random(SEED);
    const clients = Array.from({ length: CLIENTS }, (_, i) => new Client(server.url, i, chance.fork()));
    const began = Date.now();
    try {
        await within(LIMIT_MS, Promise.all(clients.flatMap((client) => [client.send(), client.done])), `all events; got ${clients.map((c) => c.got)}`);
        const took = Date.now() - began;
        await sleep(500); // what came twice would come now
        for (const client of clients) {
            assert.equal(client.got, EVENTS, `client ${client.number}`);
            assert.equal(client.socket.io.engine.transport.name, client.polling ? 'polling' : 'websocket');
        }
        console.log(`${CLIENTS * EVENTS} events there and back in ${took} ms`);
        clients.forEach((client) => client.socket.off('disconnect').disconnect());
        await endWell(server);
    } finally {
        clients.forEach((client) => client.socket.off('disconnect').disconnect());
        await server.kill(); // nothing if it has ended
    }
});
