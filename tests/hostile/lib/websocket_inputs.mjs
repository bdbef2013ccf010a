/* Hostile frames, packets and upgrades. As in http_inputs.mjs, each returns what was wrong with how the server took it. */
import fs from 'node:fs';
import path from 'node:path';
import { SLOW, TESTS_DIR } from '../../integration/lib/places.mjs';
import { sleep } from '../../integration/lib/wait.mjs';
import { mutate } from './mutate.mjs';
import { closeCode, frame, openPolling, openWebSocket, poll, post, Raw, target, upgrade } from './raw.mjs';

const PATIENCE_MS = 20000 * SLOW; // a busy machine is no fault of the server

/* Sent behind a handshake, it must end the connection; with `code` if that is given. */
async function mustEnd(port, path, data, what, code) {
    const raw = await openWebSocket(port, path);
    if (raw.closed)
        return `${what}: no handshake`;
    raw.write(data);
    if (!await raw.ended(PATIENCE_MS))
        return `${what}: the connection stays open`;
    const got = closeCode(raw.received);
    raw.destroy();
    return code === undefined || got === code ? undefined : `${what}: close code ${got}, not ${code}`;
}

const FRAMES = [
    ['2^40 bytes announced', () => frame(2, 'x', { length: 2 ** 40 }), 1009],
    ['2^63 bytes announced', () => frame(2, 'x', { length: 1n << 63n }), undefined],
    ['2^64 - 1 bytes announced', () => frame(1, 'x', { length: (1n << 64n) - 1n }), undefined],
    ['one byte more than may be', () => frame(2, 'x', { length: 1000001 }), 1009],
    ['unmasked', () => frame(1, '4hello', { masked: false }), 1002],
    ['reserved bits', (random) => frame(1, '4hello', { reserved: random.integer(1, 8) }), 1002],
    ['reserved opcode', (random) => frame(random.pick([3, 4, 5, 6, 7, 11, 12, 13, 14, 15]), 'x'), 1002],
    ['long ping', () => frame(9, 'x'.repeat(126)), 1002],
    ['fragmented ping', () => frame(9, 'x', { fin: false }), 1002],
    ['continuation of nothing', () => frame(0, 'x'), 1002],
    ['text inside a fragmented text', () => Buffer.concat([frame(1, '4a', { fin: false }), frame(1, '4b')]), 1002],
    ['length in too many bytes', () => frame(1, '4a', { wide: 2 }), 1002],
    ['length in far too many bytes', () => frame(1, '4a', { wide: 8 }), 1002],
    ['text that is not UTF-8', (random) => frame(1, Buffer.from([0x34, ...random.pick([[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82]])])), 1007],
    ['a character cut by the end of the message', () => Buffer.concat([frame(1, Buffer.from([0x34, 0xe2]), { fin: false }), frame(0, Buffer.from([0x82]))]), 1007],
    ['close with one byte', () => frame(8, 'x'), 1002],
    ['close with a code that must not be sent', (random) => frame(8, Buffer.from(random.pick([[3, 236], [3, 237], [3, 238], [0, 0], [19, 136], [255, 255]]))), 1002],
    ['close with a reason that is not UTF-8', () => frame(8, Buffer.from([3, 232, 0xff])), undefined],
    ['fragments beyond the limit', () => Buffer.concat([frame(2, Buffer.alloc(600000), { fin: false }), frame(0, Buffer.alloc(600000))]), 1009],
];

export async function frames({ port, random }) {
    const [what, make, code] = random.pick(FRAMES);
    return mustEnd(port, random.pick(target.paths), make(random), what, code);
}

export async function random_frames({ port, random }) {
    const raw = await openWebSocket(port, random.pick(target.paths));
    const data = Buffer.from(Array.from({ length: random.integer(1, 2000) }, () => random.integer(0, 256)));
    if (random.fraction() < 0.5) // masked and plausible, so that it goes deeper
        [data[0], data[1]] = [random.pick([0x81, 0x82, 0x01, 0x02, 0x80, 0x89]), 0x80 | random.integer(0, 128)];
    await raw.writePieces(data, random, 6);
    await raw.ended(random.integer(1, 30));
    raw.reset();
    return undefined;
}

export async function ping_flood({ port, random }) {
    const raw = await openWebSocket(port, target.bare);
    const count = random.integer(100, 3000);
    raw.write(Buffer.concat(Array.from({ length: count }, () => frame(9, 'x'.repeat(random.integer(0, 126))))));
    raw.write(frame(1, target.ask));
    if (!await raw.until(() => raw.closed || raw.text().includes(target.answer), PATIENCE_MS))
        return 'no answer behind pings';
    raw.reset();
    return raw.closed && !raw.text().includes(target.answer) ? `closed by ${count} pings` : undefined;
}

/* ---- Packets ---- */

const nested = (open, close, depth) => open.repeat(depth) + close.repeat(depth);
const PLACEHOLDER = '{"_placeholder":true,"num":0}';
/* May be meant well: refused, and the connection stays. */
const TOO_DEEP = [
    ['arrays 100,000 deep', () => [`42["message",${nested('[', ']', 100000)}]`]],
    ['arrays 100,000 deep without an end', () => [`42["message",${'['.repeat(100000)}`]],
    ['objects 100,000 deep', () => [`42["message",${'{"a":'.repeat(100000)}1${'}'.repeat(100000)}]`]],
    ['CONNECT 100,000 deep', () => [`40/custom,{"a":${nested('[', ']', 100000)}}`]],
];
const PACKETS = [
    ['ack 100,000 deep', () => [`431[${nested('[', ']', 100000)}]`]],
    ['binary event 100,000 deep', () => [`451-["message",${PLACEHOLDER},${nested('[', ']', 100000)}]`]],
    ['eleven attachments', () => [`4511-["message",${Array(11).fill(PLACEHOLDER)}]`, ...Array(11).fill(Buffer.from('x'))]],
    ['a billion attachments', () => [`451000000000-["message",${PLACEHOLDER}]`]],
    ['more attachments than numbers count', () => [`45${'9'.repeat(40)}-["message",${PLACEHOLDER}]`]],
    ['no attachments', () => ['450-["message"]']],
    ['half an attachment', () => ['451.5-["message"]']],
    ['placeholder out of range', () => ['451-["message",{"_placeholder":true,"num":1}]', Buffer.from('x')]],
    ['negative placeholder', () => ['451-["message",{"_placeholder":true,"num":-1}]', Buffer.from('x')]],
    ['text for an attachment', () => [`452-["message",${PLACEHOLDER}]`, Buffer.from('x'), '42["message"]']],
    ['attachment of nothing', () => [Buffer.from('x')]],
    ['second CONNECT', () => ['40']],
    ['namespace not joined', () => ['42/custom,["message"]']],
    ['reserved event', (random) => [`42["${random.pick(['connect', 'connect_error', 'disconnect', 'disconnecting', 'newListener', 'removeListener'])}"]`]],
    ['reserved event in escapes', () => ['42["\\u0063onnect"]']],
    ['CONNECT_ERROR from a client', () => ['44{"message":"x"}']],
    ['unknown type', (random) => [`4${random.pick(['7', '8', '9', 'a', '', '-', ' 2'])}["message"]`]],
    ['not JSON', (random) => [`42${random.pick(['[', '["', '["a"', '["a",]', '["a"]]', '{}', '"a"', 'null', '[null]', '[]', '["a",01]', '["a",.5]', '["a",NaN]', '["a"]x', "['a']", '["\\x"]', '["\\u12"]', '["\t"]'])}`]],
    ['ack id too large', () => [`42${'9'.repeat(30)}["message"]`]],
    ['ack id no number', () => ['42abc["message"]']],
    ['long namespace', (random) => [`40/${'n'.repeat(random.integer(300, 100000))},`]],
    ['DISCONNECT with a payload', () => ['41{"a":1}']],
    ['client ping', () => ['2']],
    ['unknown packet', (random) => [random.pick(['', '7', 'x', 'b!', 'bA', 'b====', '\0'])]],
];

async function mustBeRefused(port, [what, make]) {
    const raw = await openWebSocket(port, '/socket.io/');
    raw.write(Buffer.concat(make().map((part) => frame(1, part))));
    await raw.until(() => raw.closed || raw.text().includes('"too_deep"'), PATIENCE_MS);
    const fault = raw.closed ? `${what}: the connection ends` : raw.text().includes('"too_deep"') ? undefined : `${what}: no answer`;
    raw.destroy();
    return fault;
}

export async function packets({ port, random }) {
    if (random.fraction() < TOO_DEEP.length / (TOO_DEEP.length + PACKETS.length))
        return mustBeRefused(port, random.pick(TOO_DEEP));
    const [what, make] = random.pick(PACKETS);
    const parts = make(random);
    if (random.fraction() < 0.6)
        return mustEnd(port, '/socket.io/', Buffer.concat(parts.map((part) => frame(typeof part === 'string' ? 1 : 2, part))), what);
    /* The same by a POST: the session is gone afterwards. */
    const { raw, sid } = await openPolling(port, '/socket.io/');
    const payload = [target.connect, ...parts.map((part) => (typeof part === 'string' ? part : `b${part.toString('base64')}`))].join('\x1e');
    raw.write(post('/socket.io/', sid, payload));
    await raw.answered(1, PATIENCE_MS);
    for (let i = 0; i < 10; i++) {
        const other = new Raw(port).write(poll('/socket.io/', sid));
        await other.answered(1, PATIENCE_MS);
        const code = other.codes()[0];
        other.destroy();
        if (code >= 400) {
            raw.destroy();
            return undefined;
        }
    }
    return `${what} by POST: the session lives on`;
}

/* An announced binary event that never becomes complete, and many packets in a payload. */
export async function unfinished({ port, random }) {
    if (random.fraction() < 0.5) {
        const raw = await openWebSocket(port, '/socket.io/');
        raw.write(frame(1, `4510-["message",${Array.from({ length: 10 }, (_, i) => `{"_placeholder":true,"num":${i}}`)}]`));
        for (let i = random.integer(0, 10); i; i--)
            raw.write(frame(2, Buffer.alloc(random.integer(0, 100000))));
        await sleep(random.integer(0, 50));
        raw.reset();
        return undefined;
    }
    const { raw, sid } = await openPolling(port, target.bare);
    const count = random.pick([10001, 50000, 300000]);
    raw.write(post(target.bare, sid, Array(count).fill('6').join('\x1e')));
    await raw.answered(1, PATIENCE_MS);
    const code = raw.codes()[0];
    raw.destroy();
    return code >= 400 ? undefined : `${count} packets in a payload: ${code}`;
}

/* ---- Upgrades ---- */

export async function upgrade_races({ port, random }) {
    const path = random.pick(target.polls);
    const { raw, sid } = await openPolling(port, path);
    const links = Array.from({ length: random.integer(1, 4) }, () => new Raw(port).write(upgrade(path, sid)));
    const polls = [];
    const steps = random.integer(1, 12);
    for (let i = 0; i < steps; i++) {
        const link = random.pick(links);
        const act = random.integer(0, 9);
        if (act < 4)
            link.write(frame(1, random.pick(['2probe', '2probe', '5', '5', '2', '3probe', '40', '4hello', '1', ''])));
        else if (act < 5)
            link.write(frame(2, random.pick(['2probe', '5', 'x'])));
        else if (act < 6)
            polls.push(new Raw(port).write(poll(path, sid)));
        else if (act < 7)
            polls.push(new Raw(port).write(post(path, sid, random.pick(['40', '4hello', '1', '5', '2probe', '41']))));
        else if (act < 8)
            link.reset();
        else if (polls.length)
            random.pick(polls).reset();
        if (random.fraction() < 0.5)
            await sleep(random.integer(0, 5));
    }
    [raw, ...links, ...polls].forEach((one) => one.reset());
    return undefined;
}

/* ---- The fuzz targets' corpus, mutated, over real sockets ---- */

const CORPUS = path.join(TESTS_DIR, 'fuzz/corpus');
const KINDS = ['http_request_fuzz', 'websocket_frame_fuzz', 'engineio_packet_fuzz', 'engineio_payload_fuzz', 'socketio_packet_fuzz'];
const corpus = Object.fromEntries(KINDS.map((kind) => [kind,
    fs.readdirSync(path.join(CORPUS, kind)).sort().map((name) => fs.readFileSync(path.join(CORPUS, kind, name)))]));

export async function corpus_mutations({ port, random }) {
    const kind = random.pick(KINDS);
    const data = mutate(random.pick(corpus[kind]), random);
    let raw;
    if (kind === 'http_request_fuzz') {
        raw = new Raw(port);
        await raw.writePieces(data, random, 4);
    } else if (kind === 'websocket_frame_fuzz') {
        raw = await openWebSocket(port, random.pick(target.paths));
        await raw.writePieces(data, random, 4);
    } else if (random.fraction() < 0.5) {
        raw = await openWebSocket(port, random.pick(target.polls));
        const text = kind === 'socketio_packet_fuzz' ? Buffer.concat([Buffer.from('4'), data]) : data;
        await raw.writePieces(frame(random.pick([1, 1, 2]), text), random, 4);
    } else {
        const session = await openPolling(port, target.bare);
        raw = session.raw;
        raw.write(post(target.bare, session.sid, data));
    }
    await raw.ended(random.integer(1, 20));
    raw.reset();
    return undefined;
}
