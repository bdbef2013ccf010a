/* Stock clients of other languages against the gateway's own transport code: each goes through lib/steps.mjs by polling
 * only, by WebSocket only, and by its default, an upgrade.
 *   CLIENTS=python-sync,python-async,java   only these */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import path from 'node:path';
import readline from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { newLogDirectory, SLOW, TESTS_DIR } from '../integration/lib/places.mjs';
import { freePort } from '../integration/lib/ports.mjs';
import { sleep } from '../integration/lib/wait.mjs';
import { endWell, startAgain, startEcho } from './lib/echo.mjs';
import { STEPS } from './lib/steps.mjs';

const HERE = path.join(TESTS_DIR, 'clients');
const LOGS = newLogDirectory('stock_clients');
const fetched = (kind) => execFileSync(path.join(HERE, 'fetch'), [kind], { encoding: 'utf8' }).trim();
const python = (variant) => () => [fetched('python'), path.join(HERE, 'stock_client.py'), variant];
const CLIENTS = {
    'python-sync': python('sync'),
    'python-async': python('async'),
    java: () => {
        const jars = `${fetched('java')}/*`;
        execFileSync('javac', ['-nowarn', '-encoding', 'UTF-8', '-cp', jars, '-d', LOGS, path.join(HERE, 'StockClient.java')]);
        return ['java', '-XX:TieredStopAtLevel=1', '-cp', `${LOGS}:${jars}`, 'StockClient'];
    },
};
const TRANSPORTS = ['polling', 'websocket', 'polling,websocket'];
const asked = process.env.CLIENTS?.split(',') ?? Object.keys(CLIENTS);

/* A short heartbeat, so that it is tested; and one that is longer than all steps together, since a frequent ping wakes a poll
 * that something else should have woken. A long timeout, so that a busy machine is not tested. */
const STEPS_MS = 20000 * SLOW;
const HEARTBEATS = { 'a heartbeat of 300 ms': 300, 'no heartbeat to help': 25000 * SLOW };

/* Runs the client to its end; returns the steps that it has gone through. */
async function run(command, suites, log) {
    const child = spawn(command[0], command.slice(1), { stdio: ['pipe', 'pipe', 'pipe'] });
    const ended = new Promise((resolve, reject) => {
        child.once('error', reject);
        child.once('exit', (code, signal) => resolve({ code, signal }));
    });
    const steps = [];
    let complaint = '';
    child.stderr.on('data', (data) => { complaint += data; });
    for await (const line of readline.createInterface({ input: child.stdout })) {
        if (line.startsWith('ok '))
            steps.push(line.slice(3));
        if (line !== 'restart')
            continue;
        await suites.kill();
        await sleep(500); // long enough for attempts that fail
        await startAgain(suites);
        child.stdin.write('restarted\n');
    }
    const { code } = await ended;
    assert.equal(code, 0, `${command.join(' ')}\nwent through ${steps}\n${complaint}\n${log}`);
    return steps;
}

for (const name of asked)
    for (const [heartbeat, interval] of Object.entries(HEARTBEATS))
        describe(`stock client ${name}, ${heartbeat}`, { timeout: 300000 * SLOW }, () => {
            let command, suites, clientSuite;

            before(async () => {
                command = CLIENTS[name]();
                const options = ['--ping-interval', interval, '--ping-timeout', 20000, '--connect-timeout', 20000];
                const log = (of) => path.join(LOGS, `${name}-${interval}-${of}.log`);
                suites = await startEcho(log('suites'), { port: await freePort(), options });
                clientSuite = await startEcho(log('client-suite'), { options: ['--application', 'client-suite', ...options] });
            });
            after(async () => {
                await Promise.all([suites, clientSuite].filter(Boolean).map(endWell));
            });

            for (const transports of TRANSPORTS)
                it(`goes through every step by ${transports}`, async () => {
                    const began = Date.now();
                    const steps = await run([...command, suites.url, clientSuite.url, transports], suites, suites.log);
                    const took = Date.now() - began;
                    assert.deepEqual(steps, STEPS);
                    assert.ok(took < STEPS_MS, `it took ${took} ms`);
                });
        });
