/* A backend that goes on through broker restarts: an idempotent producer of librdkafka (kcat) behind a pipe. What is
 * written to it is in the topic once and in order per key. One request at a time: a broker that was killed remembers only the last
 * batch of a producer, so of two that are sent again the first would be refused. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { INPUT_TOPIC } from './backend.mjs';

export class Stream {
    constructor(broker, topic = INPUT_TOPIC) {
        this.child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', 'kcat', '-P', '-E', '-b', broker.address, '-t', topic, '-K', '\t',
            '-X', 'enable.idempotence=true', '-X', 'max.in.flight=1', '-X', 'message.timeout.ms=0', '-X', 'partitioner=murmur2_random', '-X', 'linger.ms=2',
            '-X', 'retry.backoff.ms=50', '-X', 'reconnect.backoff.max.ms=500'], { stdio: ['pipe', 'ignore', 'pipe'] });
        this.errors = '';
        this.child.stderr.on('data', (chunk) => { this.errors += chunk; });
        this.child.stdin.on('error', () => {}); // it has ended: told by what waits for that
        this.ended = once(this.child, 'exit').then(([code]) => { this.code = code; });
        process.once('exit', () => this.child.kill('SIGKILL'));
    }

    /* Events are JSON without line ends or tabs in it. */
    async write(events) {
        const text = events.map((event) => `${event.taskId}\t${JSON.stringify(event)}\n`).join('');
        if (!this.child.stdin.write(text))
            await Promise.race([once(this.child.stdin, 'drain'), this.ended]);
        this.#assertAlive();
    }

    /* Returns when everything is acknowledged. */
    async close() {
        this.child.stdin.end();
        await this.ended;
        if (this.code !== 0)
            this.#assertAlive();
    }

    #assertAlive() {
        if (this.code !== undefined)
            throw new Error(`kcat ended with code ${this.code}: ${this.errors.slice(-500)}`);
    }
}
