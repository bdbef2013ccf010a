/* The broker is away for minutes under load: nobody is disconnected, everybody is told since when, and again when it is
 * back, and everything that was missed arrives, in order. */
import { sleep } from '../../integration/lib/wait.mjs';
import { onStage, stageOptions } from '../lib/stage.mjs';
import { checkRecoveries, sum } from '../lib/witness.mjs';

export const description = 'the broker away for minutes under load: nobody disconnected, all told, nothing lost';
export const faults = 1; // outages
export const options = {
    ...stageOptions(),
    away: { default: 120, help: 'seconds for which the broker is away' },
};

/* How far the told moment may be from the true one: a gateway believes it after some seconds without a sign. */
const SINCE_MS = 15000;

/* Each client's `stale` and `live`, in order: {event, since}. */
function listen(witnesses) {
    return witnesses.map(({ client: { socket } }) => {
        const told = [];
        socket.on('stale', ({ since }) => told.push({ event: 'stale', since }));
        socket.on('live', () => told.push({ event: 'live' }));
        return told;
    });
}

const isPair = (told, gone_ms) => told.length === 2 && told[0].event === 'stale' && told[1].event === 'live'
    && Math.abs(told[0].since - gone_ms) < SINCE_MS;

export async function run({ report, random, faults: outages, values }) {
    await onStage('chaos-broker', { report, values }, async ({ store, witnesses, finish }) => {
        const told = listen(witnesses);
        const wrong = new Set();
        for (let i = 0; i < outages; i++) {
            await sleep(5000);
            const hard = random.fraction() < 0.5;
            report.fault('broker away', `for ${values.away} s, ${hard ? '-9' : 'in good order'}`);
            const gone_ms = Date.now();
            await (hard ? store.kill() : store.stop());
            await sleep(Number(values.away) * 1000);
            const early = told.filter((list) => list.length !== 1).length;
            report.check('while it is away every client knows', early === 0, `${early} do not`);
            await store.start();
            await sleep(15000);
            told.forEach((list, j) => isPair(list.splice(0), gone_ms) || wrong.add(j));
        }
        await finish({ timeout: 120000 });
        checkRecoveries(report, witnesses);
        report.check('nobody was disconnected', sum(witnesses, 'returns') === 0, `${sum(witnesses, 'returns')} returns`);
        report.check('every client is told once, since when, and once that it is live again', wrong.size === 0, `${wrong.size} are not`);
    });
}
