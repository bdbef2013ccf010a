/* Many inputs, some at a time. What an input does follows from the seed and its number alone. */
import fs from 'node:fs';
import { Random } from '../../chaos/lib/random.mjs';
import * as http from './http_inputs.mjs';
import * as stream from './stream_inputs.mjs';
import * as websocket from './websocket_inputs.mjs';

const KINDS = { ...http, ...websocket, ...stream };
const AT_ONCE = 16;

/* How often each kind is drawn. Those that wait or hold much memory are rare. */
export const WEIGHTS = {
    garbage: 8, truncated: 8, large_head: 5, large_body: 5, smuggling: 14, odd_requests: 8, pipelining: 5, aborted_polls: 8,
    slow_loris: 2, slow_reader: 1, frames: 12, random_frames: 8, ping_flood: 1, packets: 14, unfinished: 3, upgrade_races: 10,
    corpus_mutations: 14,
};
/* Those of servers with /ws and /sse. */
export const STREAM_WEIGHTS = { ws_messages: 20, ws_corpus: 10, sse_requests: 14, sse_readers: 3 };
/* How many of the slow heads go on until the server ends them. */
const PATIENT = 0.1;

export function status(pid) {
    const text = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
    return {
        memoryKb: Number(text.match(/VmRSS:\s+(\d+)/)[1]),
        descriptors: fs.readdirSync(`/proc/${pid}/fd`).length,
    };
}

/* Input `number`: its kind, and what was wrong. */
async function send(port, number, { seed, weights }) {
    const random = new Random(seed * 1000003 + number);
    const kind = Object.keys(weights).length === 1 ? Object.keys(weights)[0] : random.weighted(weights);
    const patient = kind === 'slow_loris' && random.fraction() < PATIENT;
    const wrong = await KINDS[kind]({ port, random, patient });
    return { kind, wrong };
}

/* Sends the inputs to the server (a Program with a port); its memory is watched meanwhile. */
export async function attack(server, numbers, options) {
    const counts = {};
    const wrongs = [];
    let peak = 0;
    const sampling = setInterval(() => {
        if (server.alive)
            peak = Math.max(peak, status(server.pid).memoryKb);
    }, 50);
    const one = async () => {
        for (let number = numbers.shift(); number !== undefined && server.alive; number = numbers.shift()) {
            const { kind, wrong } = await send(server.port, number, options);
            counts[kind] = (counts[kind] ?? 0) + 1;
            if (wrong)
                wrongs.push(`input ${number} (${kind}): ${wrong}`);
        }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, one));
    clearInterval(sampling);
    return { counts, wrongs, peak };
}
