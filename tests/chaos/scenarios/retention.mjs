/* Retention overtakes cursors: of clients that are away for too long, and of a gateway that was stopped for too long. They
 * are told; the others notice nothing. */
import { eventually, sleep } from '../../integration/lib/wait.mjs';
import { freeze } from '../lib/faults.mjs';
import { onStage, stageOptions } from '../lib/stage.mjs';
import { checkAnswers, isAlive, sum } from '../lib/witness.mjs';

export const description = 'retention that overtakes cursors, of clients and of a gateway: a declared gap, no silent one';
export const faults = 2; // times
export const options = {
    ...stageOptions({ clients: 90, rate: 200 }),
    away: { default: 20, help: 'seconds for which clients are away, or a gateway is stopped' },
    kept: { default: 3, help: 'seconds for which the topic keeps a record' },
};

const TOPIC = 'fanout.tenant';
const TOPIC_TYPE = 2; // of resources, in Kafka's protocol

async function keepFor(broker, kept_ms) {
    const configEntries = Object.entries({ 'retention.ms': kept_ms, 'segment.ms': 500, 'file.delete.delay.ms': 0 })
        .map(([name, value]) => ({ name, value: String(value) }));
    await broker.admin((admin) => admin.alterConfigs({ validateOnly: false, resources: [{ type: TOPIC_TYPE, name: TOPIC, configEntries }] }));
}

export async function run({ report, random, faults: times, values }) {
    const away_ms = Number(values.away) * 1000;
    const world = { brokerSettings: ['log.retention.check.interval.ms=500', 'log.initial.task.delay.ms=500'] };
    const settings = { limits: { ring: '64KiB' } }; // else the gateways remember what Kafka has forgotten
    await onStage('chaos-retention', { report, values, settings, world }, async ({ store, gateways, witnesses, finish }) => {
        await keepFor(store, Number(values.kept) * 1000);
        const away = witnesses.filter((_, i) => i % 5 === 0);
        for (let i = 0; i < times; i++) {
            await sleep(5000);
            report.fault('away for too long', `${away.length} clients for ${values.away} s`);
            away.forEach((witness) => witness.goAway());
            await sleep(away_ms);
            const before = sum(witnesses, 'returns');
            away.forEach((witness) => witness.comeBack());
            await eventually(() => away.every(({ client }) => client.socket.connected), { timeout: 30000, what: 'all to be back' }).catch(() => {});
            report.check('those who were away start afresh', away.every(({ fresh }) => fresh > i), `${away.filter(({ fresh }) => fresh > i).length} of ${away.length}`);
            report.check('the others notice nothing', sum(witnesses, 'returns') - before === away.length);

            const gateway = random.pick(gateways);
            report.fault('stopped for too long', `${gateway.name} for ${values.away} s`);
            await freeze(gateway, away_ms);
            const since = performance.now();
            await eventually(() => witnesses.every((witness) => isAlive(witness, since)), { timeout: 90000, what: 'live delivery to all' }).catch(() => {});
            await sleep(5000); // their rooms are asked for one by one
            report.check('afterwards every client gets what is published', witnesses.every((witness) => isAlive(witness, since)),
                `${witnesses.filter((witness) => !isAlive(witness, since)).length} do not`);
        }
        await finish();
        checkAnswers(report, witnesses, ['retention', 'overtaken_by_retention']);
        report.check('some were told of a gap', sum(witnesses, 'declared') > 0);
    });
}
