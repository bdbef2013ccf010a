import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import software.amazon.event.ruler.Machine;

/* event-ruler on the files of rules_bench:
 *     RulesBench RULES EVENTS WARM-UP-SECONDS SECONDS
 * prints the events judged per CPU-second of the judging thread (the virtual machine's compiler and collector threads
 * are not counted) and the matches of one pass over the events. The events are Java strings beforehand. */
public class RulesBench {
    private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

    private static long pass(Machine machine, List<String> events) throws Exception {
        long matches = 0;
        for (String event : events)
            matches += machine.rulesForJSONEvent(event).size();
        return matches;
    }

    public static void main(String[] arguments) throws Exception {
        List<String> rules = Files.readAllLines(Path.of(arguments[0]));
        List<String> events = Files.readAllLines(Path.of(arguments[1]));
        Machine machine = Machine.builder().build();
        for (int i = 0; i < rules.size(); i++)
            machine.addRule("rule-" + i, rules.get(i));
        long matches = pass(machine, events);
        double warm = Double.parseDouble(arguments[2]) * 1e9, seconds = Double.parseDouble(arguments[3]) * 1e9;
        for (long start = THREADS.getCurrentThreadCpuTime(); THREADS.getCurrentThreadCpuTime() - start < warm;)
            if (pass(machine, events) != matches)
                throw new IllegalStateException("matches differ from pass to pass");
        long judged = 0, start = THREADS.getCurrentThreadCpuTime(), now = start;
        while (now - start < seconds) {
            pass(machine, events);
            judged += events.size();
            now = THREADS.getCurrentThreadCpuTime();
        }
        System.out.printf("%.0f %d%n", judged * 1e9 / (now - start), matches);
    }
}
