import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import software.amazon.event.ruler.Machine;

/* The dispatcher's work on Kafka Streams, exactly_once_v2:
 *     StreamsDispatcher BROKERS INPUT OUTPUT RULES STATE-DIRECTORY [COMMIT-INTERVAL-MS]
 * One thread. An event is parsed once (Jackson), judged by event-ruler on the parsed tree, and if a rule matches, one
 * notification in JSON goes out under the tenant as key: rooms of all matching rules, their names, the event's fields, its
 * data. It does not remember events, keeps no audit and handles no bad input. Prints "ready" when it has its partitions. */
public class StreamsDispatcher {
    private record Rule(String name, List<String[]> rooms) {}

    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final JsonFactory JSON = MAPPER.getFactory();
    private static final String[] COPIED = {"event", "taskId", "type", "priority", "projectId", "userId", "tenantId"};

    private final Machine machine = Machine.builder().build();
    private final Map<String, Integer> places = new HashMap<>();
    private final List<Rule> rules = new ArrayList<>();

    private StreamsDispatcher(Path file) throws Exception {
        for (String line : Files.readAllLines(file)) {
            JsonNode rule = MAPPER.readTree(line);
            List<String[]> rooms = new ArrayList<>();
            for (JsonNode room : rule.get("rooms")) // "kind:{field}"
                rooms.add(room.asText().replace("}", "").split("\\{"));
            places.put(rule.get("name").asText(), rules.size());
            rules.add(new Rule(rule.get("name").asText(), rooms));
            machine.addRule(rule.get("name").asText(), rule.get("when").toString());
        }
    }

    private byte[] notification(JsonNode event, Set<Integer> matched) throws Exception {
        Set<String> rooms = new LinkedHashSet<>();
        for (int place : matched)
            for (String[] room : rules.get(place).rooms())
                rooms.add(room[0] + event.get(room[1]).asText());
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(512);
        try (JsonGenerator json = JSON.createGenerator(bytes)) {
            json.writeStartObject();
            json.writeStringField("id", event.get("id").asText() + ":task.status");
            json.writeStringField("eventId", event.get("id").asText());
            json.writeArrayFieldStart("rooms");
            for (String room : rooms)
                json.writeString(room);
            json.writeEndArray();
            json.writeArrayFieldStart("rules");
            for (int place : matched)
                json.writeString(rules.get(place).name());
            json.writeEndArray();
            json.writeObjectFieldStart("taskStatus");
            for (String field : COPIED)
                json.writeStringField(field, event.get(field).asText());
            json.writeFieldName("data");
            MAPPER.writeTree(json, event.get("data"));
            json.writeEndObject();
            json.writeEndObject();
        }
        return bytes.toByteArray();
    }

    private Iterable<KeyValue<String, byte[]>> dispatch(byte[] value) {
        try {
            JsonNode event = MAPPER.readTree(value);
            List<String> names = machine.rulesForJSONEvent(event);
            if (names.isEmpty())
                return List.of();
            Set<Integer> matched = new TreeSet<>();
            for (String name : names)
                matched.add(places.get(name));
            return List.of(KeyValue.pair(event.get("tenantId").asText(), notification(event, matched)));
        } catch (Exception exception) {
            throw new IllegalStateException(exception);
        }
    }

    public static void main(String[] arguments) throws Exception {
        StreamsDispatcher dispatcher = new StreamsDispatcher(Path.of(arguments[3]));
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(arguments[1], Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()))
            .flatMap((key, value) -> dispatcher.dispatch(value))
            .to(arguments[2], Produced.with(Serdes.String(), Serdes.ByteArray()));
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, "streams-" + arguments[1]);
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments[4]);
        settings.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
        if (arguments.length > 5)
            settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, arguments[5]);
        KafkaStreams streams = new KafkaStreams(builder.build(), settings);
        streams.setStateListener((state, before) -> {
            if (state == KafkaStreams.State.RUNNING)
                System.out.println("ready");
        });
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }
}
