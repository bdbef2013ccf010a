/* Runs the gateway's core through random worlds: gateway_sim [--seed N] [--seeds COUNT] [--steps N]
 * [--trace CLIENT] [--layouts] A failure names its seed and step; the same seed replays it.
 *
 * With --layouts, worlds of every way in which lanes may be shared by tenants, whose users, tasks and
 * queues have the same names: that nobody is given what is another tenant's is then looked for where
 * it is likeliest. Without, of the first few, which differ in what else they are like. */
#include "sim_world.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    STEP_MS = 50,
    CALM_STEPS = 1000,       /* at rest for so long: nothing more happens by itself */
    REST_STEPS_MOST = 50000, /* who is behind with small queues reads a lane back many times */
};

void sim_fail(const struct sim_world *world, const char *format, ...)
{
    va_list list;
    printf("seed=%llu step=%u: ", (unsigned long long)world->seed, world->step);
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    printf("\n");
    fflush(stdout);
    abort();
}

void sim_trace(const struct sim_client *client, const char *format, ...)
{
    va_list list;
    if (client->world->trace != (int)client->number)
        return;
    printf("%u: ", client->world->step);
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    printf("\n");
}

static const char access_by_tenant[] =
    "connect: [\"user:{sub}\", \"tenant:all\", \"review:{reviewQueues}\"]\n"
    "join: [\"task:*\"]\n";

/* All kinds alike. */
#define ALL_IN(where) "tenant: " where "\nuser: " where "\ntask: " where "\nreview: " where "\n"

enum { PLANS_OF_ALL = 4 };

static const struct sim_plan plans[] = {
    {.layout = "tenant",
     .rooms = "tenant: {partitions: 2}\n"
              "task: {topic: fanout.task, key: \"{room}\", partitions: 2}\n"
              "project: null\n",
     .access = access_by_tenant,
     .has_tenant_rooms = true},
    {.layout = "tenant",
     .rooms = "tenant: {partitions: 1}\n",
     .access = access_by_tenant,
     .has_tenant_rooms = true},
    {.layout = "user",
     .rooms = "user: {partitions: 2}\n",
     .access = "connect: [\"user:{sub}\", \"review:{reviewQueues}\"]\njoin: [\"task:*\"]\n",
     .by_user = true},
    {.layout = "tenant",
     .rooms = "tenant: {partitions: 2}\n",
     .large_tenants = "t0: {topic: fanout.t0, partitions: 2, key: \"{room}\"}\n",
     .access = access_by_tenant,
     .has_tenant_rooms = true},
    /* From here on for --layouts alone. */
    {.layout = "none",
     .rooms = ALL_IN("{topic: fanout.all, key: \"{room}\", partitions: 1}"),
     .access = access_by_tenant,
     .has_tenant_rooms = true},
    {.layout = "none",
     .rooms = ALL_IN("{topic: fanout.all, key: \"{kind}\", partitions: 1}"),
     .access = access_by_tenant,
     .has_tenant_rooms = true},
    {.layout = "none",
     .rooms = ALL_IN("{topic: fanout.all, key: \"{key}\", partitions: 1}"),
     .access = access_by_tenant,
     .has_tenant_rooms = true},
    {.layout = "none",
     .rooms = ALL_IN("{topic: fanout.all, key: all, partitions: 1}"),
     .access = access_by_tenant,
     .has_tenant_rooms = true},
    {.layout = "none",
     .rooms = ALL_IN("{topic: fanout.all, key: \"{tenant}\", partitions: 1}"),
     .access = access_by_tenant,
     .has_tenant_rooms = true},
    {.layout = "none",
     .rooms = ALL_IN("{topic: \"fanout.{tenant}\", key: \"{room}\", partitions: 1}"),
     .allow = "tenant: [t0, t1, x]\n",
     .access = access_by_tenant,
     .has_tenant_rooms = true},
    {.layout = "user",
     .rooms = "user: {partitions: 1}\n",
     .access = "connect: [\"user:{sub}\", \"review:{reviewQueues}\"]\njoin: [\"task:*\"]\n",
     .by_user = true},
    {.layout = "tenant",
     .rooms = "tenant: {partitions: 2}\n",
     .large_tenants = "t0: {topic: fanout.t0, partitions: 1, key: \"{room}\"}\n"
                      "t1: {topic: fanout.t1, partitions: 1, key: \"{room}\"}\n",
     .access = access_by_tenant,
     .has_tenant_rooms = true},
    {.layout = "tenant",
     .rooms = "tenant: {partitions: 1}\nnews: {topic: fanout.news, shared: true, partitions: 1}\n",
     .access = "connect: [\"user:{sub}\", \"tenant:all\", \"review:{reviewQueues}\"]\n"
               "join: [\"task:*\", \"news:*\"]\n",
     .has_tenant_rooms = true,
     .has_shared_rooms = true},
};

static struct document *parse(const struct sim_world *world, const char *yaml)
{
    struct document *document = NULL;
    if (!yaml)
        return NULL;
    struct error error;
    if (document_parse(bytes_of_string(yaml), NULL, &document, &error) != STATUS_OK)
        sim_fail(world, "%s", error.text);
    return document;
}

static void configure(struct sim_world *world)
{
    auto_problems struct problems problems = {0};
    world->plan = world->every_layout ? &plans[world->seed % (sizeof(plans) / sizeof(plans[0]))]
                                      : &plans[world->seed / 2 % PLANS_OF_ALL];
    struct document *rooms = parse(world, world->plan->rooms);
    struct document *large = parse(world, world->plan->large_tenants);
    struct document *access = parse(world, world->plan->access);
    struct document *allow =
        parse(world, world->plan->allow ? world->plan->allow : "review: [legal, finance]");
    struct layout_source source = {.preset = bytes_of_string(world->plan->layout),
                                   .rooms = document_root(rooms),
                                   .large_tenants = large ? document_root(large) : NULL,
                                   .allow = document_root(allow)};
    enum status status = layout_new(&source, &world->layout, &problems);
    static char progress[] = "task.progress", running[] = "*/running";
    char *const items[] = {progress, running};
    if (status == STATUS_OK)
        status = policy_new(document_root(access), world->layout, &world->policy, &problems);
    if (status == STATUS_OK && world->seed % 2)
        status = conflation_new(items, 2, &world->conflation, &problems);
    if (status != STATUS_OK)
        sim_fail(world, "configuration: %s", problems.items[0].text);
    document_free(rooms);
    document_free(large);
    document_free(access);
    document_free(allow);
}

static struct sim_gateway *any_gateway(struct sim_world *world)
{
    return &world->gateways[sim_below(&world->random, SIM_GATEWAYS)];
}

static void fault(struct sim_world *world)
{
    struct sim_gateway *gateway = any_gateway(world);
    struct sim_client *client = &world->clients[sim_below(&world->random, SIM_CLIENTS)];
    struct sim_lane *lane = &world->lanes[sim_below(&world->random, world->lane_count)];
    switch (sim_below(&world->random, 11)) {
    case 0: /* kill -9, and later a new one */
        if (gateway->hub)
            sim_gateway_kill(gateway);
        break;
    case 1:
        gateway->stopped = true;
        break;
    case 2:
        gateway->stale = true;
        for (unsigned i = 0; gateway->hub && i < SIM_LANES; i++)
            if (gateway->readings[i].lane)
                hub_lane_unavailable(gateway->hub, gateway->readings[i].lane, "away",
                                     world->now_ms);
        break;
    case 3:
    case 4:
        sim_client_cut(client, sim_once_in(&world->random, 2));
        break;
    case 5:
    case 6:
        client->blocked = sim_below(&world->random, 200);
        break;
    case 7: /* retention */
        if (world->seed % 4 == 0 && lane->count > 40 &&
            sim_lane_stable(lane) >= (int64_t)lane->count - 30) {
            lane->first = (int64_t)lane->count - 30;
            world->gaps_allowed = true;
        }
        break;
    case 8:
        if (world->seed % 8 == 1 && lane->exists && sim_once_in(&world->random, 3))
            sim_lane_recreate(world, lane);
        break;
    default:
        lane->exists = true;
        break;
    }
}

static void recover(struct sim_world *world, unsigned once_in)
{
    for (unsigned i = 0; i < SIM_GATEWAYS; i++) {
        struct sim_gateway *gateway = &world->gateways[i];
        if (!gateway->hub && sim_once_in(&world->random, once_in))
            sim_gateway_start(world, gateway);
        if (gateway->stopped && sim_once_in(&world->random, once_in))
            gateway->stopped = false;
        if (gateway->stale && sim_once_in(&world->random, once_in))
            gateway->stale = false;
    }
}

static void step(struct sim_world *world)
{
    world->step++;
    world->now_ms += STEP_MS;
    sim_kept_step(world);
    for (unsigned i = 0; i < SIM_GATEWAYS; i++)
        if (world->gateways[i].hub && !world->gateways[i].stopped)
            sim_connections_reap(world, &world->gateways[i], world->quiet);
    for (unsigned i = 0; i < SIM_GATEWAYS; i++)
        sim_gateway_step(&world->gateways[i]);
    for (unsigned i = 0; i < SIM_CLIENTS; i++)
        sim_client_step(&world->clients[i]);
    if (world->hostile.world && !world->quiet)
        sim_hostile_step(&world->hostile);
}

static bool is_at_rest(const struct sim_world *world)
{
    for (unsigned i = 0; i < SIM_GATEWAYS; i++)
        if (!sim_gateway_at_rest(&world->gateways[i]))
            return false;
    return true;
}

static void run_seed(uint64_t seed, unsigned steps, struct sim_world *total)
{
    struct sim_world *world = calloc(1, sizeof(*world));
    world->seed = seed;
    world->trace = total->trace;
    world->every_layout = total->every_layout;
    world->random.state = seed * 0x2545f4914f6cdd1du + 1;
    world->items.state = ~seed;
    world->kept.state = seed << 32;
    if (seed % 3 == 0)
        world->hostile = (struct sim_hostile){.world = world, .random.state = seed};
    world->has_orders = seed % 5 == 2;
    configure(world);
    sim_broker_init(world);
    for (unsigned i = 0; i < SIM_GATEWAYS; i++)
        sim_gateway_start(world, &world->gateways[i]);
    for (unsigned i = 0; i < SIM_CLIENTS; i++)
        sim_client_init(world, i);
    while (world->step < steps) {
        for (unsigned i = sim_below(&world->random, 4); i; i--)
            sim_publish(world);
        if (world->has_orders && sim_once_in(&world->random, 6))
            sim_order(world);
        if (sim_once_in(&world->random, 15))
            fault(world);
        recover(world, 20);
        step(world);
    }
    world->quiet = true;
    sim_hostile_forget(&world->hostile, NULL);
    for (unsigned i = 0; i < world->lane_count; i++)
        world->lanes[i].exists = true;
    recover(world, 1);
    for (unsigned calm = 0; calm < CALM_STEPS && world->step < steps + REST_STEPS_MOST;) {
        step(world);
        calm = is_at_rest(world) ? calm + 1 : 0;
    }
    for (unsigned i = 0; i < SIM_GATEWAYS; i++)
        SIM_CHECK(world, sim_gateway_at_rest(&world->gateways[i]), "gateway %u is not at rest", i);
    for (unsigned i = 0; i < SIM_CLIENTS; i++)
        sim_client_check_complete(&world->clients[i]);
    for (unsigned i = 0; i < SIM_CLIENTS; i++)
        sim_client_deinit(&world->clients[i]);
    for (unsigned i = 0; i < SIM_GATEWAYS; i++)
        sim_gateway_kill(&world->gateways[i]);
    total->published += world->published;
    total->handled += world->handled;
    total->recovered += world->recovered;
    total->fresh += world->fresh;
    total->caught_up += world->caught_up;
    total->scans += world->scans;
    total->conflated += world->conflated;
    total->histories += world->histories;
    total->refreshed += world->refreshed;
    total->histories_complete += world->histories_complete;
    total->history_messages += world->history_messages;
    total->states += world->states;
    total->states_complete += world->states_complete;
    total->states_of_views += world->states_of_views;
    total->views_loaded += world->views_loaded;
    total->views_checked += world->views_checked;
    total->intrusions += world->intrusions;
    total->ended_by_order += world->ended_by_order;
    total->kept_out += world->kept_out;
    total->rooms_closed += world->rooms_closed;
    sim_broker_deinit(world);
    layout_free(world->layout);
    policy_free(world->policy);
    conflation_free(world->conflation);
    free(world);
}

int main(int count, char **arguments)
{
    static const struct option options[] = {
        {"seed", required_argument, NULL, 's'},  {"seeds", required_argument, NULL, 'n'},
        {"steps", required_argument, NULL, 't'}, {"trace", required_argument, NULL, 'c'},
        {"layouts", no_argument, NULL, 'l'},     {0}};
    uint64_t seed = 1, seeds = 1;
    unsigned steps = 600;
    struct sim_world total = {.trace = -1};
    int option;
    while ((option = getopt_long(count, arguments, "", options, NULL)) != -1) {
        if (option == '?')
            return EXIT_FAILURE;
        total.every_layout = total.every_layout || option == 'l';
        if (option == 'l')
            continue;
        unsigned long long value = strtoull(optarg, NULL, 10);
        if (option == 's')
            seed = value;
        else if (option == 'n')
            seeds = value;
        else if (option == 'c')
            total.trace = (int)value;
        else
            steps = (unsigned)value;
    }
    for (uint64_t i = 0; i < seeds; i++)
        run_seed(seed + i, steps, &total);
    printf(
        "%llu seeds from %llu: %llu published, %llu handled, %llu recovered, %llu fresh, %llu "
        "caught up, "
        "%llu conflated, %llu scans, %llu histories (%llu complete) of %llu, %llu states (%llu "
        "complete, %llu of views, of %llu that were loaded and looked at %llu times), "
        "%llu refreshed, %llu intrusions, %llu ended by orders, %llu kept out, %llu rooms closed\n",
        (unsigned long long)seeds, (unsigned long long)seed, (unsigned long long)total.published,
        (unsigned long long)total.handled, (unsigned long long)total.recovered,
        (unsigned long long)total.fresh, (unsigned long long)total.caught_up,
        (unsigned long long)total.conflated, (unsigned long long)total.scans,
        (unsigned long long)total.histories, (unsigned long long)total.histories_complete,
        (unsigned long long)total.history_messages, (unsigned long long)total.states,
        (unsigned long long)total.states_complete, (unsigned long long)total.states_of_views,
        (unsigned long long)total.views_loaded, (unsigned long long)total.views_checked,
        (unsigned long long)total.refreshed, (unsigned long long)total.intrusions,
        (unsigned long long)total.ended_by_order, (unsigned long long)total.kept_out,
        (unsigned long long)total.rooms_closed);
    return total.handled ? EXIT_SUCCESS : EXIT_FAILURE;
}
