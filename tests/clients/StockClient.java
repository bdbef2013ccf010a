import io.socket.client.IO;
import io.socket.client.Manager;
import io.socket.client.Socket;
import io.socket.engineio.client.transports.Polling;
import io.socket.engineio.client.transports.WebSocket;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.util.Arrays;
import java.util.Collections;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.json.JSONArray;
import org.json.JSONObject;

/**
 * io.socket:socket.io-client against the echo server: what lib/steps.mjs lists, by one transport.
 *
 * <p>StockClient SUITES_URL CLIENT_SUITE_URL TRANSPORT[,TRANSPORT]; see stock_client.py for what it prints and reads.
 */
public final class StockClient {
    private static final int LIMIT_S = 30;
    private static final String[] EVENTS = {
        Socket.EVENT_CONNECT, Socket.EVENT_DISCONNECT, Socket.EVENT_CONNECT_ERROR, "auth", "message-back", "got it"
    };

    /** What happened, in order: the event's name, then its arguments. */
    private final BlockingQueue<Object[]> inbox = new LinkedBlockingQueue<>();
    private final Socket socket;
    private volatile String transport;

    private StockClient(String url, String[] transports, Map<String, String> auth) {
        IO.Options options = new IO.Options();
        options.forceNew = true;
        options.transports = transports;
        options.auth = auth;
        options.reconnectionDelay = 100;
        options.reconnectionDelayMax = 500;
        socket = IO.socket(URI.create(url), options);
        watch(socket, inbox);
        socket.io().on(Manager.EVENT_OPEN, ignored -> followTransport());
        socket.connect();
    }

    private static void watch(Socket socket, BlockingQueue<Object[]> inbox) {
        for (String event : EVENTS) {
            socket.on(event, arguments -> {
                Object[] entry = new Object[arguments.length + 1];
                entry[0] = event;
                System.arraycopy(arguments, 0, entry, 1, arguments.length);
                inbox.add(entry);
            });
        }
    }

    /** The client keeps its engine, which alone knows the transport, to itself. */
    private void followTransport() {
        try {
            java.lang.reflect.Field field = Manager.class.getDeclaredField("engine");
            field.setAccessible(true);
            io.socket.engineio.client.Socket engine = (io.socket.engineio.client.Socket) field.get(socket.io());
            java.lang.reflect.Field present = io.socket.engineio.client.Socket.class.getDeclaredField("transport");
            present.setAccessible(true);
            transport = ((io.socket.engineio.client.Transport) present.get(engine)).name;
            engine.on(io.socket.engineio.client.Socket.EVENT_UPGRADE,
                    arguments -> transport = ((io.socket.engineio.client.Transport) arguments[0]).name);
        } catch (ReflectiveOperationException error) {
            throw new IllegalStateException(error);
        }
    }

    /** The arguments of the next such event; others are passed over. */
    private static Object[] next(BlockingQueue<Object[]> inbox, String event) throws InterruptedException {
        for (;;) {
            Object[] entry = inbox.poll(LIMIT_S, TimeUnit.SECONDS);
            if (entry == null) {
                throw new AssertionError("no " + event);
            }
            if (entry[0].equals(event)) {
                return Arrays.copyOfRange(entry, 1, entry.length);
            }
        }
    }

    private Object[] next(String event) throws InterruptedException {
        return next(inbox, event);
    }

    private static Object[] call(Socket socket, String event, Object... arguments) throws InterruptedException {
        BlockingQueue<Object[]> answers = new LinkedBlockingQueue<>();
        io.socket.client.Ack ack = answers::add;
        socket.emit(event, arguments, ack);
        Object[] answer = answers.poll(LIMIT_S, TimeUnit.SECONDS);
        if (answer == null) {
            throw new AssertionError("no ack of " + event);
        }
        return answer;
    }

    private static byte[] everyByte() {
        byte[] bytes = new byte[256];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) i;
        }
        return bytes;
    }

    private static byte[] separators() {
        byte[] bytes = new byte[1500];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = new byte[] {0, 0x1e, 4}[i % 3];
        }
        return bytes;
    }

    private static boolean same(Object actual, Object expected) {
        if (expected instanceof byte[]) {
            return actual instanceof byte[] && Arrays.equals((byte[]) actual, (byte[]) expected);
        }
        return String.valueOf(actual).equals(String.valueOf(expected));
    }

    private static void equal(Object[] actual, Object... expected) {
        boolean equal = actual.length == expected.length;
        for (int i = 0; equal && i < actual.length; i++) {
            equal = same(actual[i], expected[i]);
        }
        if (!equal) {
            throw new AssertionError(Arrays.deepToString(actual) + " is not " + Arrays.deepToString(expected));
        }
    }

    private static void done(String step) {
        System.out.println("ok " + step);
        System.out.flush();
    }

    private void exchange(boolean upgrades, String first) throws Exception {
        equal(next("auth"), new JSONObject().put("token", "für \"/\""));
        done("connect");
        for (int i = 0; upgrades && !"websocket".equals(transport) && i < LIMIT_S * 100; i++) {
            Thread.sleep(10);
        }
        equal(new Object[] {transport}, upgrades ? "websocket" : first);
        done("transport");
        JSONObject object = new JSONObject("{\"3\":[true,null,1.5,{\"deep\":[\"er\"]}]}");
        socket.emit("message", 1, "twö\u2028\uD83D\uDE00", object);
        equal(next("message-back"), 1, "twö\u2028\uD83D\uDE00", object);
        done("text");
        JSONObject inside = new JSONObject().put("inside", separators());
        socket.emit("message", everyByte(), inside);
        Object[] back = next("message-back");
        equal(new Object[] {back.length, back[0], ((JSONObject) back[1]).get("inside")}, 2, everyByte(), separators());
        done("binary");
        equal(call(socket, "message-with-ack", 1, "2", new JSONArray("[false]")), 1, "2", new JSONArray("[false]"));
        done("ack");
        equal(call(socket, "message-with-ack", everyByte(), separators()), everyByte(), separators());
        done("binary ack");
        for (int i = 0; i < 100; i++) {
            socket.emit("message", i, separators());
        }
        for (int i = 0; i < 100; i++) {
            equal(next("message-back"), i, separators());
        }
        done("hundred");
    }

    private void stay() throws Exception {
        Thread.sleep(1500);
        equal(call(socket, "message-with-ack", "still here"), "still here");
        done("heartbeat");
    }

    private void otherNamespace() throws Exception {
        BlockingQueue<Object[]> events = new LinkedBlockingQueue<>();
        Socket custom = socket.io().socket("/custom");
        watch(custom, events);
        custom.connect();
        next(events, "auth");
        custom.emit("message", "custom", everyByte());
        equal(next(events, "message-back"), "custom", everyByte());
        equal(call(custom, "message-with-ack", "one"), "one");
        custom.disconnect();
        equal(call(socket, "message-with-ack", "the main one is untouched"), "the main one is untouched");
        done("namespace");
    }

    private static void refused(String url, String message) throws Exception {
        StockClient client = new StockClient(url, new String[] {Polling.NAME}, null);
        JSONObject reason = (JSONObject) client.next(Socket.EVENT_CONNECT_ERROR)[0];
        equal(new Object[] {reason.getString("message")}, message);
        client.socket.disconnect();
    }

    private static void askedForAck(String url, String[] transports) throws Exception {
        StockClient client = new StockClient(url, transports, null);
        client.socket.on("ack", arguments -> ((io.socket.client.Ack) arguments[arguments.length - 1])
                .call(5, object("test", true)));
        client.socket.emit("ack");
        client.next("got it");
        client.socket.disconnect();
        done("ack asked");
    }

    private static JSONObject object(String key, Object value) {
        try {
            return new JSONObject().put(key, value);
        } catch (org.json.JSONException error) {
            throw new IllegalStateException(error);
        }
    }

    private void comeBack(BufferedReader input) throws Exception {
        System.out.println("restart");
        System.out.flush();
        next(Socket.EVENT_DISCONNECT);
        if (input.readLine() == null) {
            throw new AssertionError("no word of the restart");
        }
        next(Socket.EVENT_CONNECT);
        next("auth");
        socket.emit("message", "again", everyByte());
        equal(next("message-back"), "again", everyByte());
        done("reconnect");
    }

    public static void main(String[] arguments) {
        try (BufferedReader input = new BufferedReader(new InputStreamReader(System.in))) {
            String[] transports = arguments[2].split(",");
            boolean upgrades = Arrays.asList(transports).contains(WebSocket.NAME);
            StockClient client =
                    new StockClient(arguments[0], transports, Collections.singletonMap("token", "für \"/\""));
            client.exchange(upgrades, transports[0]);
            client.stay();
            client.otherNamespace();
            refused(arguments[0] + "/random", "Invalid namespace");
            refused(arguments[1] + "/no", "Auth failed (custom namespace)");
            done("refused");
            askedForAck(arguments[1], transports);
            client.comeBack(input);
            client.socket.disconnect();
            System.exit(0);
        } catch (Throwable error) { // threads of the client must not keep the program alive
            error.printStackTrace();
            System.exit(1);
        }
    }
}
