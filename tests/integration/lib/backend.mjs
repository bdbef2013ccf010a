/* A backend: task events in every form the input topic takes, produced by kafkajs or kcat. */
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import protobuf from 'protobufjs';
import { Partitioners } from 'kafkajs';
import { SOURCE_DIR } from './places.mjs';
import { PATIENCE } from './wait.mjs';

export const INPUT_TOPIC = 'tasks.events';

let types;
function type(name) {
    types ??= protobuf.loadSync(['task_event.proto', 'notification.proto'].map((file) => path.join(SOURCE_DIR, 'proto', file)));
    return types.lookupType(`smartstack.v1.${name}`);
}

/* A TaskEvent as protobuf; `data` is an object or JSON text. */
export function encodeTaskEvent(event) {
    const data = typeof event.data === 'string' ? event.data : JSON.stringify(event.data ?? {});
    const TaskEvent = type('TaskEvent');
    const message = { ...event, data: Buffer.from(data) };
    const error = TaskEvent.verify(message);
    if (error)
        throw new Error(error);
    return Buffer.from(TaskEvent.encode(TaskEvent.create(message)).finish());
}

/* As a dispatcher would write it. */
export function encodeNotification(notification) {
    const Notification = type('Notification');
    return Buffer.from(Notification.encode(Notification.fromObject(notification)).finish());
}

export function decodeNotification(value) {
    const Notification = type('Notification');
    return Notification.toObject(Notification.decode(value), { longs: Number, defaults: false, bytes: Buffer });
}

/* An event's attributes as CloudEvents knows them: lower case, with extensions for what it has no word for. */
function attributes({ id, event, time, source = 'task-service', taskId, tenantId, userId, projectId, type: taskType, priority }) {
    return {
        specversion: '1.0', id, source, type: event, time, subject: taskId,
        tenantid: tenantId, userid: userId, projectid: projectId, tasktype: taskType, priority,
    };
}

/* Kafka records, one function for each form. The key keeps the events of a task in order. */
export const FORMS = {
    json: (event) => ({ key: event.taskId, value: JSON.stringify(event) }),
    cloudevent: (event) => ({
        key: event.taskId,
        headers: { 'content-type': 'application/cloudevents+json; charset=UTF-8' },
        value: JSON.stringify({ ...attributes(event), datacontenttype: 'application/json', data: event.data }),
    }),
    cloudeventBinary: (event) => ({
        key: event.taskId,
        headers: {
            ...Object.fromEntries(Object.entries(attributes(event)).map(([name, value]) => [`ce_${name}`, value])),
            'content-type': 'application/json',
        },
        value: JSON.stringify(event.data),
    }),
    protobuf: (event) => ({ key: event.taskId, headers: { 'content-type': 'application/protobuf' }, value: encodeTaskEvent(event) }),
};

export class Backend {
    constructor(broker) {
        this.broker = broker;
        this.producer = broker.kafka('backend').producer({
            createPartitioner: Partitioners.DefaultPartitioner, allowAutoTopicCreation: false,
        });
    }

    async connect() {
        await this.producer.connect();
        return this;
    }

    /* Records as kafkajs takes them. */
    async records(messages, topic = INPUT_TOPIC) {
        await this.producer.send({ topic, messages, acks: -1 });
    }

    async events(events, form = 'json') { await this.records(events.map(FORMS[form])); }
    async disconnect() { await this.producer.disconnect(); }
}

const run = promisify(execFile);

/* One record by kcat; `directory` is for its value. */
export async function produceByKcat(broker, { key, value, headers = {} }, { directory, topic = INPUT_TOPIC }) {
    const file = path.join(directory, `kcat-${process.pid}-${Math.random().toString(36).slice(2)}`);
    fs.writeFileSync(file, value);
    const more = Object.entries(headers).flatMap(([name, text]) => ['-H', `${name}=${text}`]);
    await run('kcat', ['-P', '-b', broker.address, '-t', topic, '-k', key, ...more, file], { timeout: PATIENCE });
}
