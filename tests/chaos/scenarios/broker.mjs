/* The broker is away for a while under load: nobody is disconnected, and everything missed arrives in order. Then a topic
 * is deleted and created again: a declared answer, no silent gap. */
import { awaitedLater, eventually, sleep } from '../../integration/lib/wait.mjs';
import { TOPICS, World } from '../../integration/lib/world.mjs';
import { startGateways } from '../lib/gateways.mjs';
import { startLoadBalancer } from '../lib/haproxy.mjs';
import { checkLogs, checkRecoveries, openWitnesses, publish, sum } from '../lib/witness.mjs';

export const description = 'the broker away for minutes; a topic deleted and created again';
export const faults = 1; // outages
export const options = {
    clients: { default: 100, help: 'stock clients' },
    gateways: { default: 2, help: 'gateways behind the load balancer' },
    rooms: { default: 50, help: 'rooms in all; each client is in five' },
    rate: { default: 200, help: 'notifications per second' },
    transports: { default: 'mixed', help: 'websocket, polling, both (the default transports) or mixed' },
    away: { default: 120, help: 'seconds for which the broker is away' },
};

export async function run({ report, random, faults: outages, values }) {
    const rooms = Number(values.rooms);
    await World.use('chaos-broker', {}, async (world) => {
        const dispatcher = await world.dispatcher();
        const gateways = await startGateways(world, Number(values.gateways));
        const balancer = await startLoadBalancer(world, gateways);
        const witnesses = await openWitnesses(world, balancer.url, { count: Number(values.clients), rooms, transports: values.transports });
        const told = new Set();
        witnesses.forEach((witness, i) => witness.client.socket.on('stale', () => told.add(i)));
        report.say(`${witnesses.length} clients are connected`);

        let over = false;
        const publishing = awaitedLater(publish({ world, rooms, rate: Number(values.rate), over: () => over }));
        for (let i = 0; i < outages; i++) {
            await sleep(5000);
            const hard = random.fraction() < 0.5;
            report.fault('broker away', `for ${values.away} s, ${hard ? '-9' : 'in good order'}`);
            await (hard ? world.broker.kill() : world.broker.stop());
            await sleep(Number(values.away) * 1000);
            await world.broker.start();
        }
        await sleep(10000);
        over = true;
        await checkLogs(report, witnesses, await publishing, { timeout: 120000 });
        checkRecoveries(report, witnesses);
        report.check('nobody was disconnected', sum(witnesses, 'returns') === 0, `${sum(witnesses, 'returns')} returns`);
        report.check('every client was told', told.size === witnesses.length, `${told.size} of ${witnesses.length}`);

        report.fault('topic created again', 'fanout.tenant');
        const topic = 'fanout.tenant';
        await world.broker.admin((admin) => admin.deleteTopics({ topics: [topic] }));
        await eventually(async () => !(await world.broker.topics()).includes(topic), { what: 'the topic to be gone' });
        await eventually(async () => {
            if (!(await world.broker.topics()).includes(topic))
                await world.broker.createTopics({ [topic]: TOPICS[topic] });
            return true;
        }, { what: 'the topic to be there again' });
        await world.waitReady(dispatcher, 60000);
        const seen = new Set();
        witnesses.forEach((witness, i) => witness.client.listeners.add(() => seen.add(i)));
        let enough = false;
        const again = awaitedLater(publish({ world, rooms, rate: Number(values.rate), over: () => enough }));
        await eventually(() => seen.size === witnesses.length, { timeout: 90000, what: 'live delivery to all' }).catch(() => {});
        enough = true;
        await again;
        report.check('afterwards every client gets what is published', seen.size === witnesses.length, `${seen.size} of ${witnesses.length}`);
        report.check('and every client was given a fresh session first', witnesses.every(({ fresh }) => fresh > 0),
            `${witnesses.filter(({ fresh }) => fresh > 0).length} of ${witnesses.length}`);
    });
}
