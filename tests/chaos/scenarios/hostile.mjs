/* A twentieth of the clients attack: they do not read their answers, present bad tokens, join and leave, ask for histories, send
 * odd frames, flood the gateway with events. The others get everything, as fast as without them, and memory is bounded. */
import { spawn } from 'node:child_process';
import path from 'node:path';
import readline from 'node:readline';
import { TESTS_DIR } from '../../integration/lib/places.mjs';
import { awaitedLater, sleep } from '../../integration/lib/wait.mjs';
import { merge, World } from '../../integration/lib/world.mjs';
import { hears, LOAD_SETTINGS, residentBytes, startLoad, takeLatencies } from '../lib/load.mjs';

export const description = '50 of 1,000 clients attack: the others are as fast as without them, memory is bounded';
export const faults = 3;
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
const SETTLE_SECONDS = 2;
const SPARE_SECONDS = 60; // until all have connected, and for what asks and answers take

const settings = merge(LOAD_SETTINGS, {
    gateway: { auth: { mode: 'token' }, token: { algorithm: 'HS256', secret: SECRET }, access: { events: ['task.cancel'] } },
});

const megabytes = (bytes) => `${(bytes / 1048576).toFixed(1)} MiB`;
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

/* The process of the attackers: go() and rest(), which resolves to what they have done. */
async function hire(world, gateway, { hostile, pace }, random) {
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', 'nice', '-n', '10', process.execPath, path.join(TESTS_DIR, 'chaos/lib/attackers.mjs'),
        gateway.url, hostile, random.integer(1, 1e9), pace, SECRET].map(String), { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    await lines.next();
    return {
        go: () => child.stdin.write('go\n'),
        rest: async () => {
            child.stdin.write('rest\n');
            return JSON.parse((await lines.next()).value);
        },
        dismiss: () => child.stdin.end(),
    };
}

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
        const attackers = await hire(world, gateway, values, random);
        const honest = startLoad(world, 'honest', { gateway, clients: number('clients'), rooms: ROOMS, rate: number('rate'), size: SIZE, messages,
            secret: SECRET, tenant: 'bench', 'room-prefix': 'task:fast-', patience: 60, nice: -10 });
        const result = awaitedLater(hears(honest, ({ deliveries }) => deliveries !== undefined, 1000 * (messages / number('rate') + 180), 'what the honest got'));
        await sleep(1000 * window_s);
        await takeLatencies(honest);
        const before = residentBytes(gateway);
        const calm = [], attacked = [];
        const memory = watchMemory(gateway, result);
        for (let round = 0; round < rounds; round++) {
            await sleep(1000 * window_s);
            calm.push(await takeLatencies(honest));
            attackers.go();
            report.fault('attack', `by ${number('hostile')} clients for ${number('seconds')} s`);
            await sleep(1000 * number('seconds'));
            attacked.push(await takeLatencies(honest));
            const did = await attackers.rest();
            report.say(`p50 ${calm.at(-1).p50_ms} ms without, ${attacked.at(-1).p50_ms} ms with them; p99 ${calm.at(-1).p99_ms} and ${attacked.at(-1).p99_ms} ms; `
                + `memory ${megabytes(residentBytes(gateway))}; they did ${JSON.stringify(did)}`);
            await sleep(1000 * SETTLE_SECONDS);
            await takeLatencies(honest); // of neither
        }
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
