/* Brokers: a real one from jars (tests/kafka/broker), and the embedded one. */
import { Kafka, logLevel } from 'kafkajs';
import fs from 'node:fs';
import path from 'node:path';
import { PROGRAMS, SLOW } from './places.mjs';
import { freePort } from './ports.mjs';
import { Program } from './program.mjs';
import { eventually } from './wait.mjs';

process.env.KAFKAJS_NO_PARTITIONER_WARNING = '1';

class Broker {
    get address() { return `127.0.0.1:${this.port}`; }

    /* A kafkajs client for the test itself. */
    kafka(clientId = 'test') {
        return new Kafka({
            clientId, brokers: [this.address], logLevel: logLevel.NOTHING,
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

    /* All committed records of a topic, partition by partition in order. */
    async read(topic, { timeout = 30000 } = {}) {
        const ends = await this.ends(topic);
        const consumer = this.kafka('test-reader').consumer({ groupId: `test-reader-${Date.now()}-${Math.random()}`, maxWaitTimeInMs: 100 });
        const records = [];
        let joined = false;
        consumer.on(consumer.events.GROUP_JOIN, () => { joined = true; });
        const positions = ends.map(() => 0);
        await consumer.connect();
        try {
            await consumer.subscribe({ topic, fromBeginning: true });
            await consumer.run({
                eachBatchAutoResolve: true,
                eachBatch: async ({ batch }) => {
                    for (const message of batch.messages)
                        records.push({ partition: batch.partition, offset: Number(message.offset), ...message });
                    positions[batch.partition] = Number(batch.lastOffset()) + 1;
                },
            });
            /* An end may be a transaction's marker, which no reader sees: positions that stop short of it are at the end once
             * nothing more arrives. */
            let quiet = 0;
            let seen = -1;
            await eventually(() => {
                if (positions.every((position, partition) => position >= ends[partition]))
                    return true;
                quiet = joined && records.length === seen ? quiet + 1 : 0;
                seen = records.length;
                return quiet > 60 * SLOW;
            }, { timeout, what: `all of ${topic}` });
        } finally {
            await consumer.disconnect();
        }
        return records.sort((a, b) => a.partition - b.partition || a.offset - b.offset);
    }
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
        }, { timeout: 60000, what: () => `a broker\n${this.program.tail()}` });
        return this;
    }

    /* TOPICS: {name: partitions}. */
    async createTopics(topics) {
        await this.admin((admin) => admin.createTopics({
            waitForLeaders: true,
            topics: Object.entries(topics).map(([topic, numPartitions]) => ({ topic, numPartitions, replicationFactor: 1 })),
        }));
    }

    async topics() { return (await this.admin((admin) => admin.listTopics())).sort(); }
    kill() { return this.program.kill(); }
    async stop() { await this.program?.stop(30000).catch(() => {}); }
    pause() { this.program.pause(); }
    resume() { this.program.resume(); }
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
        await this.program.waitText(/^127\.0\.0\.1:\d+$/m);
        return this;
    }

    async createTopics() {} // its topics are made at its start
    kill() { return this.program.kill(); }
    async stop() { await this.program?.stop(); }
}
