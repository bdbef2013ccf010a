#include "load_storm.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { CONNECT_S = 240, SETTLE_S = 2 };

static volatile sig_atomic_t signaled;

static void note(int number)
{
    (void)number;
    signaled = 1;
}

void load_signal_init(void)
{
    struct sigaction action = {.sa_handler = note, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
}

bool load_signal_take(void)
{
    bool taken = signaled;
    signaled = 0;
    return taken;
}

void load_say(const char *state)
{
    printf("{\"state\":\"%s\"}\n", state);
    fflush(stdout);
}

struct storm {
    const struct plan *plan;
    struct load *load;
    struct producer producer;
    double started_s; /* when producing at `rate` began */
    unsigned steady;  /* produced at `rate` */
};

static void wait_ready(struct storm *storm)
{
    for (double until = now_s() + CONNECT_S;
         load_counts(storm->load)->ready < storm->plan->load.clients;) {
        load_turn(storm->load, 10);
        if (now_s() > until)
            die("not all connect");
    }
}

/* A turn with what is due by now. */
static void turn(struct storm *storm)
{
    unsigned due = (unsigned)((now_s() - storm->started_s) * storm->plan->rate);
    for (; storm->steady < due; storm->steady++)
        produce(&storm->producer);
    load_turn(storm->load, 1);
}

static int64_t end_of_lane(const struct storm *storm)
{
    int64_t low, high;
    const struct lane_name *lane = &storm->producer.lane;
    rd_kafka_flush(storm->producer.handle, 30000);
    if (rd_kafka_query_watermark_offsets(storm->producer.handle, lane->topic, lane->partition, &low,
                                         &high, 30000))
        die("the end of the lane cannot be had");
    return high;
}

static bool has_all(const struct storm *storm)
{
    const struct load_counts *counts = load_counts(storm->load);
    return counts->ready == storm->plan->load.clients &&
           counts->deliveries + counts->doubled >=
               expected_deliveries(&storm->producer, storm->plan);
}

static void kill_server(struct storm *storm)
{
    load_return(storm->load, &storm->plan->standby);
    kill(storm->plan->pid, SIGKILL);
    load_say("killed");
    while (load_counts(storm->load)->ready) /* all of them know */
        load_turn(storm->load, 1);
}

int load_storm(const struct plan *plan)
{
    struct storm storm = {.plan = plan};
    producer_init(&storm.producer, plan);
    storm.load = load_new(&plan->load);
    const struct load_counts *counts = load_counts(storm.load);
    wait_ready(&storm);
    load_say("ready");
    while (!load_signal_take())
        load_turn(storm.load, 10);
    storm.started_s = now_s();
    while (now_s() - storm.started_s < plan->before_s)
        turn(&storm);
    double killed_s = now_s();
    kill_server(&storm);
    int64_t oldest = load_oldest_cursor(storm.load);
    for (unsigned i = 0; i < plan->backlog; i++)
        produce(&storm.producer);
    while (counts->ready < plan->load.clients && now_s() - killed_s < CONNECT_S)
        turn(&storm);
    double connected_s = now_s() - killed_s;
    while (!has_all(&storm) && now_s() - killed_s < CONNECT_S)
        load_turn(storm.load, 1);
    double recovered_s = now_s() - killed_s;
    load_say("recovered");
    for (double until = now_s() + SETTLE_S; now_s() < until;) /* for what should not come */
        load_turn(storm.load, 10);
    printf(
        "{\"clients\":%u,\"connected_s\":%.2f,\"recovered_s\":%.2f,\"recovered\":%llu,\"fresh\":%"
        "llu,\"closed\":%llu,\"deliveries\":%llu,\"expected\":%llu,\"lost\":%llu,\"doubled\":%llu"
        ",\"wrong_room\":%llu,\"oldest\":%lld,\"end\":%lld,\"produced\":%u}\n",
        plan->load.clients, connected_s, recovered_s, (unsigned long long)counts->recovered,
        (unsigned long long)counts->fresh, (unsigned long long)counts->closed,
        (unsigned long long)counts->deliveries,
        (unsigned long long)expected_deliveries(&storm.producer, plan),
        (unsigned long long)counts->lost, (unsigned long long)counts->doubled,
        (unsigned long long)counts->wrong_room, (long long)oldest, (long long)end_of_lane(&storm),
        storm.producer.produced);
    load_free(storm.load);
    producer_deinit(&storm.producer);
    return EXIT_SUCCESS;
}
