/* Gateways behind a load balancer are killed and stopped, clients' connections cut, the broker restarted: every client's
 * log of every room of its is exactly 1..K, and every return is a recovery. */
import { awaitedLater } from '../../integration/lib/wait.mjs';
import { World } from '../../integration/lib/world.mjs';
import { freeze, inflict, killAndRestart, restartBroker } from '../lib/faults.mjs';
import { startGateways } from '../lib/gateways.mjs';
import { startLoadBalancer } from '../lib/haproxy.mjs';
import { checkLogs, checkRecoveries, openWitnesses, publish, sum } from '../lib/witness.mjs';

export const description = 'gateways killed and stopped, connections cut, the broker restarted: every log is exactly 1..K';
export const faults = 200;
export const options = {
    clients: { default: 300, help: 'stock clients' },
    gateways: { default: 3, help: 'gateways behind the load balancer' },
    rooms: { default: 100, help: 'rooms in all; each client is in five' },
    rate: { default: 500, help: 'notifications per second' },
    transports: { default: 'mixed', help: 'websocket, polling, both (the default transports) or mixed' },
    pause: { default: 1, help: 'seconds between faults, on average' },
};

const KINDS = { 'kill -9': 4, stop: 3, cut: 10, 'broker restart': 1 };

/* All chance is drawn before anything is done: what is busy at the moment does not change what comes later. */
function draw(random, gateways, witnesses) {
    return {
        kind: random.weighted(KINDS), gateway: random.integer(0, gateways), witness: random.integer(0, witnesses),
        delay_ms: random.between(0, 2000), stop_ms: random.between(1000, 10000), hard: random.fraction() < 0.5,
    };
}

async function befall({ world, gateways, witnesses, busy, report }, { kind, gateway, witness, delay_ms, stop_ms, hard }) {
    if (kind === 'cut') {
        report.fault(kind, `client ${witness}`);
        witnesses[witness].cut();
        return;
    }
    const victim = kind === 'broker restart' ? 'the broker' : gateways[gateway].name;
    if (busy.has(victim)) {
        report.say(`no ${kind}: something befalls ${victim} already`);
        return;
    }
    busy.add(victim);
    if (kind === 'broker restart') {
        report.fault(kind, hard ? '-9' : 'in good order');
        await restartBroker(world.broker, { hard, delay_ms });
    } else if (kind === 'stop') {
        report.fault(kind, `${victim} for ${(stop_ms / 1000).toFixed(1)} s`);
        await freeze(gateways[gateway], stop_ms);
    } else {
        report.fault(kind, victim);
        await killAndRestart(gateways[gateway], delay_ms);
    }
    busy.delete(victim);
}

export async function run({ random, report, faults: count, values }) {
    const pause_ms = Number(values.pause) * 1000;
    const rooms = Number(values.rooms);
    await World.use('chaos-kill', {}, async (world) => {
        await world.dispatcher();
        const gateways = await startGateways(world, Number(values.gateways));
        const balancer = await startLoadBalancer(world, gateways);
        const witnesses = await openWitnesses(world, balancer.url, { count: Number(values.clients), rooms, transports: values.transports });
        report.say(`${witnesses.length} clients are connected`);

        let over = false;
        const publishing = awaitedLater(publish({ world, rooms, rate: Number(values.rate), over: () => over }));
        const scene = { world, gateways, witnesses, busy: new Set(), report };
        await inflict({ random: random.fork(), count, pause_ms: [0.2 * pause_ms, 1.8 * pause_ms] },
            () => befall(scene, draw(random, gateways.length, witnesses.length)));
        over = true;
        await checkLogs(report, witnesses, await publishing);
        checkRecoveries(report, witnesses);
        report.check('the faults made clients return', count === 0 || sum(witnesses, 'returns') > 0);
        report.check('every gateway is alive', gateways.every(({ alive }) => alive));
    });
}
