// Records as the CloudEvents SDK for JavaScript makes them, one a line, with what the SDK itself reads back:
//   npm install cloudevents@10.0.0 && node cloudevents.mjs >> ../../data/events/vectors.jsonl
// Times and ids are fixed, so that two runs give the same lines.
import { CloudEvent, Kafka } from "cloudevents";

const payloads = [
  ["an object", { confidence: 0.75, pages: [1, 2, 3], nested: { "a.b": null, ok: true } }],
  ["an array", [1, "two", { three: 3 }]],
  ["a number", 42.5],
  ["a boolean", false],
  ["text beyond ASCII", { text: "é \u{1F600} \u2028 \\ \" \n \u0001" }],
  ["an empty object", {}],
  ["an empty array", []],
  ["none", undefined],
  ["plain text", "said simply", "text/plain"],
  ["text of another kind", "<a>é</a>", "text/xml"],
  ["XML", "<a/>", "application/xml"],
  ["octets", new Uint8Array([0, 1, 2, 253, 254, 255]), "application/octet-stream"],
  ["one octet", new Uint8Array([255]), "image/png"],
  ["octets that are text", new Uint8Array([104, 105]), "application/octet-stream"],
  ["JSON of a type of its own", { n: 1 }, "application/vnd.task+json"],
  ["JSON with a character set", { n: 1 }, "application/json; charset=utf-8"],
];
const attributes = [
  {},
  { subject: "task-42" },
  { subject: "document 7", taskid: "42", tenantid: "acme", projectid: "p1", userid: "u-1", tasktype: "ocr" },
  { tenantid: "ac\"me\\é\u{1F600}", priority: "high", traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" },
  { dataschema: "https://example.com/schema#1", sequence: "0007", status: "done" },
];
const names = { type: "event", tasktype: "type", taskid: "taskId", tenantid: "tenantId", projectid: "projectId", userid: "userId" };

function expected(event, contentType) {
  const members = {};
  for (const [name, value] of Object.entries(event.toJSON())) {
    if (value === undefined || ["data", "data_base64", "datacontenttype"].includes(name)) continue;
    members[name === "subject" && event.taskid === undefined ? "taskId" : (names[name] ?? name)] = value;
  }
  const json = contentType === undefined || /json/.test(contentType);
  const text = /^text\/|xml/.test(contentType ?? "");
  if (event.data_base64 !== undefined && !json && !text) members.data = { base64: event.data_base64 };
  else if (event.data !== undefined) members.data = event.data;
  return members;
}

function bytes(value) {
  if (value === undefined || value === null) return null;
  if (value instanceof Uint8Array) return Buffer.from(value);
  return Buffer.from(typeof value === "string" ? value : JSON.stringify(value));
}

let number = 0;
for (const [what, data, datacontenttype] of payloads) {
  for (const more of attributes) {
    for (const mode of ["structured", "binary"]) {
      const event = new CloudEvent({
        id: `e-${number++}`, source: "/services/ocr", type: "task.completed", time: "2026-03-02T08:01:56.419Z",
        ...(datacontenttype && { datacontenttype }), ...(data !== undefined && { data }), ...more,
      });
      const message = Kafka[mode](event);
      const headers = Object.entries(message.headers).filter(([, value]) => value !== undefined);
      // The SDK does not read a record without a value, nor one of false, though it writes them.
      const read = !message.value ? event : Kafka.toEvent({ ...message, headers: Object.fromEntries(headers) });
      const value = bytes(message.value);
      console.log(JSON.stringify({
        from: `cloudevents-js ${mode}: ${what}`, headers, value: value === null ? null : value.toString("base64"),
        expect: expected(read, datacontenttype),
      }));
    }
  }
}
