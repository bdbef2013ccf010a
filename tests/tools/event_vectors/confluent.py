"""Records as the CloudEvents SDK for Python and Confluent's serialisers make them, one a line, with what
these read back:
  pip install cloudevents==2.2.0 'confluent-kafka[json,protobuf,schemaregistry]==2.16.1'
  pip install grpcio-tools && python -m grpc_tools.protoc --python_out=. -I ../../../proto task_event.proto
  python confluent.py >> ../../data/events/vectors.jsonl
Times and ids are fixed, so that two runs give the same lines."""

import base64
import datetime
import json

from cloudevents.core.bindings import kafka
from cloudevents.core.v1.event import CloudEvent
from cloudevents.v1.http import CloudEvent as OldEvent
from cloudevents.v1.kafka import to_binary as old_binary, to_structured as old_structured
from confluent_kafka.schema_registry import SchemaRegistryClient, header_schema_id_serializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

import task_event_pb2

NAMES = {"type": "event", "tasktype": "type", "taskid": "taskId", "tenantid": "tenantId",
         "projectid": "projectId", "userid": "userId"}
PAYLOADS = [
    ("an object", {"confidence": 0.75, "pages": [1, 2, 3], "nested": {"a": None, "ok": True}}, None),
    ("an array", [1, "two", {"three": 3}], "application/json"),
    ("text beyond ASCII", {"text": "é \U0001F600 \u2028 \\ \" \n"}, "application/json"),
    ("plain text", "said simply", "text/plain"),
    ("octets", b"\x00\x01\xfe\xff", "application/octet-stream"),
    ("an image", b"\x89PNG\r\n\x1a\n", "image/png"),
    ("nothing", None, None),
]
ATTRIBUTES = [
    {},
    {"subject": "task-42"},
    {"subject": "document 7", "taskid": "42", "tenantid": "acme", "projectid": "p1", "userid": "u-1"},
    {"tenantid": "ac\"me\\é", "tasktype": "ocr", "priority": "high"},
]


def line(source, headers, value, expect):
    text = [[name, header.decode() if isinstance(header, bytes) else header] for name, header in headers]
    encoded = None if value is None else base64.b64encode(value).decode()
    print(json.dumps({"from": source, "headers": text, "value": encoded, "expect": expect}, ensure_ascii=False))


def expected(attributes, data, content_type):
    members = {}
    for name, value in attributes.items():
        if value is None or name == "datacontenttype":
            continue
        own = "taskId" if name == "subject" and "taskid" not in attributes else NAMES.get(name, name)
        members[own] = value
    if isinstance(data, bytes) and not (content_type or "").startswith("text/"):
        members["data"] = {"base64": base64.b64encode(data).decode()}
    elif data is not None:
        members["data"] = data
    return members


def headers_of(message):
    return [(name, value) for name, value in message.headers.items()]


def cloud_events():
    number = 0
    when = datetime.datetime(2026, 3, 2, 8, 1, 56, tzinfo=datetime.timezone.utc)
    for what, data, content_type in PAYLOADS:
        for more in ATTRIBUTES:
            number += 1
            required = {"id": f"p-{number}", "source": "/services/ocr", "type": "task.completed",
                        "specversion": "1.0"}
            kind = {} if content_type is None else {"datacontenttype": content_type}
            for mode, write, read in [("structured", kafka.to_structured_event, kafka.from_structured_event),
                                      ("binary", kafka.to_binary_event, kafka.from_binary_event)]:
                if mode == "binary" and isinstance(data, list):
                    continue  # the SDK writes how Python spells the list, which is no JSON
                event = CloudEvent({**required, **kind, **more, "time": when}, data)
                message = write(event)
                back = read(message)
                attributes = {**back.get_attributes()}
                attributes["time"] = None  # spelled by the SDK: not compared
                given = back.get_data()
                line(f"cloudevents-python {mode}: {what}", headers_of(message), message.value,
                     expected(attributes, given, content_type))
            if data is None:
                continue
            for mode, write in [("structured", old_structured), ("binary", old_binary)]:
                old_kind = kind or {"datacontenttype": "application/json"}  # it reads the key in any case
                event = OldEvent({**required, **old_kind, **more, "time": "2026-03-02T08:01:56+00:00"}, data)
                message = write(event, data_marshaller=None if not isinstance(data, (bytes, str)) or
                                mode == "structured" else lambda plain: plain)
                line(f"cloudevents-python before 2, {mode}: {what}", headers_of(message), message.value,
                     expected({**required, **more}, data, content_type))


def serialised(serializer, source, event, expect):
    headers = []
    context = SerializationContext("tasks.events", MessageField.VALUE, headers)
    value = serializer(event, context)
    text = [(name, header.decode("latin-1") if isinstance(header, bytes) else header) for name, header in headers]
    line(source, text, value, expect)


def events():
    for number in range(12):
        event = {"id": f"c-{number}", "event": "task.progress", "source": "svc", "tenantId": "acme",
                 "taskId": str(number * 7), "type": "ocr"}
        if number % 2:
            event["progress"] = number * 8.5
        if number % 3 == 0:
            event["data"] = {"n": number, "text": "é\U0001F600"}
        if number % 4 == 1:
            event["tags"] = ["a", "b"]
        yield event


def confluent():
    registry = SchemaRegistryClient.new_client({"url": "mock://"})
    schema = json.dumps({"$schema": "http://json-schema.org/draft-07/schema#", "title": "Event", "type": "object"})
    by_header = {"schema.id.serializer": header_schema_id_serializer}
    for source, conf in [("prefix", {}), ("header", by_header)]:
        as_json = JSONSerializer(schema, registry, conf=conf)
        as_protobuf = ProtobufSerializer(task_event_pb2.TaskEvent, registry, conf={"use.deprecated.format": False, **conf})
        for event in events():
            serialised(as_json, f"confluent json, {source}", event, event)
            message = task_event_pb2.TaskEvent(
                id=event["id"], event=event["event"], source=event["source"], tenant_id=event["tenantId"],
                task_id=event["taskId"], type=event["type"], tags=event.get("tags", []),
                data=json.dumps(event["data"]).encode() if "data" in event else b"")
            if "progress" in event:
                message.progress = event["progress"]
            serialised(as_protobuf, f"confluent protobuf, {source}", message, event)


cloud_events()
confluent()
