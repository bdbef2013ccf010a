/* The work of tests/bench/latency. Producer and clients are in this one process, so there is one clock. */
import { execFileSync } from 'node:child_process';
import os from 'node:os';
import { parseArgs } from 'node:util';
import { FORMS, INPUT_TOPIC } from '../integration/lib/backend.mjs';
import { SOURCE_DIR } from '../integration/lib/places.mjs';
import { eventually, sleep } from '../integration/lib/wait.mjs';
import { taskEvent, World } from '../integration/lib/world.mjs';

const { values } = parseArgs({
    options: {
        rate: { type: 'string', default: '200' },
        seconds: { type: 'string', default: '20' },
        rooms: { type: 'string', default: '10' },
        transports: { type: 'string', default: 'websocket' },
        'warm-up': { type: 'string', default: '60' },
        reps: { type: 'string', default: '1' },
    },
});
const rate = Number(values.rate);
const seconds = Number(values.seconds);
const rooms = Number(values.rooms);
const warmUpSeconds = Number(values['warm-up']); /* the broker's compiler is done by then */

const percentile = (sorted, p) => sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * p) / 100))];
const row = (cells) => `| ${cells.join(' | ')} |`;
const milliseconds = (value) => value.toFixed(1);

function describe(name, samples) {
    const sorted = Float64Array.from(samples).sort();
    return [name, sorted.length, ...[50, 90, 99].map((p) => milliseconds(percentile(sorted, p))), milliseconds(sorted.at(-1))];
}

/* Sends one event after another at the given rate; returns when each was sent and acknowledged. */
async function produce(backend, sent, acknowledged, count, first) {
    const start = performance.now();
    const pending = [];
    for (let i = 0; i < count; i++) {
        const due = start + (i * 1000) / rate;
        const wait = due - performance.now();
        if (wait > 0)
            await sleep(wait);
        const n = first + i;
        const message = FORMS.json(taskEvent({ taskId: `task-${n % rooms}`, n }));
        sent[n] = performance.now();
        pending.push(backend.records([message], INPUT_TOPIC).then(() => { acknowledged[n] = performance.now(); }));
    }
    await Promise.all(pending);
}

async function measure(world) {
    await world.dispatcher();
    const gateway = await world.gateway();
    const backend = await world.backend();
    const clients = await Promise.all(Array.from({ length: rooms }, (_, i) => world.client(gateway,
        { rooms: [`task:task-${i}`], options: { transports: [values.transports] } })));
    const arrived = [];
    clients.forEach((client) => client.listeners.add(({ notification, at }) => { arrived[notification.taskStatus.data.n] = at; }));
    const sent = [];
    const acknowledged = [];
    const warmUp = rate * warmUpSeconds;
    const count = rate * seconds;
    await produce(backend, sent, acknowledged, warmUp, 0);
    await produce(backend, sent, acknowledged, count, warmUp);
    await eventually(() => clients.reduce((sum, client) => sum + client.received.length, 0) >= warmUp + count, { what: 'all notifications' });
    const measured = Array.from({ length: count }, (_, i) => warmUp + i);
    console.log(row(describe('produce to handler', measured.map((n) => arrived[n] - sent[n]))));
    console.log(row(describe('of it, produce to the broker\'s ack', measured.map((n) => acknowledged[n] - sent[n]))));
}

const commit = execFileSync('git', ['-C', SOURCE_DIR, 'rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
console.log(`${rate} events/s for ${seconds} s in ${rooms} rooms of one stock client each, ${values.transports}; ${os.cpus().length} x ${os.cpus()[0].model}; commit ${commit}\n`);
console.log(row(['ms', 'events', 'p50', 'p90', 'p99', 'max']));
console.log(row(['---', '---:', '---:', '---:', '---:', '---:']));
for (let i = 0; i < Number(values.reps); i++)
    await World.use('latency', { brokerEnvironment: { KAFKA_AS_SHIPPED: '1' } }, measure);
process.exit(0);
