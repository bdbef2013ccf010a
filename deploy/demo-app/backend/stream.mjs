// The life of tasks as a list of events to come. Pure: random numbers in, events with delays out; it knows no clock and
// no Kafka. The events have the shape that the rules in deploy/config/rules.yaml are written for.

import {
  decisions, document, errors, languages, personalData, priorityWeights, stages, tags, taskTypes, typeWeights,
  typeWeightsOfTenant, userAgents, warnings,
} from './catalogue.mjs';

const maxAttempts = 3;
const keptMs = 8 * 60_000;

/**
 * Makes tasks of a world of tenants. `next()` gives one task: its ids, and steps of {afterMs, event, data}. The last is
 * task.archived, `archiveMs` after its end: boards show it no longer.
 */
export class TaskStream {
  #random;
  #tenants;
  #shares;
  #archiveMs;

  constructor(world, random, archiveMs = keptMs) {
    this.#random = random;
    this.#archiveMs = archiveMs;
    this.#tenants = new Map(world.tenants.map((tenant) => [tenant.id, { ...tenant }]));
    this.#shares = Object.fromEntries(world.tenants.map((tenant) => [tenant.id, tenant.share]));
  }

  /** `wish` may ask for {tenantId, type, doubtful}: a short, doubtful task ends in a review soon. */
  next(wish = {}) {
    const random = this.#random;
    const tenant = this.#tenants.get(wish.tenantId ?? random.weighted(this.#shares));
    const type = wish.type ?? random.weighted(typeWeightsOfTenant[tenant.id] ?? typeWeights);
    const task = {
      tenant,
      type,
      kind: taskTypes[type],
      tenantId: tenant.id,
      projectId: random.pick(tenant.projects).id,
      userId: random.pick(tenant.users).id,
      taskId: random.uuid(),
      correlationId: random.hex(32),
      priority: random.weighted(priorityWeights),
      tags: tags.filter(() => random.chance(0.13)),
      doubtful: wish.doubtful ?? random.chance(0.09),
      instance: `task-service-${random.hex(5)}`,
      documents: this.#documents(taskTypes[type].documents),
      budget: random.pick([0.25, 0.5, 0.75, 1, 2]),
    };
    task.steps = [...this.#life(task), { afterMs: this.#archiveMs, event: 'task.archived', data: { reason: 'kept-long-enough' } }];
    task.summary = { title: task.documents[0].name, documents: task.documents.length };
    return task;
  }

  /** The event that takes a task off the boards before its time. */
  withdraw(task, reason, seq, time) {
    return this.event(task, { event: 'task.archived', data: { reason } }, seq, time);
  }

  /** The event of a step, as the backend writes it. `tenant.tasksCompleted` counts as events leave. */
  event(task, step, seq, time) {
    const firstTask = task.tenant.tasksCompleted === 0;
    if (step.event === 'task.completed') task.tenant.tasksCompleted += 1;
    task.summary = summaryAfter(task.summary, step, time.toISOString());
    return {
      id: this.#random.uuid(),
      event: step.event,
      version: 2,
      time: time.toISOString(),
      seq,
      tenantId: task.tenantId,
      projectId: task.projectId,
      userId: task.userId,
      taskId: task.taskId,
      type: task.type,
      priority: task.priority,
      tags: task.tags,
      source: { service: 'task-service', instance: task.instance, region: 'eu-central-1' },
      correlationId: task.correlationId,
      tenant: { plan: task.tenant.plan, firstTask, tasksCompleted: task.tenant.tasksCompleted },
      data: { ...step.data, summary: task.summary },
    };
  }

  #documents(docTypes) {
    const random = this.#random;
    const docType = random.pick(docTypes);
    const count = random.weighted({ 1: 60, 2: 27, 3: 13 });
    return Array.from({ length: Number(count) }, () => {
      const { name, mimeType } = document(docType);
      return {
        id: `doc_${random.hex(10)}`,
        name: name(random.integer(100, 3999)),
        mimeType,
        sizeBytes: random.integer(40_000, 9_000_000),
        pages: docType === 'audio' ? 1 : random.integer(1, 40),
        docType,
        language: random.pick(languages),
      };
    });
  }

  #life(task) {
    const random = this.#random;
    const steps = [
      { afterMs: 0, event: 'task.created', data: this.#created(task) },
      { afterMs: random.between(120, 500), event: 'task.queued', data: this.#queued(task) },
    ];
    if (!task.doubtful && random.chance(0.025)) {
      const data = { reason: random.pick(['duplicate', 'by-user']), cancelledBy: random.pick(['system', task.userId]) };
      steps.push({ afterMs: random.between(800, 4000), event: 'task.cancelled', data });
      return steps;
    }
    for (let attempt = 1; attempt <= maxAttempts; attempt++) {
      const waitMs = attempt === 1 && task.doubtful ? random.between(300, 2000) : random.between(1500, 8000);
      if (this.#attempt(task, attempt, waitMs, steps)) break;
    }
    return steps;
  }

  /** Appends one attempt; true when the task is over. */
  #attempt(task, attempt, waitMs, steps) {
    const random = this.#random;
    const model = random.pick(task.kind.models);
    const durationMs = Math.round(random.between(...task.kind.seconds) * 1000 * (task.doubtful ? 0.6 : 1));
    steps.push({ afterMs: waitMs, event: 'task.started', data: { model, attempt, worker: `gpu-${random.hex(4)}` } });

    const failed = !task.doubtful && random.chance(attempt === 1 ? 0.13 : 0.35);
    const endsAt = failed ? random.between(0.2, 0.9) : 1;
    let worked = 0;
    const count = random.integer(...task.kind.steps);
    for (let i = 1; i <= count; i++) {
      const part = (i - random.between(0.05, 0.55)) / count;
      if (part >= endsAt) break;
      const progress = Math.min(99, Math.max(1, Math.round(part * 100)));
      steps.push({
        afterMs: (part - worked) * durationMs,
        event: 'task.progress',
        data: {
          progress,
          stage: stages[Math.min(stages.length - 1, Math.floor(part * stages.length))],
          attempt,
          etaMs: Math.round((1 - part) * durationMs),
        },
      });
      worked = part;
    }
    const afterMs = (endsAt - worked) * durationMs;
    const worksMs = Math.round(durationMs * endsAt);
    if (!failed) {
      this.#complete(task, { model, attempt, durationMs: worksMs }, afterMs, steps);
      return true;
    }
    const error = random.pick(errors);
    const final = !error.retryable || attempt === maxAttempts;
    const data = { attempt, maxAttempts, final, error, model, durationMs: worksMs, cost: this.#cost(0.005, 0.03) };
    steps.push({ afterMs, event: 'task.failed', data });
    return final;
  }

  #complete(task, result, afterMs, steps) {
    const random = this.#random;
    const doubt = task.doubtful ? random.between(0.08, 0.3) : -random.between(0.06, 0.19);
    const confidence = this.#rounded(Math.min(1, task.kind.doubtful - doubt));
    const cost = this.#cost(0.01, random.chance(0.04) ? 1.4 : 0.24);
    cost.overBudget = cost.amount > task.budget;
    const kinds = personalData.filter(() => random.chance(0.03));
    const noted = random.chance(0.06) ? [random.pick(warnings)] : [];
    const data = {
      ...result, confidence, cost,
      tokens: { input: random.integer(800, 40_000), output: random.integer(100, 6_000) },
      pii: { detected: kinds.length > 0, kinds },
      documents: task.documents.map(({ id, name, docType, pages }) => ({
        id, name, docType, pages, confidence: this.#rounded(Math.min(1, confidence + random.between(-0.03, 0.09))),
      })),
      warnings: noted,
    };
    if (task.type === 'generation') data.moderation = { flagged: random.chance(0.05), categories: [] };
    steps.push({ afterMs, event: 'task.completed', data });
    this.#review(task, data, steps);
  }

  /** The backend's own review process: asked for after completion, decided by a person later. */
  #review(task, result, steps) {
    const random = this.#random;
    const sensitive = result.pii.kinds.some((kind) => ['health-data', 'passport-number', 'iban'].includes(kind));
    const [queue, reason] =
      result.cost.overBudget ? ['finance', 'cost_over_budget']
      : sensitive ? ['compliance', 'pii']
      : result.confidence < task.kind.doubtful ? ['quality', 'low_confidence']
      : [];
    if (!queue) return;

    const id = `rev_${random.hex(8)}`;
    const slaMinutes = { critical: 30, high: 240, normal: 1440, low: 1440 }[task.priority];
    steps.push({
      afterMs: random.between(300, 900),
      event: 'review.required',
      data: { review: { id, queue, reasons: [reason], slaMinutes }, confidence: result.confidence, cost: result.cost },
    });
    const durationMs = Math.round(random.between(15_000, 60_000));
    const decision = random.weighted(decisions);
    const corrections = decision === 'approved' ? 0 : random.integer(1, 6);
    steps.push({
      afterMs: durationMs,
      event: 'review.completed',
      data: { review: { id, queue, decision, reviewerId: random.pick(task.tenant.users).id, corrections, durationMs } },
    });
  }

  #created(task) {
    const random = this.#random;
    return {
      documents: task.documents,
      budget: { maxCost: task.budget, currency: 'EUR' },
      client: {
        ip: random.pick([`10.20.4.${random.integer(2, 254)}`, `84.17.46.${random.integer(2, 254)}`, `2a02:908:1b0::${random.hex(3)}`]),
        userAgent: random.pick(userAgents),
      },
      parentTaskId: null,
    };
  }

  #queued(task) {
    const position = this.#random.integer(0, 20);
    return { queue: `${task.type}.${task.priority}`, position, estimatedWaitMs: position * this.#random.integer(400, 3000) };
  }

  #cost(low, high) {
    return { amount: this.#rounded(this.#random.between(low, high)), currency: 'EUR' };
  }

  #rounded(number) {
    return Math.round(number * 10_000) / 10_000;
  }
}

/**
 * What a task is now, in a few words. Each event has it, so that who hears only the latest one can show the whole task: a
 * page that is opened in the middle of its life.
 */
function summaryAfter(before, { event, data }, time) {
  switch (event) {
    case 'task.created':
      return { ...before, phase: 'waiting', createdAt: time };
    case 'task.started': {
      const { error, endedAt, ...rest } = before;
      return { ...rest, phase: 'running', startedAt: time, attempt: data.attempt, model: data.model };
    }
    case 'task.completed': {
      const { confidence, cost, durationMs } = data;
      return { ...before, phase: 'completed', endedAt: time, durationMs, confidence, cost };
    }
    case 'task.failed': {
      const { error, durationMs, cost } = data;
      return data.final ? { ...before, phase: 'failed', endedAt: time, durationMs, cost, error } : { ...before, phase: 'waiting', error };
    }
    case 'task.cancelled':
      return { ...before, phase: 'cancelled', endedAt: time, reason: data.reason };
    case 'review.required':
      return { ...before, review: { queue: data.review.queue } };
    case 'review.completed':
      return { ...before, review: { queue: data.review.queue, decision: data.review.decision } };
    default:
      return before;
  }
}
