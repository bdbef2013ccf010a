/* Gateways are ended in good order (SIGTERM) and started again under load: nothing is lost, nothing doubled, and clients
 * are moved away no faster than configured. First one gateway after the other; then as a deployment does it that cares: one
 * more gateway is started, the load balancer gives nothing new to the old ones, and only then the first client is moved:
 * each moves once. */
import { SLOW } from '../../integration/lib/places.mjs';
import { eventually, sleep } from '../../integration/lib/wait.mjs';
import { setServerState } from '../lib/haproxy.mjs';
import { onStage, stageOptions } from '../lib/stage.mjs';
import { checkRecoveries, sum } from '../lib/witness.mjs';

export const description = 'rolling restarts of all gateways under load: nothing lost, nothing doubled, the pace kept';
export const faults = 1; // rounds of each kind
export const options = {
    ...stageOptions(),
    pause: { default: 5, help: 'seconds between one gateway and the next' },
    pace: { default: 50, help: 'clients that a gateway sends away per second' },
};

/* How many clients a gateway has sent away, again and again until it ends: {from, to, count}: what it was at some moment
 * between the two. */
async function watch(gateway) {
    const samples = [];
    while (gateway.alive) {
        const from = performance.now();
        const text = await fetch(`${gateway.operations}/metrics`).then((answer) => answer.text(), () => '');
        const count = text.match(/^smartstack_gateway_engineio_closed_total\{reason="server"\} (\d+)$/m)?.[1];
        if (count !== undefined)
            samples.push({ from, to: performance.now(), count: Number(count) });
        await sleep(50);
    }
    return samples;
}

/* How many more than the pace allows left between any two samples; a tenth of a second's worth may be made up for. */
function excess(samples, pace) {
    let most = -Infinity;
    samples.forEach((first, i) => samples.slice(i + 1).forEach((last) => {
        const allowed = pace * ((last.to - first.from) / 1000 + 0.1);
        most = Math.max(most, last.count - first.count - allowed);
    }));
    return most;
}

async function end(report, gateway, pace) {
    report.fault('SIGTERM', gateway.name);
    const watching = watch(gateway);
    gateway.signal('SIGTERM');
    const { code, signal } = await gateway.waitEnd(90000 * SLOW);
    report.check(`${gateway.name} ends with code 0`, code === 0, String(code ?? signal));
    const samples = await watching;
    const sent = samples.length ? samples.at(-1).count - samples[0].count : 0;
    report.check(`${gateway.name} keeps the pace`, excess(samples, pace) <= 1, `${sent} clients are seen to be sent away, ${pace} per second are allowed`);
}

async function begin(world, gateway) {
    gateway.start();
    await world.waitReady(gateway);
}

async function oneAfterTheOther({ world, gateways, report, pause_ms, pace }) {
    for (const gateway of gateways) {
        await sleep(pause_ms);
        await end(report, gateway, pace);
        await begin(world, gateway);
    }
}

/* Each old gateway but the last comes back as a new one; the spare has taken the last one's place. */
async function aroundSpare({ world, balancer, gateways, spare, witnesses, report, pause_ms, pace }) {
    await begin(world, spare);
    await sleep(1500); // the load balancer looks twice a second
    const before = witnesses.map(({ returns }) => returns);
    for (const gateway of gateways)
        await setServerState(balancer, gateway, 'drain');
    for (const gateway of gateways) {
        await sleep(pause_ms);
        await end(report, gateway, pace);
        if (gateway === gateways.at(-1))
            break;
        await begin(world, gateway);
        await setServerState(balancer, gateway, 'ready');
    }
    await eventually(() => witnesses.every(({ client }) => client.socket.connected), { what: 'all clients to be connected' }).catch(() => {});
    const moves = witnesses.map(({ returns }, i) => returns - before[i]);
    report.check('with a gateway more, every client moves once', moves.every((n) => n === 1),
        `${moves.filter((n) => n === 1).length} once, ${moves.filter((n) => n > 1).length} more often`);
    await setServerState(balancer, gateways.at(-1), 'ready');
}

export async function run({ report, faults: rounds, values }) {
    const pause_ms = Number(values.pause) * 1000;
    const pace = Number(values.pace);
    const settings = { drain: { per_second: pace }, shutdown_timeout: '60s' };
    await onStage('chaos-rolling', { report, values, settings, spares: 1 }, async (stage) => {
        const { witnesses } = stage;
        let { gateways, spares: [spare] } = stage;
        for (let round = 0; round < rounds; round++) {
            const scene = { ...stage, gateways, spare, report, pause_ms, pace };
            await oneAfterTheOther(scene);
            report.say(`${sum(witnesses, 'returns')} moves of ${witnesses.length} clients`);
            await sleep(pause_ms);
            await aroundSpare(scene);
            [gateways, spare] = [[spare, ...gateways.slice(0, -1)], gateways.at(-1)];
        }
        await sleep(pause_ms);
        await stage.finish();
        checkRecoveries(report, witnesses);
        report.say(`${sum(witnesses, 'returns')} moves of ${witnesses.length} clients`);
    });
}
