// Records as the CloudEvents SDK for Java makes them, one a line, with what the SDK itself reads back:
//   mvn -q -B -Dstyle.color=never compile exec:java >> ../../../data/events/vectors.jsonl
// Times and ids are fixed, so that two runs give the same lines.
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.cloudevents.CloudEvent;
import io.cloudevents.core.builder.CloudEventBuilder;
import io.cloudevents.core.provider.EventFormatProvider;
import io.cloudevents.jackson.JsonFormat;
import io.cloudevents.kafka.KafkaMessageFactory;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.OffsetDateTime;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.UnaryOperator;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;

public class CloudEvents {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Map<String, String> NAMES = Map.of("type", "event", "tasktype", "type", "taskid", "taskId", "tenantid", "tenantId",
        "projectid", "projectId", "userid", "userId");

    private record Payload(String what, String contentType, byte[] data) {}

    private static Payload text(String what, String contentType, String data) {
        return new Payload(what, contentType, data.getBytes(StandardCharsets.UTF_8));
    }

    private static final List<Payload> PAYLOADS = List.of(
        text("an object", "application/json", "{\"confidence\":0.75,\"pages\":[1,2,3],\"nested\":{\"a.b\":null,\"ok\":true}}"),
        text("an array", "application/json", "[1,\"two\",{\"three\":3}]"),
        text("a text as JSON", "application/json", "\"said\""),
        text("text beyond ASCII", "application/json", "{\"text\":\"é \uD83D\uDE00 \\\\ \\\" \\n\"}"),
        text("JSON with a character set", "application/json; charset=utf-8", "{\"n\":1}"),
        text("JSON of a type of its own", "application/vnd.task+json", "{\"n\":1}"),
        text("no content type", null, "{\"n\":1}"),
        text("plain text", "text/plain", "said simply: é"),
        text("text of another kind", "text/csv", "a,b\n1,2"),
        text("XML", "application/xml", "<a/>"),
        new Payload("octets", "application/octet-stream", new byte[] {0, 1, 2, (byte) 253, (byte) 254, (byte) 255}),
        new Payload("an image", "image/png", new byte[] {(byte) 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'}),
        new Payload("nothing", null, null));

    /* Each extension type of the SDK is among them. */
    private static final List<UnaryOperator<CloudEventBuilder>> ATTRIBUTES = List.of(
        event -> event,
        event -> event.withSubject("task-42").withTime(OffsetDateTime.parse("2026-03-02T08:01:56.419Z")),
        event -> event.withSubject("document 7").withExtension("taskid", "42").withExtension("tenantid", "acme").withExtension("projectid", "p1")
            .withExtension("userid", "u-1").withExtension("tasktype", "ocr"),
        event -> event.withTime(OffsetDateTime.parse("2026-03-02T10:01:56.123456789+02:00")).withExtension("tenantid", "ac\"me\\é%\uD83D\uDE00")
            .withExtension("attempt", 7).withExtension("urgent", true).withExtension("link", URI.create("/a?b=c#d"))
            .withExtension("blob", new byte[] {1, 2, (byte) 255}).withDataSchema(URI.create("https://example.com/schema#1")));

    private static JsonNode dataOf(byte[] data, String contentType) throws Exception {
        String type = contentType == null ? "application/json" : contentType;
        if (type.contains("json"))
            return JSON.readTree(data);
        if (type.startsWith("text/") || type.contains("xml"))
            return JSON.getNodeFactory().textNode(new String(data, StandardCharsets.UTF_8));
        return JSON.createObjectNode().put("base64", Base64.getEncoder().encodeToString(data));
    }

    private static ObjectNode expected(CloudEvent event) throws Exception {
        TreeMap<String, Object> attributes = new TreeMap<>();
        for (String name : new TreeSet<>(event.getAttributeNames()))
            attributes.put(name, event.getAttribute(name));
        for (String name : new TreeSet<>(event.getExtensionNames()))
            attributes.put(name, event.getExtension(name));
        ObjectNode members = JSON.createObjectNode();
        for (Map.Entry<String, Object> entry : attributes.entrySet()) {
            String name = entry.getKey();
            Object value = entry.getValue();
            if (value == null || name.equals("datacontenttype") || name.equals("time")) // the time is told below
                continue;
            String own = name.equals("subject") && !attributes.containsKey("taskid") ? "taskId" : NAMES.getOrDefault(name, name);
            if (value instanceof Number || value instanceof Boolean)
                members.set(own, JSON.valueToTree(value));
            else
                members.put(own, value.toString());
        }
        if (event.getData() != null)
            members.set("data", dataOf(event.getData().toBytes(), event.getDataContentType()));
        return members;
    }

    private static void line(String from, ProducerRecord<Void, byte[]> record) throws Exception {
        ObjectNode line = JSON.createObjectNode().put("from", from);
        ArrayNode headers = line.putArray("headers");
        for (Header header : record.headers())
            headers.addArray().add(header.key()).add(new String(header.value(), StandardCharsets.UTF_8));
        if (record.value() == null)
            line.putNull("value");
        else
            line.put("value", Base64.getEncoder().encodeToString(record.value()));
        CloudEvent read = KafkaMessageFactory.createReader(record.headers(), record.value()).toEvent();
        ObjectNode expect = expected(read);
        if (read.getTime() != null) // as the SDK spells it
            expect.put("time", io.cloudevents.types.Time.writeTime(read.getTime()));
        line.set("expect", expect);
        System.out.println(JSON.writeValueAsString(line));
    }

    public static void main(String[] arguments) throws Exception {
        int number = 0;
        for (Payload payload : PAYLOADS)
            for (UnaryOperator<CloudEventBuilder> more : ATTRIBUTES) {
                CloudEventBuilder builder = CloudEventBuilder.v1().withId("j-" + number++).withSource(URI.create("/services/ocr")).withType("task.completed");
                if (payload.data != null && payload.contentType != null)
                    builder = builder.withData(payload.contentType, payload.data);
                else if (payload.data != null)
                    builder = builder.withData(payload.data);
                CloudEvent event = more.apply(builder).build();
                ProducerRecord<Void, byte[]> structured = KafkaMessageFactory.createWriter("tasks.events")
                    .writeStructured(event, EventFormatProvider.getInstance().resolveFormat(JsonFormat.CONTENT_TYPE));
                line("cloudevents-java structured: " + payload.what, structured);
                line("cloudevents-java binary: " + payload.what, KafkaMessageFactory.createWriter("tasks.events").writeBinary(event));
            }
    }
}
