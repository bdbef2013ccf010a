/* Stands before a broker, which names it as its address, and spoils what passes: a connection through which nothing comes
 * any more but which stays open, or answers to Fetch that leave a topic out. Reads no more of Kafka's protocol than that. */
import { once } from 'node:events';
import net from 'node:net';
import { freePort } from './ports.mjs';

const FETCH = 1;

/* A stream cut into Kafka's frames: each a size and so many bytes. */
class Frames {
    rest = Buffer.alloc(0);

    * take(chunk) {
        this.rest = Buffer.concat([this.rest, chunk]);
        while (this.rest.length >= 4 && this.rest.length >= 4 + this.rest.readInt32BE(0)) {
            const size = 4 + this.rest.readInt32BE(0);
            yield this.rest.subarray(0, size);
            this.rest = this.rest.subarray(size);
        }
    }
}

class Reader {
    constructor(buffer, at) { Object.assign(this, { buffer, at }); }
    skip(count) { this.at += count; }
    int32() { this.skip(4); return this.buffer.readInt32BE(this.at - 4); }
    string() {
        const size = this.buffer.readInt16BE(this.at);
        this.skip(2 + Math.max(size, 0));
        return this.buffer.toString('utf8', this.at - Math.max(size, 0), this.at);
    }
}

/* An answer to Fetch, versions 7 to 11, without a topic. */
function withoutTopic(frame, version, unwanted) {
    if (version < 7 || version > 11)
        throw new Error(`Fetch ${version} is not known here`);
    const reader = new Reader(frame, 4 + 4 + 4 + 2 + 4); // size, correlation, throttle, error, session
    const head = reader.at;
    const kept = [];
    for (let topics = reader.int32(); topics > 0; topics--) {
        const begin = reader.at;
        const name = reader.string();
        for (let partitions = reader.int32(); partitions > 0; partitions--) {
            reader.skip(4 + 2 + 8 + 8 + 8); // partition, error, high watermark, last stable offset, log start
            reader.skip(16 * Math.max(reader.int32(), 0)); // aborted transactions
            reader.skip(version >= 11 ? 4 : 0); // replica to prefer
            reader.skip(Math.max(reader.int32(), 0)); // records
        }
        if (name !== unwanted)
            kept.push(frame.subarray(begin, reader.at));
    }
    const result = Buffer.concat([frame.subarray(0, head), Buffer.alloc(4), ...kept, frame.subarray(reader.at)]);
    result.writeInt32BE(result.length - 4, 0);
    result.writeInt32BE(kept.length, head);
    return result;
}

class Connection {
    constructor(client, port) {
        Object.assign(this, { client, broker: net.connect(port, '127.0.0.1'), name: '', fetches: new Map(), fetched: false, silent: false, unwanted: null });
        const requests = new Frames();
        const answers = new Frames();
        this.pass(client, this.broker, (chunk) => {
            for (const frame of requests.take(chunk))
                this.lookAt(frame);
            return chunk;
        });
        this.pass(this.broker, client, (chunk) => Buffer.concat([...answers.take(chunk)].map((frame) => this.change(frame))));
    }

    pass(from, to, change) {
        from.on('error', () => {}).on('close', () => to.destroy());
        from.on('data', (chunk) => {
            if (this.silent)
                return;
            const changed = change(chunk);
            if (changed.length > 0)
                to.write(changed);
        });
    }

    lookAt(frame) {
        const reader = new Reader(frame, 12);
        this.name = reader.string();
        if (frame.readInt16BE(4) !== FETCH)
            return;
        this.fetched = true;
        this.fetches.set(frame.readInt32BE(8), frame.readInt16BE(6));
    }

    change(frame) {
        const correlation = frame.readInt32BE(4);
        const version = this.fetches.get(correlation);
        this.fetches.delete(correlation);
        return version !== undefined && this.unwanted ? withoutTopic(frame, version, this.unwanted) : frame;
    }
}

export class BrokerProxy {
    connections = new Set();

    async open() {
        this.port = await freePort();
        this.server = net.createServer((client) => {
            const connection = new Connection(client, this.brokerPort);
            this.connections.add(connection);
            client.once('close', () => this.connections.delete(connection));
        });
        this.server.listen(this.port, '127.0.0.1');
        await once(this.server, 'listening');
        return this;
    }

    /* A line of server.properties. */
    get setting() { return `advertised.listeners=PLAINTEXT://127.0.0.1:${this.port}`; }

    /* Connections there are now, of clients with this client id, on which Fetch was asked. */
    fetching(clientId) {
        return [...this.connections].filter(({ name, fetched }) => fetched && name === clientId);
    }

    close() {
        this.connections.forEach(({ client, broker }) => { client.destroy(); broker.destroy(); });
        this.server.close();
    }
}
