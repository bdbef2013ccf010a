#!/usr/bin/env node
// The sample backend: an endless stream of task events, as a real one would produce it. It writes to one Kafka topic and
// knows nothing of rules, rooms, sockets or clients.

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { Decisions } from './decisions.mjs';
import { fail, readOptions } from './options.mjs';
import { EventProducer } from './producer.mjs';
import { Random } from './random.mjs';
import { Schedule } from './schedule.mjs';
import { TaskStream } from './stream.mjs';

const program = 'sample-backend';
const tickMs = 20;
const reportMs = 30_000;
const aliveMs = 1000;
const openingSeconds = 8; // the stream starts with twice the rate of new tasks, so that there is something to see
const archiveMs = 8 * 60_000; // how long boards show a task that has ended
const decided = { approve: 'approved', edit: 'corrected', reject: 'rejected' };
const boardTasks = 400; // of the largest tenant, so many that have ended: at a high rate they are archived sooner

const options = readOptions(program, {
  brokers: { default: '127.0.0.1:9092', help: 'HOST:PORT[,HOST:PORT]' },
  topic: { default: 'tasks.events', help: 'where the events go' },
  decisions: { default: '', help: 'topic of what people decided about reviews' },
  rate: { default: '12', number: true, help: 'events per second, on average' },
  seed: { default: '1', number: true, help: 'the same seed makes the same tasks' },
  count: { default: '0', number: true, help: 'end after so many events; 0: never' },
  world: {
    default: fileURLToPath(new URL('../world.json', import.meta.url)),
    help: 'file of the tenants, projects and users',
  },
  alive: { default: '', help: 'file that is written once a second while Kafka takes events' },
  print: { flag: true, help: 'print the events, one per line, instead of producing them' },
});
if (options.rate === 0) fail(program, '--rate 0: must be more than 0');

function readWorld() {
  try {
    return JSON.parse(readFileSync(options.world, 'utf8'));
  } catch (error) {
    return fail(program, `--world ${options.world}: ${error.message}`);
  }
}

/** The mean time from one task to the next, from how many events a task makes in a stream of its own. */
function meanGapOf(world) {
  const stream = new TaskStream(world, new Random(options.seed + 1));
  const tasks = Array.from({ length: 400 }, () => stream.next());
  return (1000 * tasks.reduce((sum, task) => sum + task.steps.length, 0)) / tasks.length / options.rate;
}

function archiveAfter(world, meanGapMs) {
  const share = Math.max(...world.tenants.map((tenant) => tenant.share));
  return Math.min(archiveMs, (boardTasks * meanGapMs) / share);
}

class Backend {
  #random = new Random(options.seed);
  #schedule = new Schedule();
  #stream;
  #meanGapMs;
  #startMs;
  #nextTaskMs;
  #made = 0;
  #open = new Map(); // tasks that boards show, and how many events each has made
  #decided = new Set(); // tasks that people have decided about

  constructor(world, nowMs) {
    this.#meanGapMs = meanGapOf(world);
    this.#stream = new TaskStream(world, this.#random, archiveAfter(world, this.#meanGapMs));
    this.#startMs = nowMs;
    this.#nextTaskMs = nowMs;
    // One short task of doubtful outcome for each tenant: reviewers have something to do from the first seconds on.
    world.tenants.forEach((tenant, index) => {
      const task = this.#stream.next({ tenantId: tenant.id, type: 'classification', doubtful: true });
      this.#plan(task, 0, nowMs + index * 150);
    });
  }

  /** Gives the events that are due to `emit`; false when --count is reached. */
  turn(nowMs, emit) {
    while (this.#nextTaskMs <= nowMs) {
      this.#plan(this.#stream.next(), 0, this.#nextTaskMs);
      const opening = nowMs - this.#startMs < openingSeconds * 1000 ? 2 : 1;
      this.#nextTaskMs += this.#random.exponential(this.#meanGapMs) / opening;
    }
    for (let due = this.#schedule.take(nowMs); due; due = this.#schedule.take(nowMs)) {
      const { task, index } = due.item;
      const step = task.steps[index];
      const isOver = step.event.startsWith('review.') && this.#decided.has(task);
      if (!isOver) this.#emit(task, step, emit);
      if (options.count && this.#made >= options.count) return false;
      if (index + 1 < task.steps.length) {
        this.#plan(task, index + 1, due.atMs);
      } else {
        this.#open.delete(task);
        this.#decided.delete(task);
      }
    }
    return true;
  }

  /** A person has decided, maybe earlier than those that this backend makes up. The first decision about a task counts. */
  decide({ taskId, decision, by, queue, comment }, emit) {
    const task = [...this.#open.keys()].find((one) => one.taskId === taskId);
    if (!task || this.#decided.has(task)) return;
    this.#decided.add(task);
    const review = { queue, decision: decided[decision] ?? decision, reviewerId: by, corrections: decision === 'edit' ? 1 : 0, ...comment && { comment } };
    this.#emit(task, { event: 'review.completed', data: { review } }, emit);
  }

  #emit(task, step, emit) {
    const seq = (this.#open.get(task) ?? 0) + 1;
    this.#open.set(task, seq);
    this.#made += 1;
    emit(this.#stream.event(task, step, seq, new Date()));
  }

  /** Nobody will tell how these go on: they leave the boards. */
  withdraw(emit) {
    for (const [task, made] of this.#open) emit(this.#stream.withdraw(task, 'backend-ended', made + 1, new Date()));
    this.#open.clear();
  }

  /** Time that passed unused, e.g. while the broker was away, is not made up for. */
  skip(byMs) {
    this.#nextTaskMs += byMs;
  }

  #plan(task, index, baseMs) {
    this.#schedule.add(baseMs + task.steps[index].afterMs, { task, index });
  }
}

const world = readWorld();
const backend = new Backend(world, Date.now());
const producer = options.print ? null : new EventProducer(options.brokers, options.topic);
const decisions = producer && options.decisions
  ? new Decisions(options.brokers, options.decisions, (decision) => backend.decide(decision, emit)) : null;
let waiting = false;
let produced = 0;
let aliveAt = 0;

function emit(event) {
  if (producer) producer.push(event);
  else process.stdout.write(`${JSON.stringify(event)}\n`);
}

async function end(timers, code) {
  timers.forEach(clearInterval);
  await decisions?.close();
  if (!options.count) backend.withdraw(emit);
  if (producer) await producer.close();
  process.exitCode = code;
}

function start() {
  const turn = () => {
    if (producer?.full) {
      if (!waiting) console.error(`${program}: Kafka takes no events; pausing`);
      waiting = true;
      backend.skip(tickMs);
    } else {
      waiting = false;
      if (!backend.turn(Date.now(), emit)) end(timers, 0);
    }
  };
  const report = () => {
    if (!producer) return;
    console.error(`${program}: ${producer.sent} events produced, ${((producer.sent - produced) * 1000 / reportMs).toFixed(1)}/s`);
    produced = producer.sent;
  };
  const alive = () => {
    if (options.alive && producer.sent > aliveAt) writeFileSync(options.alive, `${producer.sent}\n`);
    aliveAt = producer.sent;
  };
  const timers = [setInterval(turn, tickMs), setInterval(report, reportMs)];
  if (producer) timers.push(setInterval(alive, aliveMs));
  for (const name of ['SIGINT', 'SIGTERM']) process.once(name, () => end(timers, 0));
  turn();
}

start();
