/* What a person sees who got something wrong: a message that names it, and an exit code or a visible state; never a
 * crash. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, it } from 'node:test';
import { RealBroker } from './lib/broker.mjs';
import { PROGRAMS, SLOW } from './lib/places.mjs';
import { freePort } from './lib/ports.mjs';
import { eventually, sleep } from './lib/wait.mjs';
import { merge, taskEvent, TOPICS, World } from './lib/world.mjs';

const LIMIT = { timeout: 240000 * SLOW }; // of a whole group

const withWorld = World.use;

/* Runs a program to its end; returns {code, text}. */
async function outcome(world, command, args, more = {}) {
    const name = `run-${world.programs.length}`;
    const program = world.program(name, command, args, more).start();
    const { code, signal } = await program.waitEnd(20000 * SLOW);
    assert.equal(signal, null, `ended by ${signal}\n${program.tail()}`);
    return { code, text: program.text().split('\n').slice(1).join('\n') };
}

async function assertRefuses(world, command, args, ...patterns) {
    const { code, text } = await outcome(world, command, args);
    assert.notEqual(code, 0, text);
    assert.ok(code > 0 && code < 126, `exit code ${code}`);
    patterns.forEach((pattern) => assert.match(text, pattern));
    assert.ok(text.split('\n').length < 30, `a message, not a flood:\n${text}`);
}

const readiness = async (program) => {
    const response = await fetch(`${program.operations}/readyz`);
    return { status: response.status, text: await response.text() };
};

for (const name of ['gateway', 'dispatcher']) {
    const command = PROGRAMS[name];

    describe(`${name}: configuration`, LIMIT, () => {
        it('a good file passes --check-config', () => withWorld(`refusals-${name}-good`, { broker: 'none' }, async (world) => {
            const file = world.writeConfiguration('good', { dispatcherPort: 9464, gatewayPort: 8080 });
            const { code, text } = await outcome(world, command, ['--config', file, '--check-config']);
            assert.equal(code, 0, text);
        }));
        it('an unknown key is refused with its place', () => withWorld(`refusals-${name}-unknown`, { broker: 'none' }, async (world) => {
            const file = path.join(world.data, 'bad.yaml');
            fs.writeFileSync(file, `kafka:\n  bootstrap.servers: 127.0.0.1:1\n${name}:\n  http:\n    prot: 8080\n`);
            await assertRefuses(world, command, ['--config', file, '--check-config'], /bad\.yaml:5:5/, /prot/);
            await assertRefuses(world, command, ['--config', file], /bad\.yaml:5:5/, /prot/);
        }));
        it('every problem is told at once', () => withWorld(`refusals-${name}-all`, { broker: 'none' }, async (world) => {
            const file = path.join(world.data, 'bad.yaml');
            fs.writeFileSync(file, `nonsense: 1\nkafka:\n  bootstrap.servers: 127.0.0.1:1\n  no.such.property: 3\n${name}:\n  http:\n    port: 99999999\n`);
            await assertRefuses(world, command, ['--config', file, '--check-config'],
                /bad\.yaml:1:1.*nonsense/, /bad\.yaml:4:3.*no\.such\.property/, /bad\.yaml:7:\d+.*port/i);
        }));
        it('a file that is no YAML is refused with its place', () => withWorld(`refusals-${name}-syntax`, { broker: 'none' }, async (world) => {
            const file = path.join(world.data, 'bad.yaml');
            fs.writeFileSync(file, 'kafka: {bootstrap.servers: "127.0.0.1:1\n');
            await assertRefuses(world, command, ['--config', file], /bad\.yaml:\d+:\d+/);
        }));
        it('a missing file is named', () => withWorld(`refusals-${name}-missing`, { broker: 'none' }, async (world) => {
            await assertRefuses(world, command, ['--config', path.join(world.data, 'nowhere.yaml')], /nowhere\.yaml/);
        }));
        it('an unknown option is refused, --help is not', () => withWorld(`refusals-${name}-option`, { broker: 'none' }, async (world) => {
            await assertRefuses(world, command, ['--no-such-option'], /no-such-option/);
            const { code, text } = await outcome(world, command, ['--help']);
            assert.equal(code, 0);
            assert.match(text, new RegExp(`SMARTSTACK_${name.toUpperCase()}_HTTP_PORT`));
        }));
        it('an unreachable broker is a state that can be seen, and passes', () => withWorld(`refusals-${name}-broker`, { broker: 'none' }, async (world) => {
            world.broker = new RealBroker({ directory: world.data, logs: world.logs });
            world.broker.port = await freePort(2);
            const program = await world[name]({ ready: false });
            await eventually(async () => (await readiness(program)).status === 503, { what: () => `unready\n${program.tail()}` });
            await sleep(3000);
            assert.ok(program.alive, program.tail());
            assert.equal((await fetch(`${program.operations}/livez`)).status, 200);
            assert.match((await readiness(program)).text, /kafka|broker/i);
            await world.broker.start();
            await world.broker.createTopics(TOPICS);
            await world.waitReady(program, 60000 * SLOW);
        }));
        it('it ends at once on SIGTERM while the broker is away', () => withWorld(`refusals-${name}-away`, { broker: 'none' }, async (world) => {
            const program = await world[name]({ ready: false });
            await eventually(async () => (await fetch(`${program.operations}/livez`)).status === 200, { what: () => program.tail() });
            program.signal('SIGTERM');
            assert.deepEqual(await program.waitEnd(5000 * SLOW), { code: 0, signal: null });
        }));
        it('a port in use is named', () => withWorld(`refusals-${name}-port`, { broker: 'none' }, async (world) => {
            const port = await freePort();
            const holder = net.createServer().listen(port);
            try {
                const file = world.writeConfiguration('busy', { [`${name}Port`]: port });
                await assertRefuses(world, command, ['--config', file], new RegExp(String(port)), /in use/i);
            } finally {
                holder.close();
            }
        }));
    });
}

describe('gateway: ports', LIMIT, () => {
    const reaches = (address, port) => new Promise((resolve) => {
        const socket = net.connect(port, address);
        socket.on('connect', () => { socket.destroy(); resolve(true); }).on('error', () => resolve(false));
    });

    it('clients are told whether, those who run it also why', () => withWorld('refusals-operations', { broker: 'none' }, async (world) => {
        const gateway = await world.gateway({ ready: false });
        await eventually(async () => (await fetch(`${gateway.operations}/livez`)).status === 200, { what: () => gateway.tail() });
        const answer = async (base, path) => {
            const response = await fetch(`${base}${path}`);
            return [response.status, await response.text()];
        };
        assert.deepEqual(await answer(gateway.url, '/livez'), [200, 'ok\n']);
        assert.deepEqual(await answer(gateway.url, '/readyz'), [503, 'unavailable\n']);
        assert.equal((await answer(gateway.url, '/metrics'))[0], 404);
        assert.match((await answer(gateway.operations, '/readyz'))[1], /"kafka":\{"status":"fail/);
        assert.match((await answer(gateway.operations, '/metrics'))[1], /^smartstack_gateway_sessions 0$/m);
        assert.equal((await answer(gateway.operations, '/socket.io/?EIO=4&transport=polling'))[0], 404);
        assert.deepEqual(await Promise.all(['127.0.0.1', '127.0.0.2'].map((address) => reaches(address, new URL(gateway.operations).port))),
            [true, false], 'operations listen on one address of this machine');
        assert.ok(await reaches('127.0.0.2', new URL(gateway.url).port), 'clients may come from anywhere');
    }));
    it('in development mode it listens on this machine alone, unless it is told otherwise', () => withWorld('refusals-development', { broker: 'none' }, async (world) => {
        for (const [name, http, everywhere] of [['development', {}, false], ['development-anywhere', { address: '0.0.0.0' }, true]]) {
            const gateway = await world.gateway({ name, ready: false, settings: { gateway: { auth: { mode: 'development' }, token: undefined, http } } });
            await eventually(async () => (await fetch(`${gateway.url}/livez`)).status === 200, { what: () => gateway.tail() });
            assert.equal(await reaches('127.0.0.2', new URL(gateway.url).port), everywhere);
            assert.match(gateway.text(), new RegExp(`DEVELOPMENT MODE.*address.*${everywhere ? '0\\.0\\.0\\.0' : '127\\.0\\.0\\.1'}`));
        }
    }));
    it('one port for both is refused', () => withWorld('refusals-one-port', { broker: 'none' }, async (world) => {
        await assertRefuses(world, PROGRAMS.gateway, ['--config', world.writeConfiguration('one', { gatewayPort: 9000, operationsPort: 9000 }), '--check-config'],
            /gateway\.operations\.port.*gateway\.http\.port/);
    }));
});

describe('gateway: open files', LIMIT, () => {
    const limited = async (world, name, files, settings = {}) => {
        const [port, operationsPort] = [await freePort(), await freePort()];
        const file = world.writeConfiguration(name, { gatewayPort: port, operationsPort }, settings);
        const program = world.program(name, 'prlimit', [`--nofile=${files}`, PROGRAMS.gateway, '--config', file]).start();
        return Object.assign(program, { port, operations: `http://127.0.0.1:${operationsPort}` });
    };

    it('too few are refused with the number', () => withWorld('refusals-files', { broker: 'none' }, async (world) => {
        const program = await limited(world, 'few', '200:200');
        assert.deepEqual(await program.waitEnd(20000 * SLOW), { code: 1, signal: null });
        assert.match(program.text(), /limit of open files is 200.*at least 512/);
    }));
    it('the limit is raised as far as it may be, and told; at it the gateway is not ready', () => withWorld('refusals-files-full', { broker: 'none' }, async (world) => {
        const program = await limited(world, 'full', '300:600', { gateway: { http: { head_timeout: '10m' } } });
        const isFull = async () => /"connections":\{"status":"fail/.test(await (await fetch(`${program.operations}/readyz`)).text());
        await eventually(async () => (await fetch(`${program.operations}/livez`)).status === 200, { what: () => program.tail() });
        assert.match(program.text(), /listening.*connections=344/);
        assert.match(program.text(), /fewer connections than limits\.sessions files=600 connections=344 sessions=100000/);
        assert.equal(await isFull(), false);
        const sockets = Array.from({ length: 344 }, () => net.connect(program.port, '127.0.0.1').on('error', () => {}));
        await eventually(isFull, { what: 'not ready for want of room' });
        assert.equal(await world.metric(program, 'smartstack_gateway_connections_limit'), 344);
        sockets.forEach((socket) => socket.destroy());
        await eventually(async () => !(await isFull()), { what: 'room again' });
    }));
    it('no more are asked for than the settings can fill', () => withWorld('refusals-files-asked', { broker: 'none' }, async (world) => {
        for (const [name, gateway, connections, files] of [
            ['connections', { http: { connections: 700 }, peers: { secret: undefined } }, 700, 700 + 256],
            ['peers', { http: { connections: 700 }, peers: { connections: 100 } }, 700, 700 + 2 * 100 + 256],
            ['few-connections', { http: { connections: 8 }, peers: { secret: undefined } }, 8, 512],
            ['sessions', { limits: { sessions: 300 }, peers: { secret: undefined } }, 600, 600 + 256],
        ]) {
            const program = await limited(world, name, '300:4096', { gateway });
            await eventually(async () => (await fetch(`${program.operations}/livez`)).status === 200, { what: () => program.tail() });
            assert.match(program.text(), new RegExp(`listening.*connections=${connections}\\b`));
            assert.doesNotMatch(program.text(), /fewer connections/);
            const limits = fs.readFileSync(`/proc/${program.pid}/limits`, 'utf8');
            assert.match(limits, new RegExp(`^Max open files +${files} +4096 `, 'm'));
        }
    }));
});

describe('gateway: what --check-config finds', LIMIT, () => {
    const check = async (world, gateway, more = {}) => {
        const file = world.writeConfiguration('checked', { gatewayPort: 8080 }, { gateway, ...more });
        return outcome(world, PROGRAMS.gateway, ['--config', file, '--check-config']);
    };
    it('all that is wrong is told at once: files that are not there, variables that nobody replaced', () => withWorld('refusals-check', { broker: 'none' }, async (world) => {
        const { code, text } = await check(world, {
            token: { secret: undefined, algorithm: 'RS256', jwks_file: '/nowhere/keys.json', issuer: 'https://${ISSUER}/' },
            tls: { certificate_file: '/nowhere/cert.pem', key_file: '/nowhere/key.pem' }, cors: { origins: ['https://${HOST:-app.example}'] },
            recovery: { keys: '${RECOVERY_KEYS}' },
        });
        assert.equal(code, 1, text);
        for (const pattern of [/gateway\.token: \/nowhere\/keys\.json: No such file/, /gateway\.tls\.certificate_file: \/nowhere\/cert\.pem/, /gateway\.tls\.key_file/,
            /gateway\.token\.issuer: \$\{ISSUER\}/, /gateway\.cors\.origins: \$\{HOST:-app\.example\}/, /gateway\.recovery\.keys: \$\{RECOVERY_KEYS\}/])
            assert.match(text, pattern);
    }));
    it('passwords in URLs are not shown, and keys over http:// are warned of', () => withWorld('refusals-urls', { broker: 'none' }, async (world) => {
        const token = { secret: undefined, algorithm: 'RS256', jwks_url: 'http://reader:hunter2@127.0.0.1:1/keys' };
        const good = await check(world, { token });
        assert.equal(good.code, 0, good.text);
        assert.match(good.text, /warning: gateway\.token\.jwks_url: over http:/);
        const bad = await check(world, { token, cors: { origins: ['https://reader:hunter2@host'] } });
        assert.match(bad.text, /gateway\.cors\.origins: https:\/\/\*\*\*@host/);
        const gateway = await world.gateway({ ready: false, settings: { gateway: { token } } });
        await gateway.waitText(/token keys not read.*\*\*\*@127/, 20000 * SLOW);
        assert.match(gateway.text(), /warning configuration warning=.*over http:/);
        assert.doesNotMatch(good.text + bad.text + gateway.text(), /hunter2/);
    }));
    it('a share of a tenant that is the whole is warned of', () => withWorld('refusals-shares', { broker: 'none' }, async (world) => {
        const { code, text } = await check(world, { history: { buffered: '32MiB' }, presence: { rooms: ['task'], entries: 100000 } });
        assert.equal(code, 0, text);
        assert.match(text, /warning: gateway\.history\.tenant_buffered: is not below gateway\.history\.buffered/);
        assert.match(text, /warning: gateway\.presence\.tenant_entries: is not below gateway\.presence\.entries/);
        const good = await check(world, { history: { buffered: '33MiB' }, presence: { entries: 100000 } });
        assert.equal(good.code, 0, good.text);
        assert.doesNotMatch(good.text, /warning/);
    }));
    it('reviews: their log is of nothing else, needs transactions and room', () => withWorld('refusals-reviews', { broker: 'none' }, async (world) => {
        const log = { log: 'reviews.log' };
        for (const [program, settings, pattern] of [
            ['dispatcher', { dispatcher: { review: { log: 'tasks.events' } } }, /dispatcher\.review\.log: tasks\.events: is that of dispatcher\.input_topics/],
            ['dispatcher', { dispatcher: { review: { ...log, decisions_topic: 'reviews.log' } } }, /dispatcher\.review\.decisions_topic: reviews\.log: is that of dispatcher\.review\.log/],
            ['dispatcher', { dispatcher: { review: log, delivery: 'at-least-once' } }, /dispatcher\.review\.log: .*transactions/],
            ['dispatcher', { dispatcher: { review: log, limits: { notification_size: '8KiB' } } }, /notification_size: an update of a review/],
            ['dispatcher', { dispatcher: { review: { ...log, log_partitions: 0 } } }, /log_partitions/],
            ['dispatcher', { dispatcher: { review: { log: '' }, delivery: 'at-least-once' } }],
            ['dispatcher', { dispatcher: { review: log } }],
            ['gateway', { gateway: { client_events: { review_log: 'clients.events' } } }, /review_log: clients\.events: is that of gateway\.client_events\.topic/],
            ['gateway', { gateway: { client_events: { review_log: 'reviews.log' } } }],
        ]) {
            const file = world.writeConfiguration('reviews', { gatewayPort: 8080 }, settings);
            const { code, text } = await outcome(world, PROGRAMS[program], ['--config', file, '--check-config']);
            assert.equal(code, pattern ? 1 : 0, text);
            if (pattern)
                assert.match(text, pattern);
        }
    }));
    it('no topic has two uses', () => withWorld('refusals-topics', { broker: 'none' }, async (world) => {
        for (const [program, settings, pattern] of [
            ['dispatcher', { dispatcher: { dead_letter_topic: 'tasks.events' } }, /dispatcher\.dead_letter_topic: tasks\.events: is that of dispatcher\.input_topics/],
            ['dispatcher', { dispatcher: { audit_topic: 'tasks.events' } }, /dispatcher\.audit_topic: tasks\.events: is that of dispatcher\.input_topics/],
            ['dispatcher', { dispatcher: { audit: 'off', audit_topic: 'tasks.events' } }],
            ['dispatcher', { dispatcher: { state_topic: 'tasks.audit' } }, /dispatcher\.state_topic: tasks\.audit: is that of dispatcher\.audit_topic/],
            ['dispatcher', { dispatcher: { input_topics: ['a', 'b', 'a'] } }, /dispatcher\.input_topics: a: is that of dispatcher\.input_topics/],
            ['dispatcher', { dispatcher: { input_topics: ['tasks.events', ''] } }, /dispatcher\.input_topics: : no name of a topic/],
            ['dispatcher', { dispatcher: { input_topics: ['a b'] } }, /dispatcher\.input_topics: a b: no name of a topic/],
            ['dispatcher', { dispatcher: { state_topic: 'fanout.tenant' } }, /dispatcher\.state_topic: fanout\.tenant: is that of rooms, of messages/],
            ['dispatcher', { dispatcher: { input_topics: ['tasks.events', 'reviews.decisions'], review: { log: 'reviews.log' } } }],
            ['gateway', { gateway: { client_events: { topic: 'fanout.tenant' } } }, /gateway\.client_events\.topic: fanout\.tenant: is that of rooms/],
            ['gateway', { gateway: { client_events: { review_log: 'fanout.tenant.state' } } }, /review_log: fanout\.tenant\.state: is that of rooms, of their state/],
            ['gateway', { gateway: { control: { topic: 'clients.events' } } }, /gateway\.control\.topic: clients\.events: is that of gateway\.client_events\.topic/],
            ['gateway', { gateway: { control: { topic: 'orders/all' } } }, /gateway\.control\.topic: orders\/all: no name of a topic/],
            ['gateway', { gateway: { client_events: { review_log: 'reviews.log' }, presence: { rooms: ['task'], topic: 'reviews.log' } } }, /presence\.topic: reviews\.log: is that of gateway\.client_events\.review_log/],
            ['gateway', { gateway: { control: { topic: '' }, client_events: { review_log: '' } } }],
        ]) {
            const file = world.writeConfiguration('topics', { gatewayPort: 8080 }, settings);
            const { code, text } = await outcome(world, PROGRAMS[program], ['--config', file, '--check-config']);
            assert.equal(code, pattern ? 1 : 0, text);
            if (pattern)
                assert.match(text, pattern);
        }
    }));
    it('presence: its topic is of nothing else, its records must fit, and who left does not linger for long', () => withWorld('refusals-presence', { broker: 'none' }, async (world) => {
        for (const [settings, pattern] of [
            [{ gateway: { presence: { rooms: ['task'], topic: 'orders' }, control: { topic: 'orders' } } }, /gateway\.presence\.topic: orders: is that of gateway\.control/],
            [{ gateway: { presence: { rooms: ['task'], topic: 'clients.events' } } }, /gateway\.presence\.topic: clients\.events: is that of gateway\.client_events/],
            [{ gateway: { presence: { rooms: ['task'], linger: '61s' } } }, /gateway\.presence\.linger/],
            [{ gateway: { presence: { rooms: ['task'] } }, kafka: { producer: { 'message.max.bytes': 2000 } } }, /gateway\.presence\.rooms: a record of presence .*message\.max\.bytes \(2000\)/],
            [{ gateway: { presence: { rooms: ['task'], topic: 'fanout.tenant' } } }, /gateway\.presence\.topic: fanout\.tenant: is that of rooms, of messages/],
            [{ gateway: { presence: { rooms: ['task'], topic: 'fanout.tenant.state' } } }, /gateway\.presence\.topic: fanout\.tenant\.state: is that of rooms, of their state/],
            [{ gateway: { presence: { rooms: ['task'], linger: '60s' } } }],
        ]) {
            const file = world.writeConfiguration('presence', { gatewayPort: 8080 }, settings);
            const { code, text } = await outcome(world, PROGRAMS.gateway, ['--config', file, '--check-config']);
            assert.equal(code, pattern ? 1 : 0, text);
            if (pattern)
                assert.match(text, pattern);
        }
    }));
    it('no core dump, unless it is asked for', () => withWorld('refusals-core', { broker: 'none' }, async (world) => {
        for (const [name, settings, soft] of [['none', {}, '0'], ['allowed', { core_dumps: true }, '4096']]) {
            const [port, operationsPort] = [await freePort(), await freePort()];
            const file = world.writeConfiguration(name, { gatewayPort: port, operationsPort }, settings);
            const environment = { ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ''}:disable_coredump=0` };
            const program = world.program(name, 'prlimit', ['--core=4096:4096', PROGRAMS.gateway, '--config', file], { environment }).start();
            await program.waitText(/listening/, 20000 * SLOW);
            assert.match(fs.readFileSync(`/proc/${program.pid}/limits`, 'utf8'), new RegExp(`Max core file size +${soft} +4096`));
        }
    }));
});

describe('gateway: origins and cookies', LIMIT, () => {
    for (const [what, gateway, refusal] of [
        ['cookies from pages of any origin, which browsers refuse, are refused', { cors: { origins: ['*'], credentials: true } }, /gateway\.cors.*\*/],
        ['any origin among others is refused', { cors: { origins: ['https://app.example', '*'] } }, /gateway\.cors.*\*/],
        ['an origin with a slash behind is refused', { cors: { origins: ['https://app.example/'] } }, /https:\/\/app\.example\/: .*slash/],
        ['an origin without a scheme is refused', { cors: { origins: ['app.example'] } }, /app\.example: .*scheme/],
        ['an origin that browsers write otherwise is refused', { cors: { origins: ['https://App.example', 'https://app.example:443'] } }, /App\.example.*small letters[^]*:443: .*own port/],
        ['any origin is taken', { cors: { origins: ['*'] } }],
        ['cookies from pages of named origins are taken', { cors: { origins: ['https://app.example'], credentials: true } }],
        ['a name that no cookie can have is refused', { socketio: { cookie: 'io; Domain=x' } }, /gateway\.socketio\.cookie/],
        ['a name that no cookie can have is refused for streams', { sse: { cookie: 'tok=en' } }, /gateway\.sse\.cookie/],
        ['names of cookies are taken', { socketio: { cookie: 'io' }, sse: { cookie: '__Host-token' } }],
    ])
        it(what, () => withWorld('refusals-origins', { broker: 'none' }, async (world) => {
            const args = ['--config', world.writeConfiguration('good', { gatewayPort: 8080 }, { gateway }), '--check-config'];
            if (refusal)
                await assertRefuses(world, PROGRAMS.gateway, args, refusal);
            else
                assert.equal((await outcome(world, PROGRAMS.gateway, args)).code, 0);
        }));
});

describe('dispatcher: rules', LIMIT, () => {
    const bad = [
        'rules:',
        '  - name: first',
        '    when: {"event": [{"prefx": "task."}]}',
        '    notify: {type: task.status, rooms: ["task:{taskId}"]}',
        '  - name: second',
        '    when: {"event": "task.created"}',
        '    notify: {type: no.such.type, rooms: ["task:{taskId}"]}',
        '',
    ].join('\n');

    it('--check-rules tells every error with its place', () => withWorld('refusals-rules', { broker: 'none' }, async (world) => {
        const file = path.join(world.data, 'bad-rules.yaml');
        fs.writeFileSync(file, bad);
        await assertRefuses(world, PROGRAMS.dispatcher, ['--check-rules', file],
            /bad-rules\.yaml:3:\d+.*prefx/, /bad-rules\.yaml:6:\d+/, /bad-rules\.yaml:7:20: type/);
        const { code, text } = await outcome(world, PROGRAMS.dispatcher, ['--check-rules', world.rulesFile]);
        assert.equal(code, 0, text);
    }));
    it('a dispatcher does not start on them', () => withWorld('refusals-rules-start', { broker: 'none', rules: bad }, async (world) => {
        const file = world.writeConfiguration('dispatcher', { dispatcherPort: await freePort() });
        await assertRefuses(world, PROGRAMS.dispatcher, ['--config', file], /rules\.yaml:3:\d+/, /prefx/);
    }));
});

describe('missing topics', LIMIT, () => {
    it('a dispatcher without its input topic says so, and begins when it is there', () => withWorld('refusals-input-topic',
        { topics: { 'fanout.tenant': 8 } }, async (world) => {
            const dispatcher = await world.dispatcher({ ready: false });
            await eventually(async () => {
                const { status, text } = await readiness(dispatcher);
                return status === 503 && text.includes('tasks.events');
            }, { timeout: 20000 * SLOW, what: () => `unready for want of tasks.events\n${dispatcher.tail()}` });
            const { 'fanout.tenant': _, ...missing } = TOPICS;
            await world.broker.createTopics(missing);
            await world.waitReady(dispatcher, 60000 * SLOW);
            const backend = await world.backend();
            await backend.events([taskEvent({ taskId: 't1', n: 1 })]);
            await eventually(async () => (await world.broker.ends('fanout.tenant')).some((end) => end > 0), { timeout: 20000 * SLOW, what: 'a notification' });
        }));
    it('a dispatcher creates the fan-out topics it needs', () => withWorld('refusals-fanout-topic',
        { topics: { 'tasks.events': 4, 'tasks.dead-letter': 1 } }, async (world) => {
            await world.dispatcher();
            await eventually(async () => (await world.broker.topics()).includes('fanout.tenant'), { timeout: 20000 * SLOW, what: 'fanout.tenant' });
            assert.equal((await world.broker.ends('fanout.tenant')).length, 8, 'partitions as configured');
        }));
    it('a gateway waits for a topic that does not exist yet, and serves it when it does', () => withWorld('refusals-lane-topic',
        { topics: { 'tasks.events': 4, 'tasks.dead-letter': 1 } }, async (world) => {
            const gateway = await world.gateway({ ready: false });
            await eventually(async () => (await fetch(`${gateway.operations}/livez`)).status === 200, { what: () => gateway.tail() });
            const client = await world.client(gateway, { connect: false });
            client.socket.connect();
            await sleep(3000);
            assert.ok(gateway.alive, gateway.tail());
            await world.dispatcher(); // creates it
            await eventually(() => client.socket.connected, { timeout: 40000 * SLOW, what: () => `CONNECT\n${gateway.tail()}` });
            await client.subscribe('task:t1');
            const backend = await world.backend();
            await backend.events([taskEvent({ taskId: 't1', n: 1 })]);
            await client.waitCount(1, 20000 * SLOW);
        }));
    it('fewer partitions than configured is told', () => withWorld('refusals-partitions',
        { topics: merge(TOPICS, { 'fanout.tenant': 2 }) }, async (world) => {
            const dispatcher = await world.dispatcher({ ready: false });
            await eventually(async () => {
                const { status, text } = dispatcher.alive ? await readiness(dispatcher) : { status: 503, text: '' };
                return status === 503 && `${text}${dispatcher.text()}`.includes('fanout.tenant');
            }, { timeout: 20000 * SLOW, what: () => `a word about fanout.tenant\n${dispatcher.tail()}` });
            assert.doesNotMatch(dispatcher.text(), /Assertion/);
        }));
});
