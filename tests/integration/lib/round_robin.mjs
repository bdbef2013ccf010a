/* The plainest load balancer: each HTTP request and each upgrade goes to the next gateway, whatever connection it came on.
 * It never tries again, and takes a gateway out only while it refuses connections. */
import http from 'node:http';
import net from 'node:net';

export class RoundRobin {
    constructor(gateways) {
        this.targets = gateways.map(({ url }) => new URL(url));
        this.next = 0;
        this.codes = new Map(); // of answers
        this.upgrades = 0;
        this.agent = new http.Agent({ keepAlive: true, maxFreeSockets: 16, timeout: 20000 });
        this.sockets = new Set();
        this.server = http.createServer({ keepAliveTimeout: 60000 }, (request, response) => this.pass(request, response));
        this.server.on('upgrade', (request, socket, head) => this.relay(request, socket, head));
        this.server.on('connection', (socket) => {
            this.sockets.add(socket);
            socket.on('close', () => this.sockets.delete(socket));
        });
    }

    async start() {
        await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
        this.url = `http://127.0.0.1:${this.server.address().port}`;
        return this;
    }

    pick() { return this.targets[this.next++ % this.targets.length]; }

    count(code) { this.codes.set(code, (this.codes.get(code) ?? 0) + 1); }

    /* How many answers had a code from..to. */
    answers(from, to = from) { return [...this.codes].reduce((sum, [code, n]) => sum + (code >= from && code <= to ? n : 0), 0); }

    pass(request, response) {
        const chunks = [];
        request.on('data', (chunk) => chunks.push(chunk));
        request.on('end', () => this.ask(request, response, Buffer.concat(chunks), this.targets.length));
    }

    ask(request, response, body, tries) {
        const { hostname: host, port } = this.pick();
        const asked = http.request({ host, port, method: request.method, path: request.url, headers: request.headers, agent: this.agent });
        asked.on('response', (answer) => {
            this.count(answer.statusCode);
            response.writeHead(answer.statusCode, answer.rawHeaders);
            answer.pipe(response);
            answer.on('error', () => response.destroy());
        });
        asked.on('error', (error) => {
            if (error.code === 'ECONNREFUSED' && tries > 1)
                this.ask(request, response, body, tries - 1);
            else if (!response.destroyed)
                response.destroy();
        });
        response.on('close', () => { if (!response.writableFinished) asked.destroy(); });
        asked.end(body);
    }

    relay(request, socket, head, tries = this.targets.length) {
        const { hostname: host, port } = this.pick();
        const there = net.connect({ host, port });
        there.on('connect', () => {
            this.upgrades++;
            there.setNoDelay(true);
            socket.setNoDelay(true);
            const lines = [`${request.method} ${request.url} HTTP/1.1`];
            for (let i = 0; i < request.rawHeaders.length; i += 2)
                lines.push(`${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}`);
            there.write(`${lines.join('\r\n')}\r\n\r\n`);
            there.write(head);
            there.once('data', (chunk) => this.count(Number(chunk.subarray(9, 12).toString())));
            there.pipe(socket);
            socket.pipe(there);
        });
        there.on('error', (error) => {
            if (error.code === 'ECONNREFUSED' && tries > 1)
                this.relay(request, socket, head, tries - 1);
            else
                socket.destroy();
        });
        there.on('close', () => socket.destroy());
        socket.on('error', () => there.destroy());
        socket.on('close', () => there.destroy());
    }

    async stop() {
        this.agent.destroy();
        this.sockets.forEach((socket) => socket.destroy());
        await new Promise((resolve) => this.server.close(resolve));
    }
}
