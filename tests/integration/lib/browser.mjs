/* A headless Chromium that speaks to nobody but the page under test. */
import fs from 'node:fs';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { freshMark, processesMarked } from './marks.mjs';

const EXECUTABLE = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(fs.existsSync);

/* An open browser with one page; close() ends all of it. `directory` is for its empty profile. */
export async function openBrowser(directory) {
    const mark = freshMark();
    const profile = path.join(directory, 'chromium');
    fs.mkdirSync(profile, { recursive: true });
    const context = await chromium.launchPersistentContext(profile, {
        executablePath: EXECUTABLE,
        headless: true,
        viewport: { width: 1400, height: 1000 },
        env: { ...process.env, ...mark },
        args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
            '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'],
    });
    const page = context.pages()[0] ?? await context.newPage();
    const trouble = [];
    page.on('pageerror', (error) => trouble.push(String(error)));
    page.on('console', (message) => message.type() === 'error' && trouble.push(message.text()));
    process.once('exit', () => processesMarked(mark).forEach((pid) => process.kill(pid, 'SIGKILL')));
    return { page, trouble, close: () => context.close() };
}
