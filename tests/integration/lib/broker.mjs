/* Brokers: a real one from jars (tests/kafka/broker), and the embedded one. */
import { Kafka, logLevel } from 'kafkajs';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { PROGRAMS, SLOW } from './places.mjs';
import { freePort } from './ports.mjs';
import { Program } from './program.mjs';
import { eventually, PATIENCE, within } from './wait.mjs';

process.env.KAFKAJS_NO_PARTITIONER_WARNING = '1';

class Broker {
    get address() { return `127.0.0.1:${this.port}`; }

    /* A kafkajs client for the test itself. */
    kafka(clientId = 'test') {
        return new Kafka({
            clientId, brokers: [this.address], logLevel: logLevel.NOTHING,
            connectionTimeout: 20000, requestTimeout: PATIENCE,
            retry: { initialRetryTime: 100, maxRetryTime: 1000, retries: 60 },
        });
    }

    async admin(use) {
        const admin = this.kafka('test-admin').admin();
        await admin.connect();
        try {
            return await use(admin);
        } finally {
            await admin.disconnect();
        }
    }

    /* Offsets after the last record of each partition, transaction markers included. */
    async ends(topic) {
        const offsets = await this.admin((admin) => admin.fetchTopicOffsets(topic));
        return offsets.sort((a, b) => a.partition - b.partition).map(({ offset }) => Number(offset));
    }

    /* All committed records of a topic, partition by partition in order: {partition, offset, timestamp, key, value}, and
     * their headers if `headers` is true. By librdkafka: kafkajs shows records of aborted transactions if several were
     * open at a time. */
    async read(topic, { headers = false } = {}) {
        const records = splitRecords(await kcat(['-C', '-b', this.address, '-t', topic, '-o', 'beginning', '-e', '-q', '-f', '%p %o %T %K %S %k%s']));
        if (headers) {
            const lines = await kcat(['-C', '-b', this.address, '-t', topic, '-o', 'beginning', '-e', '-q', '-f', '%p %o %h\n']);
            const byPlace = new Map(lines.toString('latin1').split('\n').map((line) => line.split(' ')).map(
                ([partition, offset, ...rest]) => [`${partition} ${offset}`, rest.join(' ')]));
            for (const record of records)
                record.headers = splitHeaders(byPlace.get(`${record.partition} ${record.offset}`) ?? '');
        }
        return records.sort((a, b) => a.partition - b.partition || a.offset - b.offset);
    }
}

async function kcat(args) {
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', 'kcat', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    const chunks = [];
    let errors = '';
    child.stdout.on('data', (chunk) => chunks.push(chunk));
    child.stderr.on('data', (chunk) => { errors += chunk; });
    const [code] = await once(child, 'close');
    if (code !== 0)
        throw new Error(`kcat ${args.join(' ')} ended with code ${code}: ${errors}`);
    return Buffer.concat(chunks);
}

/* Records written as "partition offset timestamp key-size value-size key-and-value"; a size of -1 is none. */
function splitRecords(data) {
    const records = [];
    let at = 0;
    const number = () => {
        const end = data.indexOf(0x20, at);
        const value = Number(data.toString('latin1', at, end));
        at = end + 1;
        return value;
    };
    const bytes = (size) => {
        if (size < 0)
            return null;
        at += size;
        return data.subarray(at - size, at);
    };
    while (at < data.length) {
        const [partition, offset, timestamp, keySize, valueSize] = [number(), number(), number(), number(), number()];
        records.push({ partition, offset, timestamp, key: bytes(keySize), value: bytes(valueSize) });
    }
    return records;
}

/* "name=value,name=value": a comma within a value is told from one between headers by the name that must follow. */
function splitHeaders(text) {
    return Object.fromEntries(text.split(/,(?=[\w-]+=)/).filter(Boolean).map((pair) => {
        const at = pair.indexOf('=');
        return [pair.slice(0, at), pair.slice(at + 1)];
    }));
}

export class RealBroker extends Broker {
    constructor({ directory, logs, settings = [], environment }) {
        super();
        Object.assign(this, { directory: path.join(directory, 'kafka'), logs, settings, environment });
    }

    /* Starts it; also again after kill() or stop(), on its old port and data. */
    async start() {
        this.port ??= await freePort(2);
        const log = path.join(this.logs, 'kafka.log');
        const skip = fs.existsSync(log) ? fs.statSync(log).size : 0;
        this.program = new Program('kafka', PROGRAMS.broker, ['run', String(this.port), this.directory, ...this.settings],
            { log, environment: this.environment }).start();
        await eventually(() => {
            if (!this.program.alive)
                throw Object.assign(new Error(`the broker has ended\n${this.program.tail()}`), { final: true });
            return this.program.text().slice(skip).includes('Kafka Server started');
        }, { what: () => `a broker\n${this.program.tail()}` });
        return this;
    }

    /* TOPICS: {name: partitions}. Returns when every partition can be written and read. A broker names a topic before it hosts
     * it ("This server does not host this topic-partition"), and one under load long before. */
    async createTopics(topics) {
        await this.admin(async (admin) => {
            const wanted = Object.entries(topics).map(([topic, numPartitions]) => ({ topic, numPartitions, replicationFactor: 1 }));
            await admin.createTopics({ topics: wanted, waitForLeaders: false, timeout: PATIENCE });
        });
        for (const [topic, partitions] of Object.entries(topics))
            await eventually(async () => (await this.ends(topic)).length === partitions, { what: `${partitions} partitions of ${topic}` });
    }

    /* Returns when the broker has none of them any more. */
    async deleteTopics(...topics) {
        await this.admin(async (admin) => {
            await admin.deleteTopics({ topics, timeout: PATIENCE });
            await eventually(async () => !(await admin.listTopics()).some((topic) => topics.includes(topic)), { what: `the end of ${topics}` });
        });
    }

    async topics() { return (await this.admin((admin) => admin.listTopics())).sort(); }
    kill() { return this.program.kill(); }
    async stop() { await this.program?.stop(30000).catch(() => {}); }
    pause() { this.program.pause(); }
    resume() { this.program.resume(); }
}

/* One that tests use in turn (tests/kafka/lender.mjs): as empty as a new one, and nobody's to stop. */
export class LentBroker extends RealBroker {
    async start() {
        this.lease = net.connect(process.env.TESTS_BROKERS);
        const [line] = await within(PATIENCE, once(this.lease, 'data'), 'a broker that is lent');
        this.port = Number(line);
        this.lease.on('error', () => {});
        return this;
    }

    kill() { throw new Error("a broker that is lent is not killed: open the world with {broker: 'own'}"); }
    pause() { this.kill(); }
    async stop() { this.lease?.destroy(); }
}

export class EmbeddedBroker extends Broker {
    constructor({ logs, topics }) {
        super();
        Object.assign(this, { logs, initialTopics: topics });
    }

    async start() {
        this.port ??= await freePort();
        const topics = Object.entries(this.initialTopics).flatMap(([name, partitions]) => ['--topic', `${name}:${partitions}`]);
        this.program = new Program('embedded_broker', PROGRAMS.embeddedBroker, ['--port', String(this.port), ...topics],
            { log: path.join(this.logs, 'embedded_broker.log') }).start();
        await this.program.waitText(/^127\.0\.0\.1:\d+$/m, 20000 * SLOW);
        return this;
    }

    async createTopics() {} // its topics are made at its start
    kill() { return this.program.kill(); }
    async stop() { await this.program?.stop(); }
}
