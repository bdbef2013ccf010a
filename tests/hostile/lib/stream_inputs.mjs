/* Hostile messages at /ws and requests at /sse. As in http_inputs.mjs, each returns what was wrong with how the server took it. */
import fs from 'node:fs';
import path from 'node:path';
import { SLOW, TESTS_DIR } from '../../integration/lib/places.mjs';
import { sleep } from '../../integration/lib/wait.mjs';
import { mutate } from './mutate.mjs';
import { frame, openWebSocket, Raw, request, target } from './raw.mjs';

const PATIENCE_MS = 20000 * SLOW; // a busy machine is no fault of the server
const nested = (depth) => '['.repeat(depth) + ']'.repeat(depth);
const rooms = (count, name = (i) => `task:${i}`) => JSON.stringify(Array.from({ length: count }, (_, i) => name(i)));

/* What it is, the message, and how it must be taken: refused in an answer, the connection ended, or either. */
const MESSAGES = [
    ['arrays 100,000 deep', () => `{"type":"event","id":1,"event":"task.cancel","data":${nested(100000)}}`, 'either'],
    ['objects 100,000 deep', () => `{"type":"event","data":${'{"a":'.repeat(100000)}1${'}'.repeat(100000)}}`, 'either'],
    ['arrays 100,000 deep without an end', () => `{"type":"event","data":${'['.repeat(100000)}`, 'either'],
    ['an unknown member 100,000 deep', () => `{"type":"ping","id":1,"x":${nested(100000)}}`, 'either'],
    ['no type', () => '{"id":1}', 'either'],
    ['unknown type', (random) => `{"type":"${random.pick(['', 'x', 'notification', '__proto__', 'welcome'])}","id":1}`, 'either'],
    ['no object', (random) => random.pick(['', '[]', 'null', '1', '"ping"', '{', '{}x', '{"type"}', '\0', '{"type":"ping",}']), 'either'],
    ['two types', () => '{"type":"ping","type":"subscribe","id":1,"rooms":["user:other"]}', 'any'],
    ['second connect', () => target.hello, 'either'],
    ['somebody else\'s room', () => '{"type":"subscribe","id":1,"rooms":["user:other","tenant:other"]}', 'refused'],
    ['10,000 rooms', () => `{"type":"subscribe","id":1,"rooms":${rooms(10000)}}`, 'either'],
    ['rooms that are none', (random) => `{"type":"subscribe","id":1,"rooms":${random.pick(['"task:1"', '{}', '[1]', '[null]', '[""]', '["task"]', '[":"]', '["task:"]', '[[]]', '["\\u0000:x"]'])}}`, 'either'],
    ['a long room', (random) => `{"type":"subscribe","id":1,"rooms":["task:${'x'.repeat(random.integer(1000, 100000))}"]}`, 'either'],
    ['unknown event', () => '{"type":"event","id":1,"event":"task.destroy","data":{}}', 'refused'],
    ['a large event', () => `{"type":"event","id":1,"event":"task.cancel","data":"${'x'.repeat(200000)}"}`, 'refused'],
    ['a forged token', () => '{"type":"token","id":1,"token":"eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9."}', 'either'],
    ['a long token', () => `{"type":"token","id":1,"token":"${'a'.repeat(100000)}"}`, 'either'],
    ['a long id', () => `{"type":"ping","id":"${'9'.repeat(100000)}"}`, 'either'],
    ['an id that is none', (random) => `{"type":"ping","id":${random.pick(['[]', '{}', 'true', '1e999', '-1', '1.5'])}}`, 'any'],
];

export async function ws_messages({ port, random }) {
    const raw = await openWebSocket(port, '/ws');
    if (raw.closed)
        return 'no welcome';
    const [what, make, how] = random.pick(MESSAGES);
    const binary = random.fraction() < 0.1; // that is for the other subprotocol
    raw.write(frame(binary ? 2 : 1, make(random)));
    if (how === 'any')
        await raw.until(() => raw.closed || raw.received.length, 200);
    else if (!await raw.until(() => raw.closed || raw.text().includes('"error"'), PATIENCE_MS))
        return `${what}: ${raw.received.length ? raw.text().slice(0, 200) : 'no answer'}`;
    const over = raw.closed;
    raw.reset();
    return how === 'refused' && over && !binary ? `${what}: ends the connection` : undefined;
}

const CORPUS = path.join(TESTS_DIR, 'fuzz/corpus');
const read = (kind) => fs.readdirSync(path.join(CORPUS, kind)).sort().map((name) => fs.readFileSync(path.join(CORPUS, kind, name)));
const json = read('ws_json_fuzz');
const protobuf = read('ws_protobuf_fuzz');

/* The corpus of the subprotocols' fuzz targets, mutated, before and behind the first message. */
export async function ws_corpus({ port, random }) {
    const binary = random.fraction() < 0.5;
    const raw = await openWebSocket(port, '/ws', binary ? 'smartstack.v1.protobuf' : 'smartstack.v1.json');
    for (let i = random.integer(1, 5); i && !raw.closed; i--)
        await raw.writePieces(frame(binary ? 2 : 1, mutate(random.pick(binary ? protobuf : json), random)), random, 3);
    await raw.ended(random.integer(1, 30));
    raw.reset();
    return undefined;
}

const field = (name, value) => `${name}: ${value}`;
const good = () => field('Authorization', `Bearer ${target.token}`);
const SSE = [
    ['no token', () => ['/sse?room=task:1', []]],
    ['a forged token', () => ['/sse?room=task:1', [field('Authorization', 'Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.')]]],
    ['another scheme', () => ['/sse?room=task:1', [field('Authorization', `Basic ${'x'.repeat(3000)}`)]]],
    ['somebody else\'s room', () => ['/sse?room=user:other', [good()]]],
    ['a room of no kind', (random) => [`/sse?room=${random.pick(['x', ':', 'task:', '%00', '%zz', 'nothing:1'])}`, [good()]]],
    ['too many rooms', () => [`/sse?${Array.from({ length: 500 }, (_, i) => `room=task:${i}`).join('&')}`, [good()]]],
    ['a media type that it is not', () => ['/sse?room=task:1', [good(), field('Accept', 'image/png')]]],
    ['another method', (random) => ['/sse?room=task:1', [good()], random.pick(['POST', 'PUT', 'DELETE', 'PATCH'])]],
];

export async function sse_requests({ port, random }) {
    const [what, make] = random.pick(SSE);
    const [uri, fields, method = 'GET'] = make(random);
    const raw = new Raw(port);
    await raw.writePieces(request(method, uri, { fields, body: method === 'GET' ? undefined : 'x' }), random, 3);
    await raw.answered(1, PATIENCE_MS);
    const code = raw.codes()[0];
    raw.reset();
    return code >= 400 ? undefined : `${what}: answered ${code}`;
}

/* Streams that are opened with what no server gave, followed by more requests, not read, given up. */
export async function sse_readers({ port, random }) {
    const id = random.pick(['', 'x', '0', 'A'.repeat(3000), '\x80\xff', '"', `${'a'.repeat(20)}.${'b'.repeat(200)}`]);
    const raw = new Raw(port).write(request('GET', '/sse?room=task:witness', { fields: [good(), field('Last-Event-ID', id)] }));
    await raw.answered(1, PATIENCE_MS);
    const code = raw.codes()[0];
    if (random.fraction() < 0.5)
        raw.write(Buffer.concat(Array.from({ length: random.integer(1, 500) }, () => request('GET', '/sse?room=task:witness'))));
    if (random.fraction() < 0.3)
        raw.socket.pause();
    await sleep(random.integer(0, 300));
    raw.reset();
    return code === 200 || code === 400 ? undefined : `a foreign id: answered ${code}`;
}
