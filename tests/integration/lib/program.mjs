/* A process of a test: started with its output in a file, ended by its own process id, and gone when the test is,
 * however that ends (the kernel kills it if node is killed). */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { SLOW } from './places.mjs';
import { eventually, PATIENCE } from './wait.mjs';

/* How long a program may take to end in good order. */
const END_TIMEOUT = 20000 * SLOW;

const running = new Set();

process.on('exit', () => {
    for (const program of running)
        program.signal('SIGKILL');
});
for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]])
    process.on(signal, () => process.exit(code));

/* What sanitizers write when they find something. */
const COMPLAINT = /(ERROR|WARNING): \w+Sanitizer|runtime error:|Assertion .* failed/;

export class Program {
    /* `log` is the file that gets what it writes; starting it again appends. `foreign`: not ours, how it ends does not
     * matter. */
    constructor(name, command, args, { log, environment = {}, directory, foreign = false } = {}) {
        Object.assign(this, { name, command, args, log, environment, directory, foreign });
        this.child = null;
    }

    start() {
        const output = fs.openSync(this.log, 'a');
        fs.writeSync(output, `--- ${new Date().toISOString()} ${[this.command, ...this.args].join(' ')}\n`);
        this.child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', this.command, ...this.args], {
            stdio: ['ignore', output, output],
            cwd: this.directory,
            env: { ...process.env, ...this.environment },
        });
        fs.closeSync(output);
        running.add(this);
        const child = this.child;
        this.ended = new Promise((resolve) => {
            child.once('error', (error) => resolve({ code: null, signal: null, error }));
            child.once('exit', (code, signal) => resolve({ code, signal }));
        }).then((end) => {
            if (this.child === child) {
                running.delete(this);
                this.child = null;
                this.end = end;
            }
            return end;
        });
        return this;
    }

    get pid() { return this.child?.pid; }
    get alive() { return this.child !== null; }

    signal(name) {
        if (this.child)
            process.kill(this.child.pid, name);
    }

    /* Resolves to {code, signal} when it has ended. */
    async waitEnd(timeout = END_TIMEOUT) {
        let timer;
        const late = new Promise((resolve) => { timer = setTimeout(resolve, timeout, null); });
        const end = await Promise.race([this.ended, late]);
        clearTimeout(timer);
        if (!end)
            throw new Error(`${this.name} has not ended after ${timeout} ms\n${this.tail()}`);
        return end;
    }

    /* Asks it to end and returns how it did. */
    async stop(timeout = END_TIMEOUT) {
        if (!this.child)
            return this.end;
        this.signal('SIGTERM');
        try {
            return await this.waitEnd(timeout);
        } catch (error) {
            await this.kill();
            throw error;
        }
    }

    async kill() {
        if (!this.child)
            return;
        this.signal('SIGKILL');
        await this.ended;
    }

    pause() { this.signal('SIGSTOP'); }
    resume() { this.signal('SIGCONT'); }

    text() { return fs.existsSync(this.log) ? fs.readFileSync(this.log, 'utf8') : ''; }
    tail(lines = 25) { return `--- last lines of ${this.log}\n${this.text().trimEnd().split('\n').slice(-lines).join('\n')}`; }

    /* Resolves to the match once its output has one; rejects if it ends first. */
    waitText(pattern, timeout = PATIENCE) {
        return eventually(() => {
            const match = this.text().match(pattern);
            if (!match && !this.alive)
                throw Object.assign(new Error(`${this.name} has ended\n${this.tail()}`), { final: true });
            return match;
        }, { timeout, what: () => `${pattern} in the output of ${this.name}\n${this.tail()}` });
    }

    /* Lines in which a sanitizer or an assertion complains. */
    complaints() { return this.text().split('\n').filter((line) => COMPLAINT.test(line)); }
}
