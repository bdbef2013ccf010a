// What a record of the topic of decisions says. Pure.

/** Null: the record is no decision. Else the consumer would read it again and again. */
export function decisionOf({ key, value }) {
  try {
    const said = JSON.parse(value);
    return key && typeof said?.decision === 'string' ? { ...said, taskId: String(key) } : null;
  } catch {
    return null;
  }
}
