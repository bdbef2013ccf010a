/* One tenant asks for more than its quotas, by every means that they bound: connects, subscribes, histories, events. The others' live deliveries
 * are as fast as while it does the same to another gateway of the machine. Windows of both kinds are compared in pairs. */
import { awaitedLater, sleep } from '../../integration/lib/wait.mjs';
import { merge, World } from '../../integration/lib/world.mjs';
import { hire, inPairs, median, SETTLE_SECONDS } from '../lib/attack.mjs';
import { hears, LOAD_SETTINGS, startLoad, takeLatencies } from '../lib/load.mjs';

export const description = 'a tenant far beyond its quotas: the p99 of the others is not a fifth more than without it';
export const faults = 5;
export const options = {
    clients: { default: 1000, help: 'of the others' },
    noisy: { default: 40, help: 'of the noisy tenant' },
    pace: { default: 2, help: 'things that each of these does in a second: twenty connects, a hundred subscribes, five histories, a hundred events' },
    seconds: { default: 15, help: 'of each window' },
    rate: { default: 200, help: 'notifications per second' },
};

const SECRET = 'a secret of the clients, 32 bytes or more';
const ROOMS = 100, SIZE = 256;
const MORE_MOST = 1.2;
const SPARE_SECONDS = 60; // until all have connected, and for what asks and answers take
const KINDS = ['connects', 'joins and leaves', 'histories', 'event floods'];

/* Of each tenant, by the second, and ten times as much at once: the others need that to begin, and neither histories nor events. */
const quotasFor = (clients) => ({ sessions: 2 * clients, connects: Math.ceil(clients / 8), subscribes: Math.ceil(clients / 3), histories: 2, events: 10 });

const settingsFor = (clients) => merge(LOAD_SETTINGS, { gateway: {
    auth: { mode: 'token' }, token: { algorithm: 'HS256', secret: SECRET }, access: { events: ['task.cancel'] },
    quotas: { tenant: quotasFor(clients), burst: '10s' },
} });

export async function run({ random, report, faults: rounds, values }) {
    const number = (name) => Number(values[name]);
    const window_s = number('seconds') + 2 * SETTLE_SECONDS;
    const messages = Math.ceil(number('rate') * ((2 * rounds + 1) * window_s + SPARE_SECONDS)); // outlives the windows, is waited for
    await World.use('chaos-noisy', { settings: settingsFor(number('clients')), brokerEnvironment: { KAFKA_FULL_JIT: '1', KAFKA_HEAP_MB: '512' } }, async (world) => {
        const gateway = await world.gateway();
        const other = await world.gateway({ name: 'elsewhere' });
        const hireFor = (target) => hire(target, { count: values.noisy, pace: values.pace, secret: SECRET, tenant: 'noisy', kinds: KINDS }, random);
        const [noisy, elsewhere] = [await hireFor(gateway), await hireFor(other)];
        const others = startLoad(world, 'others', { gateway, clients: number('clients'), rooms: ROOMS, rate: number('rate'), size: SIZE, messages,
            secret: SECRET, tenant: 'bench', 'room-prefix': 'task:fast-', connecting: 20, patience: 60, nice: -10 });
        const result = awaitedLater(hears(others, ({ deliveries }) => deliveries !== undefined, 1000 * (messages / number('rate') + 180), 'what the others got'));
        await sleep(1000 * window_s);
        await takeLatencies(others);
        const refusals = () => world.metric(gateway, 'smartstack_gateway_quota_refusals_total');
        const before = await refusals();
        const { calm, attacked } = await inPairs({ load: others, attackers: noisy, elsewhere, rounds, seconds: number('seconds'), report });
        const refused = await refusals() - before;
        const got = await result;
        [noisy, elsewhere].forEach((attackers) => attackers.dismiss());
        const [without, during] = [calm, attacked].map((windows) => median(windows.map(({ p99_ms }) => p99_ms)));
        const ratio = median(attacked.map(({ p99_ms }, i) => p99_ms / calm[i].p99_ms));
        report.check('all windows have deliveries', [...calm, ...attacked].every(({ count }) => count > 0), String([...calm, ...attacked].map(({ count }) => count)));
        report.check('the tenant met its quotas', refused > 0, `${refused} refusals`);
        report.check(`the p99 of the others is at most ${MORE_MOST} times that while another gateway has it`, ratio <= MORE_MOST,
            `${ratio.toFixed(2)}: ${without} ms while another has it, ${during} ms with it (medians of ${rounds} pairs)`);
        report.check('the others get everything, in order, once', got.complete && got.lost + got.doubled + got.wrong_room === 0,
            `${got.deliveries} deliveries, ${got.lost} lost, ${got.doubled} doubled`);
        report.check('none of the others is disconnected', got.closed === 0, String(got.closed));
    });
}
