/* A twentieth of the clients attack: they do not read their answers, present bad tokens, join and leave, ask for histories, send
 * odd frames, flood the gateway with events. The others get everything, as fast as without them, and memory is bounded. */
import { awaitedLater, sleep } from '../../integration/lib/wait.mjs';
import { merge, World } from '../../integration/lib/world.mjs';
import { hire, inPairs, median, SETTLE_SECONDS } from '../lib/attack.mjs';
import { hears, LOAD_SETTINGS, residentBytes, startLoad, takeLatencies } from '../lib/load.mjs';

export const description = '50 of 1,000 clients attack: the others are as fast as without them, memory is bounded';
export const faults = 5;
export const options = {
    clients: { default: 950, help: 'honest clients' },
    hostile: { default: 50, help: 'hostile ones' },
    pace: { default: 2, help: 'attacks per second of each of them' },
    seconds: { default: 15, help: 'of each attack, and of each rest before it' },
    rate: { default: 200, help: 'notifications per second' },
};

const SECRET = 'a secret of the clients, 32 bytes or more';
const ROOMS = 95, SIZE = 256;
const AS_FAST = 1.5;
const MEMORY_MOST = 96 << 20;
const SPARE_SECONDS = 60; // until all have connected, and for what asks and answers take

const settings = merge(LOAD_SETTINGS, {
    gateway: { auth: { mode: 'token' }, token: { algorithm: 'HS256', secret: SECRET }, access: { events: ['task.cancel'] },
        limits: { ring: '1MiB' }, recovery: { read_back: '4MiB' } }, // full before it counts
});

const megabytes = (bytes) => `${(bytes / 1048576).toFixed(1)} MiB`;

/* The highest that memory is until `over` resolves. */
async function watchMemory(gateway, over) {
    let highest = 0;
    let ended = false;
    over.then(() => { ended = true; }, () => { ended = true; });
    while (!ended && gateway.alive) {
        highest = Math.max(highest, residentBytes(gateway));
        await sleep(100);
    }
    return highest;
}

export async function run({ random, report, faults: rounds, values }) {
    const number = (name) => Number(values[name]);
    const window_s = number('seconds') + SETTLE_SECONDS;
    const messages = Math.ceil(number('rate') * ((2 * rounds + 1) * window_s + SPARE_SECONDS)); // outlives the windows, is waited for
    await World.use('chaos-hostile', { settings, brokerEnvironment: { KAFKA_FULL_JIT: '1', KAFKA_HEAP_MB: '512' } }, async (world) => {
        const gateway = await world.gateway();
        const attackers = await hire(gateway, { count: values.hostile, pace: values.pace, secret: SECRET }, random);
        const honest = startLoad(world, 'honest', { gateway, clients: number('clients'), rooms: ROOMS, rate: number('rate'), size: SIZE, messages,
            secret: SECRET, tenant: 'bench', 'room-prefix': 'task:fast-', patience: 60, nice: -10 });
        const result = awaitedLater(hears(honest, ({ deliveries }) => deliveries !== undefined, 1000 * (messages / number('rate') + 180), 'what the honest got'));
        await sleep(1000 * window_s);
        await takeLatencies(honest);
        const before = residentBytes(gateway);
        const memory = watchMemory(gateway, result);
        const { calm, attacked } = await inPairs({ load: honest, attackers, rounds, seconds: number('seconds'), report,
            tell: () => `memory ${megabytes(residentBytes(gateway))}; ` });
        const got = await result;
        const highest = await memory;
        attackers.dismiss();
        const [without, during] = [calm, attacked].map((windows) => median(windows.map(({ p99_ms }) => p99_ms)));
        const [p50Without, p50During] = [calm, attacked].map((windows) => median(windows.map(({ p50_ms }) => p50_ms)));
        report.check('the gateway lives', gateway.alive);
        report.check('all windows have deliveries', [...calm, ...attacked].every(({ count }) => count > 0), String([...calm, ...attacked].map(({ count }) => count)));
        report.check(`the others are as fast: p99 within ${AS_FAST} times`, during <= AS_FAST * without,
            `${(during / without).toFixed(2)}: p50 ${p50Without} ms, p99 ${without} ms without them, ${p50During} and ${during} ms with them (medians of ${rounds})`);
        report.check('the others get everything, in order, once', got.complete && got.lost + got.doubled + got.wrong_room === 0,
            `${got.deliveries} deliveries, ${got.lost} lost, ${got.doubled} doubled`);
        report.check('none of the others is disconnected', got.closed === 0, String(got.closed));
        report.check('memory is bounded', highest - before <= MEMORY_MOST, `${megabytes(before)} before, ${megabytes(highest)} at most`);
    });
}
