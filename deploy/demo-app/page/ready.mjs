#!/usr/bin/env node
// Ends with 0 once a client, as the page is one, has been given a live task update: ready.mjs URL SECONDS
// Only an update that happened after the client was connected counts.

import { readFileSync } from 'node:fs';
import { io } from 'socket.io-client';

const [url, seconds] = process.argv.slice(2);
const { tenants: [tenant] } = JSON.parse(readFileSync(new URL('../world.json', import.meta.url), 'utf8'));
const [{ id: user, reviewQueues }] = tenant.users;
let state = 'not connected';
let connectedAt = Infinity;

const socket = io(url, { auth: { tenant: tenant.id, user, reviewQueues }, reconnectionDelay: 200, reconnectionDelayMax: 1000 });
socket.on('connect', () => {
  connectedAt = Date.now();
  state = 'connected, no update yet';
});
socket.on('connect_error', (error) => {
  state = `not connected: ${error.message}`;
  if (!socket.active) setTimeout(() => socket.connect(), 1000);
});
socket.on('task.status', (notification) => {
  if (!(Date.parse(notification.time) >= connectedAt)) return;
  socket.disconnect();
  process.exit(0);
});
setTimeout(() => {
  console.error(`${url}: ${state} after ${seconds} s`);
  process.exit(1);
}, Number(seconds) * 1000);
