/* Somebody changes the number of partitions of the lanes' topic. More than configured: nobody notices, both programs keep to
 * the configured ones. Fewer (the topic was made again): a lane that is missing is told as trouble of the broker's, not
 * guessed elsewhere; when the topic is right again, all go on with a fresh session. */
import { eventually, sleep } from '../../integration/lib/wait.mjs';
import { TOPICS } from '../../integration/lib/world.mjs';
import { onStage, stageOptions } from '../lib/stage.mjs';
import { checkAnswers, isAlive, sum } from '../lib/witness.mjs';

export const description = 'partitions added behind our back, then taken away: ignored, then a declared answer';
export const faults = 2;
export const options = stageOptions({ clients: 90, rate: 200 });

const TOPIC = 'fanout.tenant';
const FEWER = 2;

async function make(broker, partitions) {
    await broker.admin((admin) => admin.deleteTopics({ topics: [TOPIC] }));
    await eventually(async () => !(await broker.topics()).includes(TOPIC), { what: 'the topic to be gone' });
    await eventually(async () => { // the admin client may have looked too soon
        if (!(await broker.topics()).includes(TOPIC))
            await broker.createTopics({ [TOPIC]: partitions });
        return true;
    }, { what: 'the topic to be there again' });
}

const readiness = async ({ url }) => (await fetch(`${url}/readyz`)).status;

export async function run({ report, values }) {
    await onStage('chaos-partitions', { report, values }, async ({ world, store, dispatcher, gateways, witnesses, finish }) => {
        const stale = new Set();
        witnesses.forEach(({ client: { socket } }, i) => socket.on('stale', () => stale.add(i)));
        await sleep(5000);
        report.fault('partitions added', `${TOPIC} has ${2 * TOPICS[TOPIC]}`);
        await store.admin((admin) => admin.createPartitions({ topicPartitions: [{ topic: TOPIC, count: 2 * TOPICS[TOPIC] }] }));
        await sleep(15000);
        report.check('more partitions: nobody is disconnected', sum(witnesses, 'returns') === 0, String(sum(witnesses, 'returns')));
        report.check('more partitions: nothing is lost', sum(witnesses, 'lost') + sum(witnesses, 'doubled') === 0);
        report.check('more partitions: all are given notifications', witnesses.every((witness) => isAlive(witness, performance.now() - 5000)));

        report.fault('partitions taken away', `${TOPIC} has ${FEWER}`);
        await make(store, FEWER);
        await sleep(20000);
        const codes = await Promise.all([dispatcher, ...gateways].map(readiness));
        report.say(`ready? dispatcher and gateways say ${codes.join(' ')}; ${stale.size} clients were told that nothing new comes`);
        report.check('fewer partitions: the dispatcher does not publish elsewhere', codes[0] === 503, String(codes[0]));
        const between = performance.now();
        await make(store, TOPICS[TOPIC]);
        const repaired = performance.now();
        await world.waitReady(dispatcher, 60000);
        await eventually(() => witnesses.every((witness) => isAlive(witness, repaired)), { timeout: 90000, what: 'live delivery to all' }).catch(() => {});
        await sleep(5000); // their rooms are asked for one by one
        report.check('afterwards every client gets what is published', witnesses.every((witness) => isAlive(witness, between)),
            `${witnesses.filter((witness) => !isAlive(witness, between)).length} do not`);
        await finish({ timeout: 120000 });
        checkAnswers(report, witnesses, ['recreated', 'truncated', 'retention']);
    });
}
