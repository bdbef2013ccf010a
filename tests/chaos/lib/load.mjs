/* Many lean clients: bench_load (tests/bench), and what the kernel knows of the gateways that serve them. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { BUILD_DIR } from '../../integration/lib/places.mjs';
import { eventually } from '../../integration/lib/wait.mjs';

const BENCH_LOAD = path.join(BUILD_DIR, 'tests/bench/bench_load');
const address = (url) => new URL(url).host;
const textOf = (options) => Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);

/* Settings of a gateway for them: they say who they are. */
export const LOAD_SETTINGS = { gateway: { token: undefined, auth: { mode: 'development' }, recovery: { keys: 'lean clients need a secret of 32 bytes' } } };

/* Started; `options` are bench_load's, without the dashes. `nice`: clients that only make load give way, those whose latencies
 * count do not wait for them: elsewhere they would have machines of their own. */
export function startLoad(world, name, { gateway, standby, nice = 0, ...options }) {
    const args = ['--server', address(gateway.url), '--pid', gateway.pid, '--brokers', world.broker.address, ...textOf(options)];
    if (standby)
        args.push('--standby', address(standby.url));
    return world.program(name, 'nice', ['-n', String(nice), BENCH_LOAD, ...args.map(String)], { foreign: true }).start();
}

/* Topic and partition of the rooms of a tenant. */
export function laneOf(tenant) {
    const [topic, partition] = execFileSync(BENCH_LOAD, ['--print-lane', '--tenant', tenant], { encoding: 'utf8' }).trim().split(' ');
    return { topic, partition: Number(partition) };
}

/* The JSON lines that it has printed. */
export const said = (load) => load.text().split('\n').filter((line) => line.startsWith('{') && line.endsWith('}')).map((line) => JSON.parse(line));

/* Its first line that `fits`. */
export function hears(load, fits, timeout, what) {
    return eventually(() => {
        const line = said(load).find(fits);
        if (!line && !load.alive)
            throw Object.assign(new Error(`${load.name} has ended\n${load.tail()}`), { final: true });
        return line;
    }, { timeout, interval: 10, what: () => `${what}\n${load.tail()}` });
}

export const hearsState = (load, state, timeout) => hears(load, (line) => line.state === state, timeout, `${load.name}: ${state}`);

/* Latencies since the last time: {p50_ms, p99_ms, count}. */
export async function takeLatencies(load) {
    const windows = () => said(load).filter((line) => line.count !== undefined);
    const before = windows().length;
    load.signal('SIGUSR1');
    return eventually(() => windows()[before], { timeout: 20000, interval: 10, what: () => `latencies\n${load.tail()}` });
}

/* Bytes that a process has received from the broker over the connections it has. */
export function receivedFromBroker({ pid }, broker) {
    const text = execFileSync('ss', ['-tinpH', `dport = :${broker.address.split(':')[1]}`], { encoding: 'utf8' });
    const sockets = text.split('\n').reduce((lines, line) => (/^\s/.test(line) ? [...lines.slice(0, -1), `${lines.at(-1)} ${line}`] : [...lines, line]), []);
    return sockets.filter((line) => line.includes(`pid=${pid},`)).reduce((sum, line) => sum + Number(line.match(/bytes_received:(\d+)/)?.[1] ?? 0), 0);
}

export const residentBytes = ({ pid }) => Number(fs.readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * 4096;

/* Memory that the kernel holds for a server's connections, their ends here included: bytes that wait to be sent or read, with
 * what they are packed in, and what is set aside for more. The kernel's total (/proc/net/sockstat) is no measure for this: each
 * CPU keeps up to a MiB to itself before it tells. */
export function socketBytes({ url }) {
    const { port } = new URL(url);
    const text = execFileSync('nice', ['-n', '19', 'ss', '-tmH', `sport = :${port} or dport = :${port}`], { encoding: 'utf8', maxBuffer: 1 << 26 });
    return [...text.matchAll(/skmem:\(r(\d+),rb\d+,t\d+,tb\d+,f(\d+),w(\d+),/g)].reduce((sum, [, read, forward, write]) => sum + Number(read) + Number(forward) + Number(write), 0);
}
