/* Plain round robin and default transports, under load: no request is refused for having reached another gateway, all
 * clients upgrade, none is relayed afterwards, none lost; also with a load balancer that sends requests again, and that
 * does so with every poll that is held. */
import { Stream } from '../../integration/lib/stream.mjs';
import { awaitedLater, eventually, sleep } from '../../integration/lib/wait.mjs';
import { World } from '../../integration/lib/world.mjs';
import { startGateways } from '../lib/gateways.mjs';
import { balancerStatistics, startLoadBalancer } from '../lib/haproxy.mjs';
import { openWitnesses, publish, sum } from '../lib/witness.mjs';

export const description = 'thousands of connects by default transports through plain round robin: none refused, all upgraded';
export const faults = 0;
export const options = {
    connects: { default: 3000, help: 'connects in each of two rounds' },
    gateways: { default: 3, help: 'gateways behind the load balancer' },
    rate: { default: 100, help: 'notifications per second' },
    pollers: { default: 60, help: 'long-polling clients whose every poll is sent again while it is held' },
    polling: { default: 30, help: 'seconds for which they poll' },
};

const ROOMS = 50;
const OPEN_AT_ONCE = 300;

/* Added up over the gateways. */
async function total(world, gateways, metric, label = '') {
    const texts = await Promise.all(gateways.map(async ({ operations }) => (await fetch(`${operations}/metrics`)).text()));
    const line = `smartstack_gateway_${metric}${label} `;
    return texts.reduce((value, text) => value + Number(text.split('\n').find((one) => one.startsWith(line)).slice(line.length)), 0);
}

const holdsAll = (witnesses) => witnesses.every(({ client }) => client.socket.connected && client.transport === 'websocket');

function leave(world, witnesses) {
    witnesses.forEach(({ client }) => client.disconnect());
    world.clients.splice(0);
}

/* Connects in batches; after each batch has upgraded, only its WebSockets are left, each at the gateway it reached. */
async function connects(scene, balancer, count, name) {
    const { world, gateways, report } = scene;
    const counts = { connected: 0, upgraded: 0, relayed: 0, returns: 0, lost: 0, doubled: 0, silent: 0 };
    for (let i = 0; i < count; i += OPEN_AT_ONCE) {
        const size = Math.min(OPEN_AT_ONCE, count - i);
        const witnesses = await openWitnesses(world, balancer.url, { count: size, rooms: ROOMS, transports: 'both', late: true });
        counts.connected += witnesses.filter(({ client }) => client.socket.connected).length;
        await eventually(() => holdsAll(witnesses), { timeout: 15000, what: 'upgrades' }).catch(() => {});
        counts.upgraded += witnesses.filter(({ client }) => client.transport === 'websocket').length;
        await eventually(() => witnesses.every(({ at }) => at), { timeout: 10000, what: 'notifications' }).catch(() => {});
        const own = await total(world, gateways, 'engineio_sessions', '{transport="websocket"}');
        const held = await total(world, gateways, 'engineio_sessions', '{transport="polling"}');
        counts.relayed += Math.abs(own - size) + held;
        counts.silent += witnesses.filter(({ at }) => !at).length;
        for (const field of ['returns', 'lost', 'doubled'])
            counts[field] += sum(witnesses, field);
        leave(world, witnesses);
        await eventually(async () => await total(world, gateways, 'sockets') === 0, { what: 'all to be gone' });
    }
    const { refused, failed, repeated } = await balancerStatistics(balancer);
    report.say(`${name}: ${repeated} requests were sent again by the load balancer`);
    report.check(`${name}: all connect`, counts.connected === count, `${counts.connected} of ${count}`);
    report.check(`${name}: all upgrade`, counts.upgraded === count, `${counts.upgraded} of ${count}`);
    report.check(`${name}: none is relayed or left polling afterwards`, counts.relayed === 0, String(counts.relayed));
    report.check(`${name}: none loses its connection`, counts.returns === 0, String(counts.returns));
    report.check(`${name}: each is given notifications, in order, once`, counts.lost + counts.doubled + counts.silent === 0,
        `${counts.lost} lost, ${counts.doubled} doubled, ${counts.silent} clients without`);
    report.check(`${name}: no answer 4xx`, refused === 0, String(refused));
    report.check(`${name}: no answer 5xx`, failed === 0, String(failed));
}

/* Every poll that is held for longer than the load balancer waits goes to another gateway as well. */
async function polls({ world, gateways, report }, { pollers, seconds }) {
    const balancer = await startLoadBalancer(world, gateways, { retry: true, patience_ms: 250 });
    const witnesses = await openWitnesses(world, balancer.url, { count: pollers, rooms: ROOMS, transports: 'polling', late: true });
    await sleep(seconds * 1000);
    const { repeated, refused } = await balancerStatistics(balancer);
    const name = 'polls sent again';
    report.check(`${name}: there are some`, repeated > 0, String(repeated));
    report.check(`${name}: no answer 4xx`, refused === 0, String(refused));
    report.check(`${name}: none loses its connection`, sum(witnesses, 'returns') === 0, String(sum(witnesses, 'returns')));
    report.check(`${name}: nothing is lost`, sum(witnesses, 'lost') === 0, String(sum(witnesses, 'lost')));
    report.check(`${name}: nothing is doubled`, sum(witnesses, 'doubled') === 0, String(sum(witnesses, 'doubled')));
    report.check(`${name}: all are given notifications`, witnesses.every(({ at }) => performance.now() - at < 5000));
    leave(world, witnesses);
    await balancer.stop();
}

export async function run({ report, values }) {
    await World.use('chaos-balance', {}, async (world) => {
        await world.dispatcher();
        const gateways = await startGateways(world, Number(values.gateways));
        const scene = { world, gateways, report };
        let over = false;
        const publishing = awaitedLater(publish({ stream: new Stream(world.broker), rooms: ROOMS, rate: Number(values.rate), over: () => over }));
        for (const [name, retry] of [['round robin', false], ['round robin that retries', true]]) {
            const balancer = await startLoadBalancer(world, gateways, { retry });
            await connects(scene, balancer, Number(values.connects), name);
            await balancer.stop();
        }
        await polls(scene, { pollers: Number(values.pollers), seconds: Number(values.polling) });
        over = true;
        await publishing;
    });
}
