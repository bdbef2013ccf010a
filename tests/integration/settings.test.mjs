/* Every setting at its least and its greatest value, by the tables that the programs print: the program starts, is ready,
 * and serves, or --check-config says which settings do not go together. A new setting is tested by standing in its table.
 *
 * Settings are tried in groups. A group that is refused is tried again without those that the refusal names, and each of
 * these alone. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { Client, token } from './lib/client.mjs';
import { PROGRAMS, SLOW } from './lib/places.mjs';
import { freePort } from './lib/ports.mjs';
import { EventClient, WebSocketClient } from './lib/streams.mjs';
import { eventually, sleep } from './lib/wait.mjs';
import { merge, SECRET, taskEvent, TOPICS, World } from './lib/world.mjs';

const LIMIT = { timeout: 240000 * SLOW };
const GROUPS = { gateway: 6, dispatcher: 3 };
const run = promisify(execFile);

/* What lists hold: the n-th item. */
const ITEMS = {
    'gateway.cors.origins': (n) => `https://page-${n}.example`,
    'gateway.socketio.namespaces': (n) => (n === 0 ? '/' : `/space-${n}`),
    'gateway.conflate': (n) => `task.event-${n}`,
    'gateway.peers.network': (n) => `127.${n}.0.0/16`,
    'gateway.presence.rooms': (n) => ['task', 'project', 'user', 'tenant', 'review'][n % 5],
    'gateway.http.trusted_proxies': (n) => `10.${n}.0.0/16`,
    'dispatcher.input_topics': (n) => (n === 0 ? 'tasks.events' : `tasks.events.${n}`),
    'dispatcher.review.closed_by': (n) => `review.closed-${n}`,
};

const LONG_TOPICS = Object.fromEntries(['dead_letter', 'audit', 'state', 'events'].map((name) => [`dispatcher.${name}_topic`, name.padEnd(249, 'x')]));

/* Not tried on the embedded broker, which has no transactions: the dispatcher ends and says so.
 * reviews.test.mjs runs with a topic of a usual name; the longest name is tried nowhere. What goes with no other but that one:
 * review_timers.test.mjs. */
const ELSEWHERE = ['log', 'timers', 'claim_time', 'remind'].map((name) => `dispatcher.review.${name}`);

/* What a value needs beside it, whatever else is tried with it. */
const room = { topic: 'fanout.tenant', key: '{tenant}', partitions: 8 };
const COMPANIONS = {
    ...Object.fromEntries(['gateway.http.port', 'gateway.operations.port', 'dispatcher.http.port'].map(
        (path) => [`${path}=0`, { log: { level: 'info', format: 'text' } }])), // which port it is, the log says
    'layout=none': { rooms: { task: room, user: room, tenant: room, project: room, review: { topic: 'fanout.review.{key}', key: '{tenant}', partitions: 1 } } },
    'layout=user': { gateway: { access: { connect: ['user:{sub}'], join: ['task:*'] } } },
};

/* The values to try, least first; none: a setting that has no such thing (a path, a secret, a tree). */
function extremes(setting) {
    const { path, type, minimum, maximum, choices } = setting;
    if (ELSEWHERE.includes(path))
        return [];
    switch (type) {
    case 'integer': case 'number':
        return maximum === undefined ? [] : [minimum, maximum];
    case 'duration':
        return maximum === undefined ? [] : [`${minimum}ms`, `${maximum}ms`];
    case 'size':
        return maximum === undefined ? [] : [`${minimum}B`, `${maximum}B`];
    case 'boolean':
        return [false, true];
    case 'choice':
        return choices;
    case 'list':
        assert.ok(ITEMS[path], `what does the list ${path} hold? ITEMS in this file has to say it`);
        return [minimum, maximum].map((count) => Array.from({ length: count }, (_, n) => ITEMS[path](n)));
    case 'string':
        return maximum < 1000 ? [LONG_TOPICS[path] ?? 'x'.repeat(maximum)] : [];
    default:
        assert.ok(['secret', 'tree'].includes(type), `${path}: a type that this test does not know: ${type}`);
        return [];
    }
}

async function tableOf(name) {
    const { stdout } = await run(PROGRAMS[name], ['--settings-json']);
    return JSON.parse(stdout);
}

/* Lists of [path, value], each to be tried at once. Neighbours in the table are in different groups. */
function plan(table, count) {
    const groups = [];
    const tried = table.map((setting) => ({ path: setting.path, values: extremes(setting) })).filter(({ values }) => values.length);
    const most = Math.max(...tried.map(({ values }) => values.length));
    for (let which = 0; which < most; which++)
        for (let group = 0; group < count; group++) {
            const values = tried.filter((_, i) => i % count === group).filter(({ values }) => which < values.length)
                .map(({ path, values }) => [path, values[which]]);
            if (values.length)
                groups.push(values);
        }
    return groups;
}

function settingsOf(values) {
    const settings = {};
    for (const [path, value] of values) {
        const keys = path.split('.');
        const last = keys.pop();
        keys.reduce((node, key) => (node[key] ??= {}), settings)[last] = value;
    }
    return values.reduce((all, [path, value]) => merge(all, COMPANIONS[`${path}=${value}`] ?? {}), settings);
}

const show = (values) => values.map(([path, value]) => `${path}=${JSON.stringify(value).slice(0, 60)}`).join(' ');

class Trial {
    constructor(world, name) {
        Object.assign(this, { world, name, starts: 0, refused: 0 });
    }

    /* What --check-config says; empty: nothing is wrong. */
    async check(values) {
        const settings = merge({ dispatcher: { group: `trial-${++this.starts}` } }, settingsOf(values)); // others have left it when it begins
        const ports = { gatewayPort: await freePort(), operationsPort: await freePort(), dispatcherPort: await freePort() };
        const file = this.world.writeConfiguration(`${this.name}-${this.starts}`, ports, settings);
        const { code, stderr } = await run(PROGRAMS[this.name], ['--config', file, '--check-config']).then(
            ({ stderr: text }) => ({ code: 0, stderr: text }), (error) => error);
        assert.ok(code === 0 || (code === 1 && stderr.trim()), `--check-config of ${show(values)} ended with ${code}: ${stderr}`);
        assert.doesNotMatch(stderr, /Assertion|Sanitizer/);
        return { file, ports, told: code === 0 ? '' : stderr };
    }

    async group(values, serve) {
        const { file, ports, told } = await this.check(values);
        if (!told) {
            await this.start(file, values, (program, all) => serve(program, all, ports));
            return;
        }
        const named = values.filter(([path]) => told.includes(path) || told.includes(path.replace(/\.[^.]+$/, ':')));
        assert.ok(named.length, `a refusal that names none of the settings: ${told}\n${show(values)}`);
        if (values.length === 1) {
            /* Alone it does not go together with what is left at its default: which that is, is told too. */
            const settings = new Set(told.match(/\b(gateway|dispatcher|kafka)\.\w[\w.]+/g));
            assert.ok(settings.size > 1 || /layout|secret/.test(told), told);
            this.refused++;
            return;
        }
        await this.group(values.filter((value) => !named.includes(value)), serve);
        for (const value of named)
            await this.group([value], serve);
    }

    async start(file, values, serve) {
        const program = this.world.program(`${this.name}-${this.starts}`, PROGRAMS[this.name], ['--config', file]).start();
        try {
            await serve(program, Object.fromEntries(values));
        } catch (error) {
            error.message = `with ${show(values)}: ${error.message}\n${program.tail()}`;
            throw error;
        }
        program.signal('SIGTERM'); // and again: without waiting for anybody
        await sleep(100);
        const end = program.alive ? (program.signal('SIGTERM'), await program.waitEnd(30000 * SLOW)) : program.end;
        assert.deepEqual(end, { code: 0, signal: null }, `the end with ${show(values)}\n${program.tail()}`);
    }
}

/* Tries until it works: with time-outs at their least, or on a machine that is busy, the first try may fail. */
const untilServed = (program, what, attempt) => eventually(async () => {
    if (!program.alive)
        throw Object.assign(new Error(`${program.name} has ended`), { final: true });
    await attempt();
    return true;
}, { timeout: 30000 * SLOW, interval: 200, what });

const claims = () => token({ sub: 'usr_test', tenant: 'acme' }, SECRET);

async function socketio(url, transport) {
    /* Development mode takes the rest for the claims. */
    const client = new Client(url, { auth: { token: claims(), sub: 'usr_test', tenant: 'acme' }, options: { transports: [transport], reconnection: false } });
    try {
        await client.connect(5000 * SLOW);
        await client.subscribe('task:t1');
    } finally {
        client.disconnect();
    }
}

async function rawWebSocket(url) {
    const client = new WebSocketClient(url, { token: claims() });
    try {
        await client.connect();
        await client.subscribe('task:t1');
    } finally {
        client.disconnect();
    }
}

async function serverSentEvents(url) {
    const client = new EventClient(url, { rooms: ['task:t1'], token: claims() });
    try {
        await client.connect();
    } finally {
        client.disconnect();
    }
}

/* Where a program listens: at the port that is tried, at any, or at its own. */
async function urlOf(program, tried, own, word) {
    const port = tried === 0 ? (await program.waitText(new RegExp(`${word}.*port=(\\d+)`), 30000 * SLOW))[1] : tried ?? own;
    return `http://127.0.0.1:${port}`;
}

async function serveByGateway(world, program, values, ports) {
    program.url = await urlOf(program, values['gateway.http.port'], ports.gatewayPort, 'listening');
    program.operations = await urlOf(program, values['gateway.operations.port'], ports.operationsPort, 'operations');
    await world.waitReady(program, 60000 * SLOW);
    if (values['gateway.auth.mode'] === 'development')
        return; // others than Socket.IO say there who they are in ways of their own
    const on = (path) => values[path] !== false;
    if (on('gateway.socketio.polling'))
        await untilServed(program, 'Socket.IO by polling', () => socketio(program.url, 'polling'));
    if (on('gateway.socketio.websocket'))
        await untilServed(program, 'Socket.IO by WebSocket', () => socketio(program.url, 'websocket'));
    if (on('gateway.websocket.enabled'))
        await untilServed(program, 'raw WebSocket', () => rawWebSocket(program.url));
    if (on('gateway.sse.enabled'))
        await untilServed(program, 'server-sent events', () => serverSentEvents(program.url));
}

async function serveByDispatcher(world, program, values, { ports, backend, id }) {
    program.url = program.operations = await urlOf(program, values['dispatcher.http.port'], ports.dispatcherPort, 'listening');
    await world.waitReady(program, 60000 * SLOW);
    await backend.events([taskEvent({ taskId: `t${id}`, n: id })]);
    await eventually(async () => await world.metric(program, 'smartstack_dispatcher_records_total') > 0,
        { timeout: 30000 * SLOW, what: 'an event handled' });
}

const topics = {
    ...TOPICS,
    'fanout.user': 8, // of the layout `user`
    ...Object.fromEntries(Object.values(LONG_TOPICS).map((name) => [name, 1])),
    ...Object.fromEntries(Array.from({ length: 99 }, (_, n) => [`tasks.events.${n + 1}`, 1])),
};

describe('every setting at its least and its greatest value', LIMIT, () => {
    it('gateway', LIMIT, () => World.use('settings-gateway', { broker: 'embedded', topics }, async (world) => {
        const trial = new Trial(world, 'gateway');
        for (const values of plan(await tableOf('gateway'), GROUPS.gateway))
            await trial.group(values, (program, all, ports) => serveByGateway(world, program, all, ports));
        assert.ok(trial.starts >= 2 * GROUPS.gateway);
    }));
    it('dispatcher', LIMIT, () => World.use('settings-dispatcher', { broker: 'embedded', topics }, async (world) => {
        const backend = await world.backend();
        const trial = new Trial(world, 'dispatcher');
        for (const values of plan(await tableOf('dispatcher'), GROUPS.dispatcher))
            await trial.group(values, (program, all, ports) => serveByDispatcher(world, program, all, { ports, backend, id: trial.starts }));
        assert.ok(trial.starts >= 2 * GROUPS.dispatcher);
    }));
});
