# Shared by the scenarios S1 to S6 and idle-latency: a broker, one server at a time, bench_load against it. Sourced.
#   fanout_systems                     prints "name  description" of what can be measured here
#   fanout_run TITLE COLUMNS LOAD...   measures every system `reps` times with these options of bench_load and prints the table
# COLUMNS: names of bench_load's fields. The ratio column is the first of them against the baseline.
# shellcheck shell=bash
# A scenario may set:  fanout_gateway_settings (YAML under gateway:), fanout_tls=yes, fanout_warm (options of bench_load for
# a run that is not counted; before it the broker is a virtual machine that has compiled nothing), fanout_only (systems),
# fanout_extra (lines for fanout_systems)

fanout_port=${FANOUT_PORT:-28080}
fanout_kafka=${FANOUT_KAFKA_PORT:-28092}
fanout_cache=${TESTS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/smartstack}/bench
fanout_uws=@trufflesuite/uws-js-unofficial@20.30.0-unofficial.0 # uWebSockets.js with its binary, which npm does not have otherwise
fanout_secret="benchmarks need a secret of 32 bytes"
fanout_dir=${fanout_dir:-}
fanout_gateway=${fanout_gateway:-$build_dir/gateway/gateway}

fanout_has() {
    command -v "$1" > /dev/null
}

fanout_all_systems() {
    echo "smartstack     the gateway: one process, HS256 tokens, cursor, room check and metrics on"
    echo "baseline       epoll, send and librdkafka, one shared frame, padded to the gateway's bytes (bench_baseline)"
    echo "socket.io      socket.io 4.8 on Node.js, ws, kafkajs; no recovery"
    echo "socket.io-uws  the same on uWebSockets.js"
    ! fanout_has cargo || echo "socketioxide   socketioxide 0.18 (Rust), rdkafka; no recovery"
    ! fanout_has go || echo "centrifuge     centrifuge 0.40 (Go), franz-go; its own JSON protocol, no recovery"
}

fanout_systems() {
    local wanted=${fanout_only:-}
    fanout_all_systems | while read -r name about; do
        [ -n "$wanted" ] && [[ " $wanted " != *" $name "* ]] || printf '%-14s %s\n' "$name" "$about"
    done
    [ -z "${fanout_extra:-}" ] || echo "$fanout_extra"
}

fanout_stop() {
    [ -z "${fanout_pid:-}" ] || { kill "$fanout_pid" 2> /dev/null; wait "$fanout_pid" 2> /dev/null; fanout_pid=; }
}

fanout_end() {
    fanout_stop || true
    [ -z "$fanout_dir" ] || "$source_dir/tests/kafka/broker" kill "$fanout_dir/kafka" > /dev/null 2>&1 || true
    [ -z "$fanout_dir" ] || rm -rf "$fanout_dir"
}

# What the compared systems need.
fanout_prepare() {
    local servers=$bench_dir/servers
    mkdir -p "$fanout_cache"
    if bench_has socket.io || bench_has socket.io-uws; then
        "$source_dir/tests/npm" > /dev/null
    fi
    if bench_has socket.io-uws && [ ! -d "$fanout_cache/uws/node_modules" ]; then
        npm install --prefix "$fanout_cache/uws" --no-save --no-progress --loglevel=error "$fanout_uws" > /dev/null
    fi
    if bench_has socketioxide; then
        CARGO_TARGET_DIR=$fanout_cache/socketioxide cargo build --quiet --release --locked --manifest-path "$servers/socketioxide/Cargo.toml"
    fi
    if bench_has centrifuge; then
        go build -C "$servers/centrifuge" -o "$fanout_cache/bench-centrifuge" .
    fi
}

fanout_begin() {
    bench_build gateway bench_load bench_baseline bench_lws_accept
    fanout_prepare
    fanout_dir=$(mktemp -d)
    trap fanout_end EXIT
    [ "${fanout_tls:-no}" = no ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost \
        -keyout "$fanout_dir/key.pem" -out "$fanout_dir/certificate.pem" 2> /dev/null
    KAFKA_AS_SHIPPED=1 "$source_dir/tests/kafka/broker" start "$fanout_kafka" "$fanout_dir/kafka" \
        num.partitions=8 auto.create.topics.enable=true > /dev/null
    read -r fanout_topic fanout_partition < <("$build_dir/tests/bench/bench_load" --print-lane)
    kcat -b "127.0.0.1:$fanout_kafka" -L -t "$fanout_topic" > /dev/null # creates it
    sleep 2
}

fanout_gateway_file() {
    printf 'kafka: {bootstrap.servers: "%s"}\nlog: {level: warning}\ngateway:\n' "$1"
    printf '  http: {port: %s}\n  token: {algorithm: HS256, secret: "%s"}\n' "$fanout_port" "$fanout_secret"
    # A gateway of before there was this port refuses it.
    ! "$fanout_gateway" --help | grep 'gateway\.operations\.port' > /dev/null || printf '  operations: {port: %s}\n' $((fanout_port + 100))
    printf '  access: {join: ["task:*"]}\n'
    [ "${fanout_tls:-no}" = no ] || printf '  tls: {certificate_file: %s/certificate.pem, key_file: %s/key.pem}\n' "$fanout_dir" "$fanout_dir"
    printf '%s\n' "${fanout_gateway_settings:-}"
}

# Starts a system, sets fanout_pid and returns when it listens.
fanout_start() {
    local brokers=127.0.0.1:$fanout_kafka log=$fanout_dir/$1.log tls=() scheme=http
    case $1 in
    smartstack*)
        fanout_gateway_file "$brokers" > "$fanout_dir/gateway.yaml"
        "$fanout_gateway" --config "$fanout_dir/gateway.yaml" > "$log" 2>&1 &
        ;;
    baseline)
        [ "${fanout_tls:-no}" = no ] || tls=(--certificate "$fanout_dir/certificate.pem" --key "$fanout_dir/key.pem")
        "$build_dir/tests/bench/bench_baseline" --port "$fanout_port" --brokers "$brokers" --topic "$fanout_topic" \
            --partition "$fanout_partition" --bytes "${fanout_bytes:-300}" "${tls[@]}" > "$log" 2>&1 &
        ;;
    lws) "$build_dir/tests/bench/bench_lws_accept" "$fanout_port" > "$log" 2>&1 & ;;
    socket.io) node "$bench_dir/servers/socketio.mjs" "$fanout_port" "$brokers" "$fanout_topic" > "$log" 2>&1 & ;;
    socket.io-uws)
        node "$bench_dir/servers/socketio.mjs" "$fanout_port" "$brokers" "$fanout_topic" "$fanout_cache/uws" > "$log" 2>&1 &
        ;;
    socketioxide) "$fanout_cache/socketioxide/release/bench-socketioxide" "$fanout_port" "$brokers" "$fanout_topic" > "$log" 2>&1 & ;;
    centrifuge) "$fanout_cache/bench-centrifuge" "$fanout_port" "$brokers" "$fanout_topic" > "$log" 2>&1 & ;;
    esac
    fanout_pid=$!
    [ "${fanout_tls:-no}" = no ] || scheme=https
    local tries
    for ((tries = 0; tries < 200; tries++)); do
        kill -0 "$fanout_pid" 2> /dev/null || { cat "$log" >&2; return 1; }
        case $1 in
        smartstack*) ! curl -skf "$scheme://127.0.0.1:$fanout_port/readyz" > /dev/null || return 0 ;;
        *) ! grep -q listening "$log" || return 0 ;;
        esac
        sleep 0.1
    done
    cat "$log" >&2
    return 1
}

# Prints bench_load's line for one system.
fanout_measure() {
    local system=$1 how=(--secret "$fanout_secret")
    shift
    fanout_start "$system"
    case $system in
    socket.io* | socketioxide) how=(--json-records) ;;
    centrifuge) how=(--json-records --protocol centrifuge --path /connection/websocket) ;;
    lws) how=(--protocol upgrade --messages 0) ;;
    smartstack-all-reading) how+=(--stall 0 --receive-buffer 0) ;;
    esac
    [ "${fanout_tls:-no}" = no ] || how+=(--tls)
    timeout 300 "$build_dir/tests/bench/bench_load" --server "127.0.0.1:$fanout_port" --brokers "127.0.0.1:$fanout_kafka" \
        --pid "$fanout_pid" "$@" "${how[@]}"
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
    fanout_measure baseline "$@" ${fanout_warm:-} > /dev/null
    for ((rep = 1; rep <= reps; rep++)); do
        for system in "${systems[@]}"; do
            if fanout_measure "$system" "$@" > "$fanout_dir/one"; then
                # It says other things too, such as when it stalls.
                jq -c "select(.clients) + {system: \"$system\"}" "$fanout_dir/one" | tee -a "$results" >&2
                # The baseline sends as many bytes as the gateway did.
                [ "$system" != smartstack ] || fanout_bytes=$(jq -r 'select(.clients).bytes_per_delivery | round' "$fanout_dir/one")
            else
                echo "$system: no result" >&2
                fanout_stop || true
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
