/* Processes found by a variable in their environment that all descendants of one command inherit: the way to see that
 * a command left none behind, also those that went to another session. */
import crypto from 'node:crypto';
import fs from 'node:fs';

export function freshMark() {
    return { TESTS_MARK: crypto.randomUUID() };
}

/* Process ids, without those that have ended and are not reaped yet (they have no environment). */
export function processesMarked({ TESTS_MARK: mark }) {
    return fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name)).filter((pid) => {
        try {
            return fs.readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`TESTS_MARK=${mark}`);
        } catch {
            return false; // ended meanwhile
        }
    }).map(Number);
}

export function describeProcesses(pids) {
    return pids.map((pid) => {
        try {
            return `${pid} ${fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')}`;
        } catch {
            return `${pid} (ended)`;
        }
    }).join('\n');
}
