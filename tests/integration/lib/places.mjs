/* Where things are. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const SOURCE_DIR = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
export const TESTS_DIR = path.join(SOURCE_DIR, 'tests');

/* The build whose programs are tested: BUILD_DIR, by default build/. */
export const BUILD_DIR = path.resolve(process.env.BUILD_DIR ?? path.join(SOURCE_DIR, 'build'));

export const PROGRAMS = {
    gateway: path.join(BUILD_DIR, 'gateway/gateway'),
    dispatcher: path.join(BUILD_DIR, 'dispatcher/dispatcher'),
    embeddedBroker: path.join(BUILD_DIR, 'deploy/embedded_broker'),
    broker: path.join(TESTS_DIR, 'kafka/broker'),
    demo: path.join(SOURCE_DIR, 'deploy/demo'),
};

/* A build with sanitizers is slower: time limits are multiplied by this. */
export const SLOW = /asan|fuzz/.test(path.basename(BUILD_DIR)) ? 3 : 1;

/* A new folder for one test's data, and one for its logs, which stay (BUILD_DIR/test-logs/NAME). */
export function newDataDirectory(name) {
    return fs.mkdtempSync(path.join(os.tmpdir(), `smartstack-${name}-`));
}

export function newLogDirectory(name) {
    const directory = path.join(BUILD_DIR, 'test-logs', name);
    fs.rmSync(directory, { recursive: true, force: true });
    fs.mkdirSync(directory, { recursive: true });
    return directory;
}
