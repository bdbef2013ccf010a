/* One test's world: a broker, dispatchers, gateways, a backend and clients, made as the test asks and ended with it. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { Backend } from './backend.mjs';
import { EmbeddedBroker, LentBroker, RealBroker } from './broker.mjs';
import { Client, token } from './client.mjs';
import { newDataDirectory, newLogDirectory, PROGRAMS, SLOW } from './places.mjs';
import { freePort } from './ports.mjs';
import { Program } from './program.mjs';
import { eventually, PATIENCE } from './wait.mjs';

/* A gateway waits for clients that do not come for their last word: as many as it has lost without a sign. */
const END_TIMEOUT = 60000;

export const SECRET = 'a-secret-of-the-tests-0123456789abcdef';

/* Everybody reads tasks and projects of his tenant: most tests are of other things than rights. */
const ACCESS = { connect: ['user:{sub}', 'tenant:{tenant}', 'review:{reviewQueues}'], join: ['task:*', 'project:*'] };

/* Gateways of one world are peers, each at a port of its own. */
const PEERS = { secret: 'a-secret-of-the-peers-0123456789abcdef', address: '127.0.0.1', port: 0, network: ['127.0.0.0/8'] };

/* Every event of a task goes to its room; failures ask for a review. */
export const RULES = `rules:
  - name: route-task
    when: {"event": [{"prefix": "task."}], "taskId": [{"exists": true}]}
    notify: {type: task.status, rooms: ["task:{taskId}"]}
  - name: low-confidence
    when: {"event": ["task.completed"], "data": {"confidence": [{"numeric": ["<", 0.8]}]}}
    notify: {type: task.status, rooms: ["task:{taskId}", "user:{userId}"]}
    review: {queue: legal, reason: "confidence {data.confidence} is below 0.8", priority: high}
`;

/* The topics of the default layout, and how many partitions they have. */
export const TOPICS = {
    'tasks.events': 4,
    'tasks.dead-letter': 1,
    'tasks.audit': 4,
    'clients.events': 4,
    'fanout.tenant': 8,
    'fanout.review.legal': 1,
};

/* The file that both programs read. JSON is YAML. */
export function configuration({ bootstrap, dispatcherPort, gatewayPort, operationsPort, rulesFile, settings = {} }) {
    const base = {
        kafka: { 'bootstrap.servers': bootstrap },
        log: { format: 'text' },
        allow: { review: ['legal'] },
        dispatcher: { rules: rulesFile, http: { port: dispatcherPort } },
        gateway: { access: ACCESS, http: { port: gatewayPort }, operations: { port: operationsPort }, token: { secret: SECRET }, peers: PEERS },
    };
    return merge(base, settings);
}

/* Objects are merged, anything else is replaced; undefined removes. */
export function merge(base, over) {
    const result = { ...base };
    for (const [key, value] of Object.entries(over)) {
        const both = [base[key], value].every((v) => v && typeof v === 'object' && !Array.isArray(v));
        result[key] = both ? merge(base[key], value) : value;
    }
    return result;
}

export class World {
    /* `test` is node:test's context. */
    constructor(test, name) {
        this.data = newDataDirectory(name);
        this.logs = newLogDirectory(name);
        this.programs = [];
        this.clients = [];
        this.backends = [];
        this.expectComplaints = false;
        test?.after(() => this.close());
    }

    /* `broker`: kafka, own (a Kafka that the test may kill or stop), embedded, none. */
    static async open(test, name, { broker = 'kafka', topics = TOPICS, brokerSettings = [], brokerEnvironment, rules = RULES, settings = {},
        prepare = () => {} } = {}) {
        const world = new World(test, name);
        world.settings = settings;
        world.rulesFile = path.join(world.data, 'rules.yaml');
        fs.writeFileSync(world.rulesFile, rules);
        if (broker !== 'none') {
            const own = broker === 'own' || brokerSettings.length || brokerEnvironment || !process.env.TESTS_BROKERS;
            const Kind = broker === 'embedded' ? EmbeddedBroker : own ? RealBroker : LentBroker;
            world.broker = new Kind({ directory: world.data, logs: world.logs, topics, settings: brokerSettings, environment: brokerEnvironment });
            if (Kind !== LentBroker)
                world.broker.port = await freePort(2);
            prepare(world.broker); // once its port is known
            try {
                await world.broker.start();
                await world.broker.createTopics(topics);
            } catch (error) { // nobody has the world yet who could end it
                await world.close();
                throw error;
            }
        }
        return world;
    }

    /* A world for the time of `use`. What went wrong there comes first, what its end found after it. */
    static async use(name, options, use) {
        const world = await World.open(null, name, options);
        let failure;
        try {
            await use(world);
        } catch (error) {
            failure = error;
        }
        try {
            await world.close();
        } catch (error) {
            if (!failure)
                throw error;
            failure.message += `\nand at the end: ${error.message}`;
        }
        if (failure)
            throw failure;
    }

    writeConfiguration(name, ports, settings = {}) {
        const file = path.join(this.data, `${name}.yaml`);
        const content = configuration({
            bootstrap: this.broker?.address ?? '127.0.0.1:1', rulesFile: this.rulesFile,
            dispatcherPort: 0, gatewayPort: 0, operationsPort: 0, ...ports, settings: merge(this.settings, settings),
        });
        fs.writeFileSync(file, JSON.stringify(content, null, 2));
        return file;
    }

    program(name, command, args, more = {}) {
        const program = new Program(name, command, args, { log: path.join(this.logs, `${name}.log`), ...more });
        this.programs.push(program);
        return program;
    }

    /* A dispatcher, ready unless `ready` is false. */
    async dispatcher({ name = 'dispatcher', ready = true, settings, environment, binary = PROGRAMS.dispatcher } = {}) {
        const port = await freePort();
        const config = this.writeConfiguration(name, { dispatcherPort: port }, merge({ dispatcher: { slot: name } }, settings ?? {}));
        const program = this.program(name, binary, ['--config', config], { environment }).start();
        program.url = program.operations = `http://127.0.0.1:${port}`;
        if (ready)
            await this.waitReady(program);
        return program;
    }

    /* A gateway, ready unless `ready` is false. */
    async gateway({ name = 'gateway', ready = true, settings } = {}) {
        const [port, operationsPort] = [await freePort(), await freePort()];
        const config = this.writeConfiguration(name, { gatewayPort: port, operationsPort }, settings);
        const program = this.program(name, PROGRAMS.gateway, ['--config', config]).start();
        program.url = `http://127.0.0.1:${port}`;
        program.operations = `http://127.0.0.1:${operationsPort}`;
        if (ready)
            await this.waitReady(program);
        return program;
    }

    waitReady(program, timeout = PATIENCE) {
        let answer = 'none';
        return eventually(async () => {
            if (!program.alive)
                throw Object.assign(new Error(`${program.name} has ended\n${program.tail()}`), { final: true });
            const response = await fetch(`${program.operations}/readyz`);
            answer = `${response.status} ${await response.text()}`;
            return response.status === 200;
        }, { timeout, what: () => `${program.name} ready; /readyz said: ${answer}\n${program.tail()}` });
    }

    async backend() {
        const backend = await new Backend(this.broker).connect();
        this.backends.push(backend);
        return backend;
    }

    /* A connected stock client. `claims` are those of its token. */
    async client(gateway, { claims = {}, rooms = [], options = {}, connect = true } = {}) {
        const client = new Client(gateway.url ?? gateway, {
            auth: { token: token({ sub: 'usr_test', tenant: 'acme', ...claims }, SECRET) }, options,
        });
        this.clients.push(client);
        if (connect) {
            await client.connect();
            await client.subscribe(...rooms);
        }
        return client;
    }

    /* The value of a metric, its labels added up. */
    async metric(program, name) {
        const text = await (await fetch(`${program.operations}/metrics`)).text();
        const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
        return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
    }

    /* Ends all of it, once. */
    close() { return (this.closed ??= this.#end()); }

    async #end() {
        this.clients.forEach((client) => client.disconnect());
        await Promise.allSettled(this.backends.map((backend) => backend.disconnect()));
        const ends = await Promise.allSettled(this.programs.map(async (program) => {
            program.resume(); // if it was stopped
            return { program, alive: program.alive, end: await program.stop(END_TIMEOUT * SLOW) };
        }));
        await this.broker?.stop();
        fs.rmSync(this.data, { recursive: true, force: true });
        const problems = ends.flatMap(({ status, value, reason }) => {
            if (status === 'rejected')
                return [reason.message];
            return value.alive && value.end.code !== 0 && !value.program.foreign
                ? [`${value.program.name} ended with ${value.end.signal ?? `code ${value.end.code}`} on SIGTERM\n${value.program.tail()}`] : [];
        });
        problems.push(...this.programs.flatMap((program) => program.complaints().map((line) => `${program.name}: ${line}`)));
        if (problems.length)
            assert.fail(problems.join('\n'));
    }
}

/* A task event as a backend writes it. */
export function taskEvent({ taskId, n, event = 'task.progress', ...more }) {
    return {
        id: `${taskId}-${n}`, event, time: new Date().toISOString(), tenantId: 'acme', userId: 'usr_test', projectId: 'prj_test',
        taskId, type: 'extraction', priority: 'normal', data: { n }, ...more,
    };
}
