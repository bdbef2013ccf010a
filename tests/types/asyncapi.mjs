/* deploy/docs/asyncapi.json, an AsyncAPI 3 document of what clients and gateway say, from the types of proto/events.d.ts:
 *
 *     node tests/types/asyncapi.mjs        writes it
 */
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { createGenerator } from 'ts-json-schema-generator';

const top = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const FILE = path.join(top, 'deploy/docs/asyncapi.json');

/* Events of Socket.IO: the type of their first argument. The cursor, their last one, is the client's to keep and no page's to read. */
export const EVENTS = {
    'task.status': 'TaskStatusNotification', notification: 'ClientNotificationNotification', 'review.alert': 'ReviewAlertNotification',
    'review.updated': 'ReviewUpdatedNotification', 'review.refused': 'ReviewRefusedNotification', history: 'History', state: 'State', presence: 'Presence',
    subscribed: 'Subscribed', unsubscribed: 'Unsubscribed', session: 'SessionLost', stale: 'Stale', token_expired: 'TokenExpired', error: 'Refusal',
};
/* What the document is made from; generic types come with those that name them. */
const ROOTS = ['NotificationsByEvent', 'History', 'State', 'Presence', 'Subscribed', 'Unsubscribed', 'SessionLost', 'Stale', 'TokenExpired', 'Refusal', 'Answer', 'Auth', 'AboutEvent', 'ClientMessage', 'ServerMessage', 'StreamEvents', 'Room', 'Cursor', 'SubscribeOptions'];

/* Component names may not have the brackets of generic types. */
const plain = (name) => decodeURIComponent(name).replaceAll(/[^\w.-]/g, '_');

/* References as AsyncAPI has them; and what the generator gives up, the type of a notification that goes by the name of its event. */
function relocated(schema) {
    return JSON.parse(JSON.stringify(schema), (key, value) => {
        if (key === '$ref')
            return `#/components/schemas/${plain(value.replace('#/definitions/', ''))}`;
        if (value?.event?.const && value.data && Object.keys(value.data).length === 0)
            value.data.$ref = `#/components/schemas/${EVENTS[value.event.const]}`;
        return value;
    });
}

function schemas() {
    const generator = createGenerator({
        path: path.join(top, 'proto/events.d.ts'), type: '*', skipTypeCheck: true, expose: 'export', topRef: true, jsDoc: 'basic', additionalProperties: true,
    });
    const all = {};
    for (const type of ROOTS)
        for (const [name, schema] of Object.entries(generator.createSchema(type).definitions))
            all[plain(name)] = relocated(schema);
    return Object.fromEntries(Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1)));
}

const schema = (name) => ({ $ref: `#/components/schemas/${name}` });
const message = (name, payload, summary) => ({ name, contentType: 'application/json', payload: schema(payload), ...(summary && { summary }) });
const each = (channel, names) => names.map((name) => ({ $ref: `#/channels/${channel}/messages/${name}` }));

export function document() {
    const events = Object.fromEntries(Object.entries(EVENTS).map(([event, type]) => [event, message(event, type)]));
    return {
        asyncapi: '3.0.0',
        info: {
            title: 'SmartStack realtime: clients', version: '1.0.0', license: { name: 'Apache-2.0' },
            description: 'What a gateway and its clients say to each other. Made from proto/events.d.ts; events of your own (`type: custom` in rules) come beside these, under the names that your rules give them.',
        },
        channels: {
            socketio: {
                address: '/socket.io/', title: 'Socket.IO, protocol 5', description: 'By the stock client, 4.6 or later. The name of a message is that of its event, the payload its first argument; the last one is a cursor.',
                messages: { ...events, auth: message('auth', 'Auth', 'what goes with CONNECT') },
            },
            websocket: {
                address: '/ws', title: 'WebSocket, subprotocol smartstack.v1.json',
                messages: { client: message('client', 'ClientMessage'), server: message('server', 'ServerMessage') },
            },
            sse: {
                address: '/sse', title: 'Server-sent events', description: 'By their names: the members of the payload.',
                messages: { events: message('events', 'StreamEvents') },
            },
        },
        operations: {
            hearEvents: { action: 'receive', channel: { $ref: '#/channels/socketio' }, messages: each('socketio', Object.keys(events)) },
            connect: { action: 'send', channel: { $ref: '#/channels/socketio' }, messages: each('socketio', ['auth']) },
            say: { action: 'send', channel: { $ref: '#/channels/websocket' }, messages: each('websocket', ['client']) },
            hear: { action: 'receive', channel: { $ref: '#/channels/websocket' }, messages: each('websocket', ['server']) },
            listen: { action: 'receive', channel: { $ref: '#/channels/sse' }, messages: each('sse', ['events']) },
        },
        components: { schemas: schemas() },
    };
}

export const text = () => `${JSON.stringify(document(), null, 2)}\n`;

if (process.argv[1] === fileURLToPath(import.meta.url))
    fs.writeFileSync(FILE, text());
