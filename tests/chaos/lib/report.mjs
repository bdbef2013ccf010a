/* What a scenario says while it runs, and the checks it closes with. */
export class Report {
    #started = performance.now();
    #passed = 0;
    #failed = 0;
    #faults = new Map();

    say(text) { console.log(`[${((performance.now() - this.#started) / 1000).toFixed(1).padStart(6)} s] ${text}`); }

    fault(kind, what) {
        this.#faults.set(kind, (this.#faults.get(kind) ?? 0) + 1);
        this.say(`fault: ${kind} ${what}`);
    }

    check(name, holds, detail = '') {
        if (holds)
            this.#passed++;
        else
            this.#failed++;
        console.log(`${holds ? 'ok    ' : 'FAILED'} ${name}${detail ? `: ${detail}` : ''}`);
    }

    close() {
        if (this.#faults.size)
            console.log(`faults: ${[...this.#faults].map(([kind, count]) => `${count} ${kind}`).join(', ')}`);
        console.log(`${this.#passed} passed, ${this.#failed} failed`);
        return this.#failed === 0 ? 0 : 1;
    }
}
