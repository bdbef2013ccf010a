/* What the README shows works as it stands there: its rules, its backend, its page. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Kafka, logLevel } from 'kafkajs';
import { io } from 'socket.io-client';
import { token } from './lib/client.mjs';
import { SLOW, SOURCE_DIR } from './lib/places.mjs';
import { eventually } from './lib/wait.mjs';
import { SECRET, World } from './lib/world.mjs';

/* The blocks of one language, by a word that only one of them has. */
const readme = fs.readFileSync(path.join(SOURCE_DIR, 'README.md'), 'utf8');
function block(language, word) {
    const found = [...readme.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].filter(([, kind, text]) => kind === language && text.includes(word));
    assert.equal(found.length, 1, `one block of ${language} with "${word}"`);
    return found[0][2];
}

/* Runs a block that imports the names of `imports` and uses those of `surroundings`; returns its constant `result`. */
function run(code, imports, surroundings, result) {
    for (const [, names] of code.matchAll(/^import \{ (.*) \} from ".*";\n/gm))
        names.split(', ').forEach((name) => assert.ok(imports[name], `the README imports ${name}`));
    const names = { ...imports, ...surroundings };
    const AsyncFunction = (async () => {}).constructor;
    const body = `${code.replaceAll(/^import .*\n/gm, '')}\nreturn ${result};`;
    return new AsyncFunction(...Object.keys(names), body)(...Object.values(names));
}

test('rules, backend and page of the README', { timeout: 120000 * SLOW }, async (t) => {
    const world = await World.open(t, 'readme', { broker: 'embedded', rules: block('yaml', 'rules:') });
    await world.dispatcher();
    const gateway = await world.gateway();
    const task = { id: 'task-1', tenantId: 'acme', userId: 'usr_test' };

    const page = block('ts', 'socket.io-client').replace('https://realtime.example.com', gateway.url);
    const seen = { tasks: [], past: [], boards: [] };
    const unexpected = (what) => (given) => assert.fail(`${what} ${JSON.stringify(given)}`);
    const socket = await run(page, { io }, {
        taskId: task.id, projectId: 'project-1', showBoard: (...state) => seen.boards.push(state), getToken: async () => token({ sub: 'usr_test', tenant: 'acme' }, SECRET),
        setTask: (status) => seen.tasks.push(status), addPast: (event) => seen.past.push(event), addReview: unexpected('review'), reload: unexpected('reload'),
    }, 'socket');
    t.after(() => socket.disconnect());

    const backend = block('ts', 'kafkajs').replace('localhost:9092', world.broker.address);
    class QuietKafka extends Kafka { constructor(options) { super({ ...options, logLevel: logLevel.NOTHING }); } }
    const producer = await run(backend, { Kafka: QuietKafka, randomUUID }, { task }, 'producer');
    t.after(() => producer.disconnect());

    await eventually(() => seen.tasks.length === 1, { what: () => `an update: ${JSON.stringify(seen)}` });
    assert.equal(seen.tasks[0].taskId, task.id);
    assert.deepEqual(seen.tasks[0].data, { progress: 40, stage: 'ocr' });
    assert.deepEqual(seen.past, [], 'nothing was before');
    assert.deepEqual(seen.boards, [['project:project-1', true, []]], 'nor is anything shown');
});
