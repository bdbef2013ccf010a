/* Nobody to talk to: a broker that accepts connections and never answers, a name that DNS does not know, a log that cannot be
 * written. Both programs stay, say so in /readyz, and end in good order when asked. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { PROGRAMS, SLOW } from './lib/places.mjs';
import { freePort } from './lib/ports.mjs';
import { eventually, sleep } from './lib/wait.mjs';
import { World } from './lib/world.mjs';

async function neither(t, name, bootstrap, command = (program) => [program, []]) {
    const world = await World.open(t, name, { broker: 'none', settings: { kafka: { 'bootstrap.servers': bootstrap } } });
    for (const kind of ['dispatcher', 'gateway']) {
        const port = await freePort();
        const operations = await freePort();
        const config = world.writeConfiguration(kind, { [`${kind}Port`]: port },
            kind === 'gateway' ? { gateway: { operations: { port: operations } } } : {});
        const [file, before] = command(PROGRAMS[kind]);
        const program = world.program(kind, file, [...before, '--config', config]).start();
        const url = `http://127.0.0.1:${kind === 'gateway' ? operations : port}`;
        const ask = async (page) => fetch(`${url}/${page}`, { signal: AbortSignal.timeout(5000) });
        await eventually(async () => (await ask('livez')).status === 200, { timeout: 20000 * SLOW, what: () => `${kind} alive\n${program.tail()}` });
        await sleep(3000);
        assert.ok(program.alive, program.tail());
        const ready = await ask('readyz');
        assert.equal(ready.status, 503);
        assert.match(await ready.text(), /no broker can be reached|broker not reached yet/);
        program.signal('SIGTERM');
        const end = await program.waitEnd(40000 * SLOW);
        assert.equal(end.code, 0, program.tail());
    }
}

test('a broker that never answers', { timeout: 120000 * SLOW }, async (t) => {
    const silent = net.createServer((socket) => socket.on('error', () => {}).resume()).listen(await freePort(), '127.0.0.1');
    await once(silent, 'listening');
    t.after(() => silent.close());
    silent.unref();
    await neither(t, 'no_broker_silent', `127.0.0.1:${silent.address().port}`);
});

test('a name that DNS does not know', { timeout: 120000 * SLOW }, async (t) => {
    await neither(t, 'no_broker_name', 'kafka.invalid:9092');
});

test('a log that cannot be written', { timeout: 120000 * SLOW }, async (t) => {
    await neither(t, 'no_broker_log', '127.0.0.1:1', (program) => ['sh', ['-c', 'exec "$0" "$@" > /dev/full 2>&1', program]]);
});

test('a log that is closed', { timeout: 120000 * SLOW }, async (t) => {
    await neither(t, 'no_broker_closed', '127.0.0.1:1', (program) => ['sh', ['-c', 'exec "$0" "$@" >&- 2>&-', program]]);
});
