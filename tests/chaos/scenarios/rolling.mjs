/* Gateways are ended in good order (SIGTERM) and started again one after the other, under load: nothing is lost, nothing
 * doubled, and clients are moved away no faster than configured. */
import { SLOW } from '../../integration/lib/places.mjs';
import { awaitedLater, sleep } from '../../integration/lib/wait.mjs';
import { World } from '../../integration/lib/world.mjs';
import { startGateways } from '../lib/gateways.mjs';
import { startLoadBalancer } from '../lib/haproxy.mjs';
import { checkLogs, checkRecoveries, openWitnesses, publish, sum } from '../lib/witness.mjs';

export const description = 'a rolling restart of all gateways under load: nothing lost, nothing doubled';
export const faults = 1; // rounds
export const options = {
    clients: { default: 300, help: 'stock clients' },
    gateways: { default: 3, help: 'gateways behind the load balancer' },
    rooms: { default: 100, help: 'rooms in all; each client is in five' },
    rate: { default: 500, help: 'notifications per second' },
    transports: { default: 'mixed', help: 'websocket, polling, both (the default transports) or mixed' },
    pause: { default: 5, help: 'seconds between one gateway and the next' },
};

/* The most disconnects in any second. */
function busiestSecond(witnesses) {
    const times = witnesses.flatMap(({ disconnects }) => disconnects).sort((a, b) => a - b);
    let most = 0;
    for (let first = 0, i = 0; i < times.length; i++) {
        while (times[i] - times[first] > 1000)
            first++;
        most = Math.max(most, i - first + 1);
    }
    return most;
}

export async function run({ report, faults: rounds, values }) {
    const rooms = Number(values.rooms);
    await World.use('chaos-rolling', {}, async (world) => {
        await world.dispatcher();
        const gateways = await startGateways(world, Number(values.gateways));
        const balancer = await startLoadBalancer(world, gateways);
        const witnesses = await openWitnesses(world, balancer.url, { count: Number(values.clients), rooms, transports: values.transports });
        report.say(`${witnesses.length} clients are connected`);

        let over = false;
        const publishing = awaitedLater(publish({ world, rooms, rate: Number(values.rate), over: () => over }));
        for (let round = 0; round < rounds; round++) {
            for (const gateway of gateways) {
                await sleep(Number(values.pause) * 1000);
                report.fault('SIGTERM', gateway.name);
                gateway.signal('SIGTERM');
                const { code, signal } = await gateway.waitEnd(90000 * SLOW);
                report.check(`${gateway.name} ends with code 0`, code === 0, String(code ?? signal));
                gateway.start();
                await world.waitReady(gateway);
            }
        }
        await sleep(Number(values.pause) * 1000);
        over = true;
        await checkLogs(report, witnesses, await publishing);
        checkRecoveries(report, witnesses);
        report.say(`${sum(witnesses, 'returns')} moves of ${witnesses.length} clients, at most ${busiestSecond(witnesses)} in one second`);
    });
}
