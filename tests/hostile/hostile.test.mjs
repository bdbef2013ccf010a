/* Hostile inputs over real sockets, while well-behaved stock clients go on: no crash, no leak, nobody disturbed, memory
 * bounded, and each input is taken as it must be.
 *
 *   node tests/hostile/hostile.test.mjs [--inputs N] [--seed N] [--kind NAME]
 *        [--only N]           input number N of this seed and nothing else
 *
 * What an input does follows from the seed and its number alone. tests/run sends 500. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import readline from 'node:readline';
import { test } from 'node:test';
import { parseArgs } from 'node:util';
import { endWell, startEcho } from '../clients/lib/echo.mjs';
import { newLogDirectory, SLOW, TESTS_DIR } from '../integration/lib/places.mjs';
import { eventually, sleep } from '../integration/lib/wait.mjs';
import { attack, status, WEIGHTS } from './lib/attack.mjs';

const { values } = parseArgs({
    options: {
        inputs: { type: 'string', default: '500' },
        seed: { type: 'string', default: '1' },
        kind: { type: 'string' },
        only: { type: 'string' },
    },
});
const INPUTS = Number(values.inputs);
const SEED = Number(values.seed);
const WITNESSES = 20;

/* Memory of the release build while it is attacked, above what it needs for its well-behaved clients. */
const MEMORY_MOST_KB = 64 * 1024;

async function startWitnesses(url) {
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', process.execPath, path.join(TESTS_DIR, 'hostile/witnesses.mjs'), url, String(WITNESSES)],
        { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    assert.equal((await lines.next()).value, 'ready');
    return {
        async finish() {
            child.stdin.write('enough\n');
            return JSON.parse((await lines.next()).value);
        },
    };
}

test(`${INPUTS} hostile inputs (seed ${SEED})`, { timeout: (60000 + INPUTS * 100) * SLOW }, async () => {
    const log = path.join(newLogDirectory('hostile'), 'echo.log');
    const server = await startEcho(log, { options: ['--ping-interval', 500, '--ping-timeout', 20000, '--connect-timeout', 20000] });
    try {
        const witnesses = await startWitnesses(server.url);
        await sleep(1000);
        const before = status(server.pid);
        const numbers = values.only ? [Number(values.only)] : Array.from({ length: INPUTS }, (_, i) => i);
        const began = Date.now();
        const { counts, wrongs, peak } = await attack(server, numbers, { seed: SEED, weights: values.kind ? { [values.kind]: 1 } : WEIGHTS });
        const seconds = (Date.now() - began) / 1000;
        assert.ok(server.alive, `the server has ended\n${server.tail(60)}`);
        const seen = await witnesses.finish();
        /* Sessions that were left alone end by their heartbeat. */
        await eventually(() => status(server.pid).descriptors <= before.descriptors,
            { timeout: 60000 * SLOW, interval: 200, what: () => `${status(server.pid).descriptors} descriptors, ${before.descriptors} before` });
        const after = status(server.pid);
        console.log(JSON.stringify({ seconds, counts, memoryKb: { before: before.memoryKb, peak, after: after.memoryKb }, witnesses: seen }));
        assert.deepEqual(wrongs, []);
        assert.deepEqual(seen.faults, []);
        assert.ok(seen.sent > WITNESSES, `${seen.sent} events`);
        assert.ok(seen.p99 < 1000 * SLOW, `99 % of echoes within ${seen.p99} ms`);
        if (SLOW === 1)
            assert.ok(peak - before.memoryKb < MEMORY_MOST_KB, `${before.memoryKb} kB before, ${peak} kB at most`);
        await endWell(server);
    } finally {
        await server.kill(); // nothing if it has ended
    }
});
