/* Hostile HTTP. Each input does what it does to the server, and returns what was wrong with how the server took it, or
 * undefined. An answer that refuses has a code from 400 on. */
import { openPolling, openWebSocket, poll, post, QUERY, Raw, request, target, upgrade } from './raw.mjs';
import { SLOW } from '../../integration/lib/places.mjs';
import { sleep } from '../../integration/lib/wait.mjs';

const PATIENCE_MS = 20000 * SLOW; // a busy machine is no fault of the server

const bytes = (random, size) => Buffer.from(Array.from({ length: size }, () => random.integer(0, 256)));

/* One refusal, then the end: nothing behind what was wrong may be taken for a request. */
async function refusedOnce(raw, what) {
    if (!await raw.ended(PATIENCE_MS))
        return `${what}: the connection stays open; got ${raw.codes()}`;
    const codes = raw.codes();
    if (codes.length !== 1 || codes[0] < 400)
        return `${what}: answered ${codes}`;
    return undefined;
}

const refusals = (raw) => (raw.codes().some((code) => code < 400) ? `answered ${raw.codes()}` : undefined);

export async function garbage({ port, random }) {
    const raw = new Raw(port);
    const data = bytes(random, random.integer(1, 4096));
    if (random.fraction() < 0.3)
        data.write(random.pick(['GET ', 'POST /', '\r\n\r\n', 'GET / HTTP/1.1\r\n', '\x16\x03\x01', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n']), 'latin1');
    await raw.writePieces(data, random, 4);
    await raw.ended(random.integer(5, 50));
    raw.destroy();
    return refusals(raw);
}

/* A good request that ends too early, by a FIN or a reset. */
export async function truncated({ port, random }) {
    const path = random.pick(target.polls);
    const whole = random.pick([poll(path), upgrade(path), request('OPTIONS', path, { fields: ['Origin: http://a'] }),
        request('POST', `${path}?${QUERY}&sid=x`, { body: 'x'.repeat(random.integer(1, 3000)) })]);
    const raw = new Raw(port);
    await raw.writePieces(whole.subarray(0, random.integer(1, whole.length)), random, 5);
    if (random.fraction() < 0.5) {
        raw.finish();
        if (!await raw.ended(PATIENCE_MS))
            return 'the connection stays open behind a FIN';
    }
    raw.reset();
    return refusals(raw);
}

export async function large_head({ port, random }) {
    const raw = new Raw(port);
    const big = 'a'.repeat(random.integer(16384, 100000));
    const [what, data] = random.pick([
        ['long target', `GET /${big} HTTP/1.1\r\nHost: x\r\n\r\n`],
        ['endless line', `GET /${big}${big}`],
        ['long method', `${big} / HTTP/1.1\r\n\r\n`],
        ['long field', `GET / HTTP/1.1\r\nHost: x\r\nCookie: ${big}\r\n\r\n`],
        ['long name', `GET / HTTP/1.1\r\nHost: x\r\n${big}: 1\r\n\r\n`],
        ['many fields', `GET / HTTP/1.1\r\nHost: x\r\n${'A: b\r\n'.repeat(random.integer(101, 5000))}\r\n`],
    ]);
    await raw.writePieces(Buffer.from(data), random, 3);
    return refusedOnce(raw, what);
}

export async function large_body({ port, random }) {
    const path = random.pick(target.polls);
    const { raw, sid } = await openPolling(port, path);
    const uri = `${path}?${QUERY}&sid=${sid}`;
    const most = 1000000; // the server takes a third more of a body with attachments, see engineio_polling.c
    const size = random.pick([2 * most, most * random.integer(2, 100), 2 ** 31, 2 ** 32, 2 ** 53, '9223372036854775807',
        '18446744073709551616', '9'.repeat(random.integer(20, 200))]);
    const chunk = random.pick(['7fffffffffffffff', 'ffffffffffffffff', '10000000000000000', 'f'.repeat(100), (2 * most).toString(16)]);
    const [what, data] = random.pick([
        [`length ${size}`, request('POST', uri, { fields: [`Content-Length: ${size}`] })],
        [`chunk ${chunk}`, Buffer.concat([request('POST', uri, { fields: ['Transfer-Encoding: chunked'] }), Buffer.from(`${chunk}\r\n`)])],
        ['many chunks', Buffer.concat([request('POST', uri, { fields: ['Transfer-Encoding: chunked'] }),
            Buffer.from(`8000\r\n${'a'.repeat(0x8000)}\r\n`.repeat(32)), Buffer.from('0\r\n\r\n')])],
    ]);
    raw.write(data);
    await raw.answered(1, PATIENCE_MS);
    const code = raw.codes()[0];
    raw.reset();
    return code >= 400 ? undefined : `${what}: answered ${code}`;
}

const HIDDEN = 'GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n';
const SMUGGLED = [
    ['both lengths', 'Content-Length: 4\r\nTransfer-Encoding: chunked'],
    ['both, the other way round', 'Transfer-Encoding: chunked\r\nContent-Length: 4'],
    ['two lengths', 'Content-Length: 4\r\nContent-Length: 5'],
    ['a list of lengths', 'Content-Length: 4, 5'],
    ['signed length', 'Content-Length: +4'],
    ['negative length', 'Content-Length: -1'],
    ['hexadecimal length', 'Content-Length: 0x4'],
    ['length with a blank inside', 'Content-Length: 1 4'],
    ['no length', 'Content-Length:'],
    ['blank before the colon', 'Content-Length : 4'],
    ['tab before the colon', 'Transfer-Encoding\t: chunked'],
    ['folded field', 'Transfer-Encoding:\r\n chunked'],
    ['folded by a tab', 'X: y\r\n\tTransfer-Encoding: chunked'],
    ['unknown coding', 'Transfer-Encoding: xchunked'],
    ['chunked not last', 'Transfer-Encoding: chunked, identity'],
    ['chunked twice', 'Transfer-Encoding: chunked, chunked'],
    ['chunked in two fields', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity'],
    ['quoted coding', 'Transfer-Encoding: "chunked"'],
    ['control character in the coding', 'Transfer-Encoding: \x0bchunked'],
    ['NUL in a value', 'X: a\0b\r\nContent-Length: 4'],
    ['CR in a value', 'X: a\rTransfer-Encoding: chunked\r\nContent-Length: 4'],
    ['LF as line end', 'X: a\nTransfer-Encoding: chunked\r\nContent-Length: 4'],
    ['name with a control character', 'Content\x01-Length: 4'],
    ['empty name', ': 4'],
    ['two hosts', 'Host: y\r\nContent-Length: 4'],
    ['no colon', 'Transfer-Encoding chunked'],
];
const CHUNKS = [
    ['chunk without a size', '\r\nabcd\r\n0\r\n\r\n'],
    ['size with a sign', '+4\r\nabcd\r\n0\r\n\r\n'],
    ['size with 0x', '0x4\r\nabcd\r\n0\r\n\r\n'],
    ['size behind a blank', ' 4\r\nabcd\r\n0\r\n\r\n'],
    ['chunk longer than its size', '3\r\nabcd\r\n0\r\n\r\n'],
    ['LF behind the size', '4\nabcd\r\n0\r\n\r\n'],
    ['LF in an extension', '4;a\nb\r\nabcd\r\n0\r\n\r\n'],
    ['CR in an extension', '4;a\rb\r\nabcd\r\n0\r\n\r\n'],
    ['LF behind the chunk', '4\r\nabcd\n0\r\n\r\n'],
    ['long extension', `4;${'a'.repeat(20000)}\r\nabcd\r\n0\r\n\r\n`],
];

/* One request in the eyes of one reader, two in another's: refused, and what is behind it never read. */
export async function smuggling({ port, random }) {
    const raw = new Raw(port);
    let what, data;
    if (random.fraction() < 0.7) {
        const [name, fields] = random.pick(SMUGGLED);
        [what, data] = [name, `POST /socket.io/?${QUERY}&sid=x HTTP/1.1\r\nHost: x\r\n${fields}\r\n\r\n0\r\n\r\n${HIDDEN}`];
    } else {
        const [name, body] = random.pick(CHUNKS);
        /* A session that exists, so that its body is wanted. */
        const { raw: other, sid } = await openPolling(port, target.bare);
        other.destroy();
        [what, data] = [name, `POST ${target.bare}?${QUERY}&sid=${sid} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${body}${HIDDEN}`];
    }
    await raw.writePieces(Buffer.from(data, 'latin1'), random, 3);
    return refusedOnce(raw, what);
}

const ODD_TARGETS = ['*', '//', '/%00', '/socket.io/%', '/socket.io/?%zz', 'http://x/socket.io/?EIO=4', 'x', '/../../etc/passwd',
    '/socket.io/?EIO=4&transport=__proto__', '/socket.io/?EIO=4&transport=polling&sid=__proto__',
    '/socket.io/?EIO=4&transport=polling&sid=%00%00', `/socket.io/?EIO=4&transport=polling&sid=${'s'.repeat(4000)}`,
    '/engine.io/?EIO=99999999999999999999&transport=polling', '/engine.io/?transport=polling&EIO=4&EIO=5&sid=', '/engine.io/?&&&&=&=&'];

export async function odd_requests({ port, random }) {
    const raw = new Raw(port);
    const method = random.pick(['GET', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH', 'CONNECT', 'TRACE', 'get', 'G\u00e9T', 'A'.repeat(100)]);
    const version = random.pick(['HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/1.2', 'http/1.1', 'HTTP/1.1.1', 'HTTP/0.9', '']);
    const fields = random.pick(['', 'Connection: close\r\n', 'Expect: 100-continue\r\n', 'Expect: nonsense\r\n', 'Upgrade: h2c\r\nConnection: upgrade\r\n',
        'Upgrade: websocket\r\nConnection: upgrade\r\n', 'Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n',
        'Origin: \x80\xff\r\n', 'Range: bytes=0-\r\n']);
    await raw.writePieces(Buffer.from(`${method} ${random.pick(ODD_TARGETS)} ${version}\r\nHost: x\r\n${fields}\r\n`, 'latin1'), random, 3);
    await raw.answered(1, 1000);
    raw.destroy();
    return raw.codes().length > 1 ? `answered ${raw.codes()}` : undefined;
}

export async function pipelining({ port, random }) {
    const path = random.pick(target.polls);
    const way = random.pick(['many', 'behind a poll', 'too much', 'behind an upgrade']);
    if (way === 'many') {
        const count = random.integer(2, 50);
        const raw = new Raw(port).write(Buffer.concat(Array.from({ length: count }, () => request('GET', '/nothing'))));
        await raw.answered(count, PATIENCE_MS);
        raw.destroy();
        return raw.codes().length === count && raw.codes().every((code) => code === 404) ? undefined : `${count} requests answered ${raw.codes()}`;
    }
    if (way === 'behind an upgrade') {
        const raw = new Raw(port).write(Buffer.concat([upgrade(path), request('GET', '/nothing')]));
        await raw.ended(PATIENCE_MS); // it is read as frames, and is none
        raw.destroy();
        return raw.codes().join() === '101' && raw.closed ? undefined : `a request behind an upgrade answered ${raw.codes()}`;
    }
    const { raw, sid } = await openPolling(port, path);
    raw.write(poll(path, sid)); // held
    if (way === 'behind a poll') {
        raw.write(Buffer.concat([post(path, sid, '1'), poll(path)]));
        await raw.until(() => raw.closed || raw.codes().length, 200);
    } else {
        raw.write(Buffer.concat(Array.from({ length: 2000 }, () => request('GET', '/nothing'))));
        /* Unless a ping has answered the poll before they came: then none of them had to wait. */
        if (!await raw.until(() => raw.closed || raw.codes().length > 2000, PATIENCE_MS))
            return 'more than may wait behind a poll does not end the connection';
    }
    raw.reset();
    return undefined;
}

/* Polls given up, doubled, half sent. */
export async function aborted_polls({ port, random }) {
    const path = random.pick(target.polls);
    const { raw, sid } = await openPolling(port, path);
    const others = [];
    const more = (data) => others.push(new Raw(port).write(data));
    switch (random.integer(0, 5)) {
    case 0:
        raw.write(poll(path, sid));
        await sleep(random.integer(0, 10));
        raw.reset();
        more(poll(path, sid));
        break;
    case 1:
        for (let i = random.integer(2, 6); i; i--)
            more(poll(path, sid));
        break;
    case 2:
        for (let i = random.integer(2, 6); i; i--)
            more(post(path, sid, path === '/socket.io/' ? target.connect : '4hello'));
        break;
    case 3:
        more(post(path, sid, '4hello'.repeat(100)).subarray(0, -random.integer(1, 300)));
        await sleep(random.integer(0, 10));
        others[0].reset();
        more(poll(path, sid));
        break;
    default:
        raw.write(poll(path, sid));
        more(post(path, sid, '1'));
        more(upgrade(path, sid));
    }
    await sleep(random.integer(0, 30));
    raw.reset();
    others.forEach((other) => other.reset());
    return undefined;
}

/* A head byte by byte, slower than it may be: the server ends it by its time limit, or we give up. Time is the sum of our own
 * pauses: while the machine stands still, the server's limits do too. */
export async function slow_loris({ port, random, patient }) {
    const raw = new Raw(port);
    const head = poll('/socket.io/').toString('latin1').replace('\r\n\r\n', `\r\nX: ${'y'.repeat(4000)}\r\n\r\n`);
    let left = patient ? 30000 : random.integer(100, 1500);
    for (let at = 0; !raw.closed && left > 0; at++) {
        const pause = random.integer(5, 100);
        raw.write(head[at] ?? 'z');
        await sleep(pause);
        left -= pause;
    }
    const ended = raw.closed;
    raw.reset();
    return patient && !ended ? 'an endless head is not ended' : refusals(raw);
}

/* Asks for much and reads nothing: its queue is bounded, and so is the time that it may stay. */
export async function slow_reader({ port, random }) {
    const raw = await openWebSocket(port, target.bare);
    raw.socket.pause();
    const message = target.noise();
    for (let i = random.integer(20, 60); i && !raw.closed && raw.socket.writable; i--)
        if (!raw.socket.write(message))
            await sleep(20);
    raw.reset();
    return undefined;
}
