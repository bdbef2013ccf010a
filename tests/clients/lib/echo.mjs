/* The echo server as a program of a test. */
import path from 'node:path';
import { BUILD_DIR } from '../../integration/lib/places.mjs';
import { Program } from '../../integration/lib/program.mjs';

export const ECHO_SERVER = path.join(BUILD_DIR, 'tests/echo_server');

/* Starts one and waits until it listens; `port` 0: any. The caller stops it with endWell(). */
export async function startEcho(log, { port = 0, options = [] } = {}) {
    const program = new Program('echo_server', ECHO_SERVER, ['--port', port, ...options].map(String), { log });
    await startAgain(program);
    return program;
}

/* The same program once more, after it was killed: on the same port if it was given one. */
export async function startAgain(program) {
    const before = program.text().length;
    program.start();
    const listening = /listening on port (\d+)/;
    await program.waitText({ [Symbol.match]: (text) => text.slice(before).match(listening) });
    program.port = Number(program.text().slice(before).match(listening)[1]);
    program.url = `http://127.0.0.1:${program.port}`;
}

/* Ends it on SIGTERM; it must do so with code 0, and no sanitizer may have complained. */
export async function endWell(program) {
    const end = await program.stop();
    const complaints = program.complaints();
    if (end.code !== 0 || complaints.length)
        throw new Error(`${program.name} ended with ${JSON.stringify(end)}\n${complaints.join('\n')}\n${program.tail()}`);
}
