// Prints hashes and partitions as Kafka's Java client computes them, one line per key:
// key in hexadecimal ("-": empty), murmur2, partitions of 1, 3, 8, 32 and 1000.
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;
import org.apache.kafka.common.utils.Utils;

public class Murmur2Vectors {
    public static void main(String[] arguments) {
        List<byte[]> keys = new ArrayList<>();
        keys.add(new byte[0]);
        Random random = new Random(20260302);
        for (int size = 1; size <= 70; size++) {
            byte[] ascii = new byte[size];
            for (int i = 0; i < size; i++)
                ascii[i] = (byte) ('a' + (i % 26));
            keys.add(ascii);
            byte[] any = new byte[size];
            random.nextBytes(any);
            keys.add(any);
            byte[] high = new byte[size];
            java.util.Arrays.fill(high, (byte) 0xff);
            keys.add(high);
        }
        for (String text : new String[] {"acme", "nordbank", "usr_4b72fa52", "task:42", "tenant:acme", "größe", "東京", "😀", "a\0b",
                "bcf3fa55-e7e7-41ee-88a2-640d8bd5e68e"})
            keys.add(text.getBytes(StandardCharsets.UTF_8));
        System.out.println("# Made by tests/tools/murmur2/generate from kafka-clients " + arguments[0] + ". Do not edit.");
        for (byte[] key : keys) {
            StringBuilder line = new StringBuilder(key.length == 0 ? "-" : HexFormat.of().formatHex(key));
            line.append(String.format(" %08x", Utils.murmur2(key)));
            for (int partitions : new int[] {1, 3, 8, 32, 1000})
                line.append(' ').append(BuiltInPartitioner.partitionForKey(key, partitions));
            System.out.println(line);
        }
    }
}
