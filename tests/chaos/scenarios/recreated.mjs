/* The topic of the lanes is deleted and created again under load, with clients connected and clients away: what was in it
 * is gone, and everybody is told so. */
import { eventually, sleep } from '../../integration/lib/wait.mjs';
import { TOPICS } from '../../integration/lib/world.mjs';
import { onStage, stageOptions } from '../lib/stage.mjs';
import { checkAnswers, isAlive } from '../lib/witness.mjs';

export const description = 'a topic deleted and created again under load: a fresh session with a reason for all, no silent gap';
export const faults = 2; // times
export const options = {
    ...stageOptions({ clients: 90, rate: 200 }),
    missing: { default: 3, help: 'seconds for which the topic does not exist' },
};

const TOPIC = 'fanout.tenant';

async function createAgain(broker, missing_ms, partitions = TOPICS[TOPIC]) {
    await broker.admin((admin) => admin.deleteTopics({ topics: [TOPIC] }));
    await eventually(async () => !(await broker.topics()).includes(TOPIC), { what: 'the topic to be gone' });
    await sleep(missing_ms);
    await eventually(async () => {
        if (!(await broker.topics()).includes(TOPIC)) // the dispatcher may have made it
            await broker.createTopics({ [TOPIC]: partitions });
        return true;
    }, { what: 'the topic to be there again' });
}

export async function run({ report, faults: times, values }) {
    await onStage('chaos-recreated', { report, values }, async ({ store, witnesses, finish }) => {
        const away = witnesses.filter((_, i) => i % 5 === 0);
        for (let i = 0; i < times; i++) {
            await sleep(5000);
            away.forEach((witness) => witness.goAway());
            await sleep(1000);
            report.fault('topic created again', TOPIC);
            await createAgain(store, i === 0 ? Number(values.missing) * 1000 : 0);
            const since = performance.now();
            await sleep(10000);
            away.forEach((witness) => witness.comeBack());
            await eventually(() => witnesses.every((witness) => isAlive(witness, since)), { timeout: 90000, what: 'live delivery to all' }).catch(() => {});
            await sleep(5000); // their rooms are asked for one by one
            report.check('afterwards every client gets what is published', witnesses.every((witness) => isAlive(witness, since)),
                `${witnesses.filter((witness) => !isAlive(witness, since)).length} do not`);
        }
        await finish();
        const affected = witnesses.filter(({ fresh }) => fresh >= times);
        report.check('every client was given a fresh session', affected.length === witnesses.length, `${affected.length} of ${witnesses.length}`);
        checkAnswers(report, witnesses, ['recreated', 'truncated', 'retention']);
    });
}
