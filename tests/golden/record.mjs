// What `record` runs. Nothing here knows the gateway's codecs: every expectation comes from the JavaScript libraries.
import {createRequire} from 'node:module';
import {readFileSync, writeFileSync} from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import {Duplex} from 'node:stream';
import {Server} from 'socket.io';
import {io} from 'socket.io-client';

const require = createRequire(import.meta.url);
const engineParser = createRequire(require.resolve('engine.io'))('engine.io-parser');
const {Decoder} = createRequire(require.resolve('socket.io'))('socket.io-parser');
const Receiver = require(require.resolve('ws').replace(/[^/\\]*$/, 'lib/receiver.js'));

const version = name => {
  let path = require.resolve(name);
  for (;;) {
    path = path.replace(/[/\\][^/\\]*$/, '');
    try {
      const found = JSON.parse(readFileSync(`${path}/package.json`));
      if (found.version) return `${found.name} ${found.version}`;
    } catch {}
  }
};
const origin = `Recorded by tests/golden/record from ${version('socket.io')} and ${version('socket.io-client')}.`;

// ---- Bytes as text ----

const escapeByte = byte =>
  byte === 13 ? '\\r' : byte === 10 ? '\\n' : byte === 92 ? '\\\\' :
    byte >= 32 && byte < 127 ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`;

// Real line ends mean nothing in a block of bytes: they are put where reading is helped. No line begins or ends with a
// blank, which an editor might remove.
const escapeBytes = bytes => {
  const lines = [''];
  for (const byte of bytes) {
    lines[lines.length - 1] += escapeByte(byte);
    if (byte === 10 || lines.at(-1).length >= 117) lines.push('');
  }
  return lines.map(line => line.replace(/^ /, '\\x20').replace(/ $/, '\\x20')).join('\n').trimEnd();
};
const escapeText = text => escapeBytes(Buffer.from(text)).replaceAll('\n', '');

// ---- What the libraries read, as lines ----

const socketTypes = ['connect', 'disconnect', 'event', 'ack', 'connect_error', 'binary_event', 'binary_ack'];

const describePacket = packet => {
  const attachments = [];
  const withPlaceholders = value => {
    if (Buffer.isBuffer(value)) return {_placeholder: true, num: attachments.push(value) - 1};
    if (Array.isArray(value)) return value.map(withPlaceholders);
    if (value && typeof value === 'object')
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withPlaceholders(inner)]));
    return value;
  };
  const data = withPlaceholders(packet.data);
  return `socketio ${socketTypes[packet.type]} ${packet.nsp}` + (packet.id === undefined ? '' : ` id=${packet.id}`) +
    (attachments.length ? ` attachments=${attachments.length}` : '') + (data === undefined ? '' : ` ${JSON.stringify(data)}`);
};

class Lines {
  constructor(decoder) {
    this.lines = [];
    this.decoder = decoder;
    decoder.off('decoded');
    decoder.on('decoded', packet => this.lines.push(describePacket(packet)));
  }
  enginePacket(packet) {
    if (packet.type !== 'message') {
      this.lines.push(`engineio ${packet.type}${packet.data ? ` ${escapeText(packet.data)}` : ''}`);
    } else {
      if (Buffer.isBuffer(packet.data)) this.lines.push(`binary ${packet.data.toString('hex')}`);
      try {
        this.decoder.add(packet.data);
      } catch {
        this.lines.push('socketio refused');
      }
    }
  }
  payload(body) {
    for (const packet of engineParser.decodePayload(body, 'nodebuffer')) this.enginePacket(packet);
  }
  frames(receiver) {
    receiver.on('message', (data, binary) => this.enginePacket(engineParser.decodePacket(binary ? data : data.toString(), 'nodebuffer')));
    for (const kind of ['ping', 'pong']) receiver.on(kind, data => this.lines.push(`websocket ${kind} ${escapeBytes(data)}`));
    receiver.on('conclude', (code, reason) => this.lines.push(`websocket close ${code} ${escapeBytes(reason)}`.trimEnd()));
  }
}

// All that a client sent over one connection (the bytes are unmasked in place). Attachments may come over another one than their packet: all connections
// of a conversation share a decoder.
const readClient = (bytes, decoder) => new Promise((resolve, reject) => {
  const lines = new Lines(decoder);
  const server = http.createServer(async (request, response) => {
    lines.lines.push(`request ${request.method} ${request.url}`);
    const parts = [];
    for await (const part of request) parts.push(part);
    if (parts.length) lines.payload(Buffer.concat(parts).toString());
    response.end();
  });
  server.on('upgrade', (request, socket, head) => {
    lines.lines.push(`request ${request.method} ${request.url} upgrade`);
    const receiver = new Receiver({isServer: true});
    receiver.on('error', reject);
    lines.frames(receiver);
    receiver.write(head);
    socket.on('data', part => receiver.write(part));
  });
  const connection = new Duplex({read() {}, write(part, encoding, done) { done(); }});
  server.emit('connection', connection);
  connection.push(bytes);
  setTimeout(() => resolve(lines.lines), 200);
});

// The bodies of a server's answers to polls, or its frames.
const readServer = (bytes, decoder) => {
  const result = [];
  let rest = bytes;
  while (rest.length) {
    const end = rest.indexOf('\r\n\r\n');
    const head = rest.subarray(0, end).toString('latin1');
    rest = rest.subarray(end + 4);
    if (/^HTTP\/1.1 101/.test(head)) {
      const lines = new Lines(decoder);
      const receiver = new Receiver({isServer: false});
      lines.frames(receiver);
      receiver.write(rest);
      return [...result, {kind: 'server-frames', bytes: rest, lines: lines.lines}];
    }
    const size = Number(/content-length: (\d+)/i.exec(head)[1]);
    const lines = new Lines(decoder);
    lines.payload(rest.subarray(0, size).toString());
    if (/content-type: text\/plain/i.test(head))
      result.push({kind: 'server-payload', bytes: rest.subarray(0, size), lines: lines.lines});
    rest = rest.subarray(size);
  }
  return result;
};

// ---- Conversations ----

const serve = async () => {
  const server = http.createServer();
  const sockets = new Server(server, {pingInterval: 150, pingTimeout: 1000, connectionStateRecovery: {}});
  const application = socket => {
    socket.emit('auth', socket.handshake.auth);
    socket.on('message', (...parts) => socket.emit('message-back', ...parts));
    socket.on('ask', (...parts) => parts.pop()(...parts));
    socket.on('ask me', () => socket.emit('question', 'Grüße "€" 😀', reply => socket.emit('thanks', reply)));
  };
  sockets.on('connection', application);
  sockets.of('/custom').on('connection', application);
  sockets.of('/guarded').use((socket, next) => next(Object.assign(new Error('not "you"'), {data: {code: 7}})));
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  return {port: server.address().port, close: () => sockets.close()};
};

// Passes bytes through and keeps them, by connection.
const tap = async port => {
  const connections = [];
  const proxy = net.createServer(client => {
    const record = {client: [], server: []};
    connections.push(record);
    const server = net.connect(port, '127.0.0.1');
    client.on('data', part => { record.client.push(part); server.write(part); });
    server.on('data', part => { record.server.push(part); client.write(part); });
    for (const [one, other] of [[client, server], [server, client]]) {
      one.on('end', () => other.end());
      one.on('error', () => other.destroy());
    }
  });
  await new Promise(resolve => proxy.listen(0, '127.0.0.1', resolve));
  return {port: proxy.address().port, connections, close: () => proxy.close()};
};

const pause = ms => new Promise(resolve => setTimeout(resolve, ms));
const once = (socket, event) => new Promise(resolve => socket.once(event, (...parts) => resolve(parts)));

const conversations = {
  'polling': async url => {
    const socket = io(url, {transports: ['polling'], forceNew: true, auth: {token: '123'}});
    await once(socket, 'connect');
    socket.emit('message', 1, '2', {3: [true]}, null, 'Grüße "€" 😀\n');
    socket.emit('message', Buffer.from([0, 1, 2, 255]), {nested: [Buffer.from('second')]});
    await once(socket, 'message-back');
    await socket.emitWithAck('ask', {big: 12345678.901});
    await socket.emitWithAck('ask', Buffer.from('in the answer'));
    await pause(400);
    socket.disconnect();
    await pause(100);
  },
  'websocket': async url => {
    const socket = io(url, {transports: ['websocket'], forceNew: true});
    socket.on('question', (text, reply) => reply(text, [1]));
    await once(socket, 'connect');
    socket.emit('message', 'x'.repeat(200));
    await once(socket, 'message-back');
    socket.emit('message', Buffer.from([1, 2, 3, 4]), 'between', Buffer.alloc(0));
    await once(socket, 'message-back');
    await socket.emitWithAck('ask', 'a', 'b');
    await socket.emitWithAck('ask', Buffer.from('b'));
    socket.emit('ask me');
    await once(socket, 'thanks');
    await pause(400);
    socket.disconnect();
    await pause(100);
  },
  'upgrade': async url => {
    const socket = io(url, {forceNew: true});
    await once(socket, 'connect');
    await once(socket.io.engine, 'upgrade');
    socket.emit('message', 'over websocket');
    await once(socket, 'message-back');
    await pause(400);
    socket.disconnect();
    await pause(100);
  },
  'namespaces': async url => {
    const manager = io(url, {transports: ['websocket'], forceNew: true}).io;
    const custom = manager.socket('/custom', {auth: {token: 'abc'}});
    await once(custom, 'connect');
    custom.emit('message', 'in custom');
    await once(custom, 'message-back');
    await custom.emitWithAck('ask', 5);
    await Promise.all(['/missing', '/guarded'].map(name => once(manager.socket(name), 'connect_error')));
    custom.disconnect();
    await pause(100);
    manager._close();
    await pause(100);
  },
};

const section = (title, kind, bytes, lines) =>
  `## ${title}\n\n\`\`\`${kind}\n${escapeBytes(bytes)}\n\`\`\`\n\n\`\`\`packets\n${lines.map(line => `${line}\n`).join('')}\`\`\`\n\n`;

const recordConversations = async () => {
  const server = await serve();
  for (const [name, talk] of Object.entries(conversations)) {
    const proxy = await tap(server.port);
    await talk(`http://127.0.0.1:${proxy.port}`);
    let text = `# A conversation: ${name}\n\n${origin}\n\n`;
    let count = 0;
    const fromClient = new Decoder();
    const fromServer = new Decoder();
    for (const {client, server: answers} of proxy.connections) {
      count++;
      const bytes = Buffer.concat(client);
      text += section(`connection ${count}: client`, 'client', bytes, await readClient(Buffer.from(bytes), fromClient));
      for (const {kind, bytes: sent, lines} of readServer(Buffer.concat(answers), fromServer))
        text += section(`connection ${count}: server`, kind, sent, lines);
    }
    writeFileSync(`conversation-${name}.md`, text);
    proxy.close();
  }
  server.close();
};

// ---- Texts, one by one: which are packets? ----

const placeholder = num => `{"_placeholder":true,"num":${num}}`;
const socketTexts = [
  '0', '0{}', '0{"token":"123"}', '0/custom,', '0/custom', '0/custom,{"a":1}', '0/custom?x=y,{"a":1}', '0/', '0/,{}',
  '0[]', '0null', '0"a"', '0true', '0{', '0{}x', '0/custom,[]',
  '1', '1/custom', '1/custom,', '1{}', '1[]', '1"a"', '1null', '1/custom,{}',
  '2', '2["a"]', '2["a",1,"2",{"3":[true]}]', '2/custom,["a"]', '212["a"]', '20["a"]', '2/custom,12["a",null]', '2/custom',
  '2[1]', '2[1.5,2]', '2[""]', '2["a" , 1 ]', '2["a"] ', '2["a",{"b":1,"b":2}]', '2["\\u0061\\ud800"]', '2["a",1e400]',
  '2{}', '2[]', '2null', '2"a"', '2[null]', '2[true]', '2[{}]', '2[[]]', '2["a"', '2["a",]', '2["a"]]', '2["a"]x', "2['a']",
  '2["a",01]', '2["a",NaN]', '2["a",undefined]', '2["a",+1]', '2["a",.5]', '2["a",1.]', '2["a","\\x41"]', '2["a","\\u12"]',
  '2["a","\t"]', '2["a",//]', '2abc["a"]', '2-["a"]', '21-["a"]', '2,["a"]', '2custom,["a"]',
  '2["connect"]', '2["connect_error"]', '2["disconnect"]', '2["disconnecting"]', '2["newListener"]', '2["removeListener"]',
  '2["\\u0063onnect"]', '2["error"]', '2["Connect"]', '2["connect "]',
  '31[]', '312[1,"2",null]', '3/custom,0[]', '31{}', '31null', '31"a"', '31[', '3a[]',
  '4{}', '4{"message":"x"}', '4/custom,{"message":"x","data":[1]}', '4"x"', '4[]', '4null',
  `51-["a",${placeholder(0)}]`, `52-["a",${placeholder(1)},[${placeholder(0)}]]`, `51-/custom,3["a",{"b":${placeholder(0)}}]`,
  `510-["a",${placeholder(9)}]`, '51-["a"]', '51-["a",{"_placeholder":false,"num":7}]', `51-[1,${placeholder(0)}]`,
  '51-["a",{"num":0,"_placeholder":true}]', '51-["a",{"_placeholder":true,"num":5,"num":0}]',
  '51-["a",{"_placeholder":true,"num":0,"num":5}]', '51-["a",{"_placeholder":"true","num":5}]',
  '51-["a",{"\\u005fplaceholder":true,"num":1}]', '51-["a",{"_placeholder":true,"_placeholder":1,"num":1}]',
  `51-["a",${placeholder(1)}]`, `51-["a",${placeholder(-1)}]`, `51-["a",${placeholder('"0"')}]`, `51-["a",${placeholder('null')}]`,
  '51-["a",{"_placeholder":true}]', `50-["a"]`, `511-["a"]`, `5-["a"]`, `5["a"]`, '51["a"]', '51.5-["a"]', '5-1-["a"]', '5a-["a"]',
  '51-["connect"]', '51-{}', '51-[]', '51-null', `61-3[${placeholder(0)}]`, `61-/custom,3[[${placeholder(0)}]]`,
  `61-3[${placeholder(1)}]`, '61-3{}', '60-3[]', '63[]',
  '7', '7[]', '8', 'a', '-', '/', '[]', '{"type":2}', '"2"', '\u0000', '\ufeff2["a"]', 'é',
];
// The gateway refuses these, which the JavaScript parser takes although no client of it sends them.
const stricterTexts = [
  '', ' ', '01', '05{}', '11', '4', '41', '3', '31', '3[]', '3[1]', '43{}', '4/custom', '51-', '61-3',
  '2 ["a"]', '2/custom,\t["a"]', '0 {}', '501-["a"]', '5 1-["a"]', '5+1-["a"]', `51-["a",${placeholder('0.0')}]`, `51-["a",${placeholder('-0')}]`, '51-["a",{"_placeholder":true,"num":0.5}]',
  '299999999999999999999["a"]', '39007199254740992[]',
];

const readSocketText = text => {
  const decoder = new Decoder();
  let found;
  decoder.on('decoded', packet => { found = packet; });
  try {
    decoder.add(text);
    if (!found && decoder.reconstructor) {
      const count = decoder.reconstructor.reconPack.attachments;
      for (let i = 0; i < count; i++) decoder.add(Buffer.from([i]));
    }
  } catch {
    return 'refused';
  }
  if (!found) return 'refused';
  return `${socketTypes[found.type]} ${found.nsp}` + (found.id === undefined ? '' : ` id=${found.id}`) +
    (Array.isArray(found.data) ? ` elements=${found.data.length}` : '');
};

const enginePayloads = [
  '', '4', '4hello', '2', '2probe', '3probe', '6', '0', '1', '5', '4a\x1e4b', '4a\x1e4b\x1e4c', '4\x1e4', 'b', 'bAQIDBA==', '4a\x1ebAQIDBA==',
  'bAA==\x1e4b', '4a\x1e', '\x1e', '\x1e4a', '4a\x1e\x1e4b', 'abc', '7', '9a', '4a\x1eabc', '-', ' 4', '4é€😀', '4{"a":"\\u001e"}', '4\n\x1e4\r\n',
];

const readPayload = body => engineParser.decodePayload(body, 'nodebuffer').map(packet =>
  packet.type === 'error' ? 'refused' :
    `${packet.type}${Buffer.isBuffer(packet.data) ? ` binary ${packet.data.toString('hex')}` : packet.data ? ` ${escapeText(packet.data)}` : ''}`.trimEnd());

const table = (texts, kind, read) => texts.map(text => section(`\`${escapeText(text)}\``, kind, Buffer.from(text), [read(text)].flat())).join('');

const recordTexts = () => {
  writeFileSync('socketio-texts.md', `# Socket.IO packets, one by one\n\n${origin}\n\n${table(socketTexts, 'socketio', readSocketText)}`);
  for (const text of stricterTexts)
    if (readSocketText(text) === 'refused') throw new Error(`${text} is refused by the JavaScript parser too`);
  writeFileSync('socketio-stricter.md', '# Texts that the gateway refuses and the JavaScript parser takes\n\n' +
    `${origin} No client of it sends any of them.\n\n${table(stricterTexts, 'socketio', () => 'refused')}`);
  writeFileSync('engineio-payloads.md', `# Engine.IO payloads, one by one\n\n${origin}\n\n${table(enginePayloads, 'engineio', readPayload)}`);
};

recordTexts();
await recordConversations();
process.exit(0);
