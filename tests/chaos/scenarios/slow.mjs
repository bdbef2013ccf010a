/* A tenth of the clients stop reading while megabytes are owed to each of them: that costs the gateway and the kernel no memory
 * after the first seconds, the others no time, and them nothing once they read again. */
import { sleep } from '../../integration/lib/wait.mjs';
import { World } from '../../integration/lib/world.mjs';
import { hears, hearsState, LOAD_SETTINGS, residentBytes, socketBytes, startLoad, takeLatencies } from '../lib/load.mjs';

export const description = '100 of 1,000 clients do not read for 60 s: memory stays flat, the others are as fast, nothing is lost';
export const faults = 1;
export const options = {
    clients: { default: 900, help: 'clients that read' },
    slow: { default: 100, help: 'clients that stop' },
    stall: { default: 60, help: 'seconds for which they stop' },
    before: { default: 20, help: 'seconds in which all read' },
    size: { default: 7400, help: 'bytes of one of the notifications of the slow' },
    owed: { default: 10, help: 'megabytes that each of the slow is owed at least' },
};

const TENANT = 'bench';
const SLOW_RATE = 25;
const FAST = { rooms: 90, rate: 450, size: 256, messages: 1000000 };
const FIRST_SECONDS = 10; // until buffers are full
const FLAT = 0.05, AS_FAST = 1.2;

const settings = {
    gateway: {
        ...LOAD_SETTINGS.gateway,
        socketio: { ping_timeout: '3m' }, // a client that does not read does not answer a ping
        limits: { ring: '2MiB' },         // full before it counts
    },
};

/* What `measure()` says, each second until `over` resolves. */
async function sample(measure, over) {
    const samples = [];
    let ended = false;
    over.then(() => { ended = true; }, () => { ended = true; });
    while (!ended) {
        samples.push(measure());
        await sleep(1000);
    }
    return samples;
}

const megabytes = (bytes) => `${(bytes / 1048576).toFixed(1)} MiB`;

/* By how much the samples leave what they were after the first seconds. */
function checkFlat(report, what, samples) {
    const later = samples.slice(FIRST_SECONDS);
    const [reference] = later;
    const [least, most] = [Math.min(...later), Math.max(...later)];
    report.check(`${what} stays flat`, least >= (1 - FLAT) * reference && most <= (1 + FLAT) * reference,
        `${megabytes(samples[0])} at first, ${megabytes(reference)} after ${FIRST_SECONDS} s, then ${megabytes(least)} to ${megabytes(most)}, at last ${megabytes(later.at(-1))}`);
}

export async function run({ report, values }) {
    const number = (name) => Number(values[name]);
    const messages = SLOW_RATE * (number('before') + number('stall'));
    await World.use('chaos-slow', { settings, brokerEnvironment: { KAFKA_FULL_JIT: '1', KAFKA_HEAP_MB: '512' } }, async (world) => {
        const gateway = await world.gateway();
        const fast = startLoad(world, 'fast', { gateway, ...FAST, clients: number('clients'), tenant: TENANT, 'room-prefix': 'task:fast-', nice: -10 });
        const slow = startLoad(world, 'slow', {
            gateway, clients: number('slow'), rooms: 1, rate: SLOW_RATE, size: number('size'), messages, stall: number('slow'), before: number('before'),
            'receive-buffer': 16384, tenant: TENANT, 'room-prefix': 'task:slow-', patience: 60,
        });
        await sleep(1000 * number('before') / 2);
        await takeLatencies(fast);
        await hearsState(slow, 'stalled', 60000);
        const before = await takeLatencies(fast);
        report.fault('stop reading', `${number('slow')} clients for ${number('stall')} s`);
        const over = hearsState(slow, 'reading', 1000 * number('stall') + 60000);
        const samples = await sample(() => ({ resident: residentBytes(gateway), sockets: socketBytes(gateway) }), over);
        await over;
        const meanwhile = await takeLatencies(fast);
        const started = performance.now();
        const result = await hears(slow, ({ deliveries }) => deliveries !== undefined, 120000, 'what the slow got');
        const after = await takeLatencies(fast);
        report.say(`the slow have caught up after ${((performance.now() - started) / 1000).toFixed(1)} s; then p99 of the others was ${after.p99_ms} ms, `
            + `memory ${megabytes(residentBytes(gateway))}; ${await world.metric(gateway, 'smartstack_gateway_scans_total')} scans`);
        const owed = SLOW_RATE * number('stall') * number('size');
        report.check(`each of the slow is owed at least ${number('owed')} MB`, owed >= 1e6 * number('owed'), `${(owed / 1e6).toFixed(1)} MB`);
        checkFlat(report, 'memory of the gateway', samples.map(({ resident }) => resident));
        checkFlat(report, 'memory of the kernel\'s sockets', samples.map(({ sockets }) => sockets));
        report.check('the others are as fast: p99 within 1.2 times', meanwhile.p99_ms <= AS_FAST * before.p99_ms,
            `${before.p99_ms} ms before (${before.count}), ${meanwhile.p99_ms} ms meanwhile (${meanwhile.count})`);
        report.check('the slow get everything, in order, once', result.complete && result.lost + result.doubled + result.wrong_room === 0,
            `${result.deliveries} of ${number('slow') * messages} deliveries, ${result.lost} lost, ${result.doubled} doubled`);
        report.check('nobody is disconnected', result.closed === 0, String(result.closed));
        fast.signal('SIGTERM');
    });
}
