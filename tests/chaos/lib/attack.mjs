/* Attackers (attackers.mjs) on and off: what others' deliveries are like in windows with them and without, in pairs, so that what the machine
 * does meanwhile is in both. */
import { spawn } from 'node:child_process';
import path from 'node:path';
import readline from 'node:readline';
import { TESTS_DIR } from '../../integration/lib/places.mjs';
import { sleep } from '../../integration/lib/wait.mjs';
import { takeLatencies } from './load.mjs';

export const SETTLE_SECONDS = 2;

export const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

/* The process of the attackers: go() and rest(), which resolves to what they have done. `tenant` and `kinds`: whose they are, and what they
 * do, if not all. */
export async function hire(gateway, { count, pace, secret, tenant = 'bench', kinds = [] }, random) {
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', 'nice', '-n', '10', process.execPath, path.join(TESTS_DIR, 'chaos/lib/attackers.mjs'),
        gateway.url, count, random.integer(1, 1e9), pace, secret, tenant, ...kinds].map(String), { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    await lines.next();
    return {
        go: () => child.stdin.write('go\n'),
        rest: async () => {
            child.stdin.write('rest\n');
            return JSON.parse((await lines.next()).value);
        },
        dismiss: () => child.stdin.end(),
    };
}

/* Latencies of `load`, {calm, attacked}: of each round a window without the attackers, and one with them. `elsewhere`: others that attack another
 * gateway meanwhile, so that in both windows the machine has as much to do. `tell(round)` is asked for more to say. */
export async function inPairs({ load, attackers, elsewhere, rounds, seconds, report, tell = () => '' }) {
    const calm = [], attacked = [];
    for (let round = 0; round < rounds; round++) {
        await sleep(1000 * SETTLE_SECONDS);
        elsewhere?.go();
        await takeLatencies(load);
        await sleep(1000 * seconds);
        calm.push(await takeLatencies(load));
        if (elsewhere) {
            await elsewhere.rest();
            await sleep(1000 * SETTLE_SECONDS);
            await takeLatencies(load);
        }
        attackers.go();
        report.fault('attack', `for ${seconds} s`);
        await sleep(1000 * seconds);
        attacked.push(await takeLatencies(load));
        const did = await attackers.rest();
        report.say(`p50 ${calm.at(-1).p50_ms} ms without, ${attacked.at(-1).p50_ms} ms with them; p99 ${calm.at(-1).p99_ms} and ${attacked.at(-1).p99_ms} ms; `
            + `${tell(round)}they did ${JSON.stringify(did)}`);
        await sleep(1000 * SETTLE_SECONDS);
        await takeLatencies(load); // of neither
    }
    return { calm, attacked };
}
