/* Hostile clients, a process of their own so that what they cost themselves is not the gateway's:
 *   attackers.mjs URL COUNT SEED PACE SECRET TENANT [KIND]...      PACE: how often each of them does something, in a second
 * They attack after a line "go" on standard input until a line "rest", then have no connection, again and again. On "rest"
 * they tell what they have done, as a line of JSON. */
import readline from 'node:readline';
import { frame, openPolling, openWebSocket, post, Raw, request, target } from '../../hostile/lib/raw.mjs';
import { token } from '../../integration/lib/client.mjs';
import { Random } from './random.mjs';

const [url, count, seed, pace, secret, tenant, ...kinds] = process.argv.slice(2);
const { port } = new URL(url);
const random = new Random(Number(seed));
const done = {};
let attacking = false;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const tell = (what, by = 1) => { done[what] = (done[what] ?? 0) + by; };
const times = (n, text) => Array.from({ length: n }, (_, i) => text(i));
const frames = (texts) => Buffer.concat(texts.map((text) => frame(1, text)));
const bearer = (number) => token({ sub: `hostile-${number}`, tenant }, secret);
const forged = `${bearer(0).slice(0, -8)}AAAAAAAA`;

/* A Socket.IO client over WebSocket that has been let in. */
async function enter(number) {
    const raw = await openWebSocket(port, '/socket.io/');
    raw.write(frame(1, `40${JSON.stringify({ token: bearer(number) })}`));
    await raw.until(() => raw.closed || raw.text().includes('"pid"'), 5000);
    return raw;
}

/* What one attacker does each time, on a connection of its own that open() makes. */
const KINDS = {
    'unread answers': {
        open: async (number) => {
            const { raw, sid } = await openPolling(port, '/socket.io/');
            raw.write(post('/socket.io/', sid, `40${JSON.stringify({ token: bearer(number) })}`));
            await raw.answered(1, 5000);
            return Object.assign(raw, { sid });
        },
        act: (raw) => {
            raw.write(post('/socket.io/', raw.sid, times(400, (i) => `42${i}["subscribe","task:fast-${i % 50}"]`).join('\x1e')));
            tell('subscribe', 400);
        },
    },
    'refused connects': {
        open: () => openWebSocket(port, '/socket.io/'),
        act: (raw) => {
            raw.write(frames(times(10, () => `40${JSON.stringify({ token: forged })}`)));
            tell('connect', 10);
        },
    },
    'joins and leaves': {
        open: enter,
        act: (raw) => {
            raw.write(frames(times(100, (i) => `42${i}["${i % 2 ? 'un' : ''}subscribe","task:fast-${i >> 1}"]`)));
            tell('subscribe', 50);
            tell('unsubscribe', 50);
        },
    },
    'connects': {
        open: async (number) => Object.assign(new Raw(port), { number }),
        act: (raw) => {
            for (let i = 0; i < 20; i++)
                enter(raw.number).then((entered) => entered.reset(), () => {}); // it may be refused
            tell('connect', 20);
        },
    },
    histories: {
        open: enter,
        act: (raw) => {
            raw.write(frames(times(5, (i) => `42${i}["subscribe","task:fast-${random.integer(0, 90)}",{"last":500}]`)));
            tell('history', 5);
        },
    },
    'odd frames': {
        open: enter,
        act: (raw) => {
            const odd = random.pick([
                () => frame(random.integer(3, 8), 'x'), () => frame(1, 'x'.repeat(50000)), () => frame(1, '42["subscribe",'),
                () => frame(1, `42${'['.repeat(1000)}`), () => frame(2, 'x', { fin: false }), () => frame(9, 'x'.repeat(125)),
                () => frame(1, '451-["task.cancel",{"_placeholder":true,"num":0}]'), () => frame(1, Buffer.from([0xff, 0xfe])),
                () => frame(1, '4'), () => Buffer.from(times(200, () => random.integer(0, 256))),
            ]);
            raw.write(odd());
            tell('odd frame');
        },
    },
    'event floods': {
        open: enter,
        act: (raw) => {
            raw.write(frames(times(100, (i) => `42${i}["task.cancel",{"text":"${'x'.repeat(500)}"}]`)));
            tell('event', 100);
        },
    },
    'streams left': {
        open: async (number) => Object.assign(new Raw(port), { number }),
        act: (raw) => {
            raw.write(request('GET', '/sse?room=task:fast-1&last=100', { fields: [`Authorization: Bearer ${bearer(raw.number)}`] }));
            tell('stream');
            setTimeout(() => raw.reset(), 100);
        },
    },
};

async function attack(number) {
    const names = kinds.length ? kinds : Object.keys(KINDS);
    const { open, act } = KINDS[names[number % names.length]];
    let raw;
    for (;;) {
        await sleep((1000 / pace) * (0.5 + random.fraction()));
        if (!attacking) {
            raw?.reset();
            raw = undefined;
            continue;
        }
        if (!raw || raw.closed) {
            raw = await open(number);
            tell('connection');
        }
        act(raw);
        raw.received = Buffer.alloc(0);
    }
}

Object.assign(target, { connect: '40{}', connected: '44' }); // enter() sends its own
for (let i = 0; i < Number(count); i++)
    void attack(i);
console.log('ready');
for await (const line of readline.createInterface({ input: process.stdin })) {
    attacking = line === 'go';
    if (!attacking) {
        console.log(JSON.stringify(done));
        Object.keys(done).forEach((what) => delete done[what]);
    }
}
process.exit(0);
