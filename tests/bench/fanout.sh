# Shared by the scenarios S1 to S6: a broker, one server at a time, bench_load against it. Sourced.
#   fanout_systems                     prints "name  description" of what can be measured here
#   fanout_run TITLE COLUMNS LOAD...   measures every system `reps` times with these options of bench_load and prints the table
# COLUMNS: names of bench_load's fields. The ratio column is the first of them against the baseline.
# shellcheck shell=bash
# A scenario may set:  fanout_gateway_settings (YAML under gateway:), fanout_baseline=no, fanout_tls=yes

fanout_port=${FANOUT_PORT:-28080}
fanout_kafka=${FANOUT_KAFKA_PORT:-28092}
fanout_dir=

fanout_systems() {
    echo "smartstack   the gateway: one process, cursor, room check and metrics on"
    [ "${fanout_baseline:-yes}" = no ] || echo "baseline     epoll, send and librdkafka, one shared frame, padded to the gateway's bytes (bench_baseline)"
    echo "socket.io    socket.io 4.8 on Node.js, ws, kafkajs; no recovery"
}

fanout_stop() {
    [ -z "${fanout_pid:-}" ] || { kill "$fanout_pid" 2> /dev/null; wait "$fanout_pid" 2> /dev/null; fanout_pid=; }
}

fanout_end() {
    fanout_stop || true
    [ -z "$fanout_dir" ] || "$source_dir/tests/kafka/broker" kill "$fanout_dir/kafka" > /dev/null 2>&1 || true
    [ -z "$fanout_dir" ] || rm -rf "$fanout_dir"
}

fanout_begin() {
    bench_build gateway bench_load bench_baseline
    "$source_dir/tests/npm" > /dev/null
    fanout_dir=$(mktemp -d)
    trap fanout_end EXIT
    KAFKA_FULL_JIT=1 KAFKA_HEAP_MB=1024 "$source_dir/tests/kafka/broker" start "$fanout_kafka" "$fanout_dir/kafka" \
        num.partitions=8 auto.create.topics.enable=true > /dev/null
    read -r fanout_topic fanout_partition < <("$build_dir/tests/bench/bench_load" --print-lane)
    kcat -b "127.0.0.1:$fanout_kafka" -L -t "$fanout_topic" > /dev/null # creates it
    sleep 2
}

# Starts a system, sets fanout_pid and returns when it listens.
fanout_start() {
    local brokers=127.0.0.1:$fanout_kafka log=$fanout_dir/$1.log
    case $1 in
    smartstack)
        {
            printf 'kafka: {bootstrap.servers: "%s"}\nlog: {level: warning}\ngateway:\n' "$brokers"
            printf '  http: {port: %s}\n  auth: {mode: development}\n' "$fanout_port"
            printf '  recovery: {keys: "benchmarks need a secret of 32 bytes"}\n%s\n' "${fanout_gateway_settings:-}"
        } > "$fanout_dir/gateway.yaml"
        "$build_dir/gateway/gateway" --config "$fanout_dir/gateway.yaml" > "$log" 2>&1 &
        ;;
    baseline)
        "$build_dir/tests/bench/bench_baseline" --port "$fanout_port" --brokers "$brokers" --topic "$fanout_topic" \
            --partition "$fanout_partition" --bytes "${fanout_bytes:-300}" > "$log" 2>&1 &
        ;;
    socket.io) node "$bench_dir/servers/socketio.mjs" "$fanout_port" "$brokers" "$fanout_topic" > "$log" 2>&1 & ;;
    esac
    fanout_pid=$!
    local tries
    for ((tries = 0; tries < 200; tries++)); do
        kill -0 "$fanout_pid" 2> /dev/null || { cat "$log" >&2; return 1; }
        case $1 in
        smartstack) ! curl -sf "http://127.0.0.1:$fanout_port/readyz" > /dev/null || return 0 ;;
        *) ! grep -q listening "$log" || return 0 ;;
        esac
        sleep 0.1
    done
    cat "$log" >&2
    return 1
}

# Prints bench_load's line for one system.
fanout_measure() {
    local system=$1 format=
    shift
    fanout_start "$system"
    [ "$system" != socket.io ] || format=--json-records
    timeout 300 "$build_dir/tests/bench/bench_load" --server "127.0.0.1:$fanout_port" --brokers "127.0.0.1:$fanout_kafka" \
        --pid "$fanout_pid" $format "$@"
    fanout_stop || true
}

fanout_cell() {
    jq -r "select(.system == \"$2\") | .$3" "$1" | bench_median
}

fanout_run() {
    local title=$1 columns=$2 results rep system column value
    shift 2
    fanout_begin
    results=$fanout_dir/results
    for ((rep = 1; rep <= reps; rep++)); do
        for system in "${systems[@]}"; do
            if fanout_measure "$system" "$@" > "$fanout_dir/one"; then
                jq -c ". + {system: \"$system\"}" "$fanout_dir/one" | tee -a "$results" >&2
                # The baseline sends as many bytes as the gateway did.
                [ "$system" != smartstack ] || fanout_bytes=$(jq -r '.bytes_per_delivery | round' "$fanout_dir/one")
            else
                echo "$system: no result" >&2
            fi
        done
    done
    printf '## %s\n\n%s, medians of %d, 1 lane\n\n| system |' "$title" "$(bench_header)" "$reps"
    printf ' %s |' $columns
    printf ' %s, ratio to the baseline | lost, doubled, wrong room, closed |\n|---|' "${columns%% *}"
    for column in $columns; do printf -- '---:|'; done
    printf -- '---:|---|\n'
    for system in "${systems[@]}"; do
        printf '| %s |' "$system"
        for column in $columns; do
            printf ' %s |' "$(fanout_cell "$results" "$system" "$column")"
        done
        value=$(fanout_cell "$results" baseline "${columns%% *}")
        if [ -n "$value" ]; then
            awk -v a="$(fanout_cell "$results" "$system" "${columns%% *}")" -v b="$value" 'BEGIN { printf " %.2f |", b ? a / b : 0 }'
        else
            printf ' - |'
        fi
        jq -r "select(.system == \"$system\") | \"\(.lost) \(.doubled) \(.wrong_room) \(.closed)\(if .complete then \"\" else \" incomplete\" end)\"" "$results" \
            | sort | uniq -c | awk '{ n = $1; $1 = ""; printf "%s%s (%dx)", sep, $0, n; sep = ";" } END { print " |" }'
    done
}
