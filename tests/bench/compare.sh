# tests/bench/run compare A B [--scenarios S1,S2,...] [--reps N]: two commits, in pairs, within one run. Sourced.
# Each pair is measured in turn, A B, then B A, so that a machine that grows slower favours neither. The load, the broker and the
# baseline are those of this tree; only the gateway is the commit's.
# shellcheck shell=bash
source "$bench_dir/fanout.sh"

compare_usage() {
    sed -n '1s/^# //p' "$bench_dir/compare.sh" >&2
    exit 2
}

# The gateway of a commit, built where it stays for the next run. Prints its path.
compare_build() {
    local commit tree
    commit=$(git -C "$source_dir" rev-parse --verify --quiet "$1^{commit}") || { echo "no commit $1" >&2; return 1; }
    tree=$fanout_cache/commits/${commit:0:12}
    if [ ! -x "$tree/build/gateway/gateway" ]; then
        rm -rf "$tree"
        mkdir -p "$tree"
        git -C "$source_dir" archive "$commit" | tar -x -C "$tree"
        cmake --preset release -S "$tree" -B "$tree/build" > /dev/null
        cmake --build "$tree/build" --target gateway > /dev/null
    fi
    echo "$tree/build/gateway/gateway"
}

# As fanout_run, for the two of `gateways`: a line for each column, its ratio of B to A pair by pair.
compare_run() {
    local title=$1 columns=$2 results=$fanout_dir/$1 rep which order column
    shift 2
    fanout_gateway=${gateways[0]} fanout_measure smartstack "$@" ${fanout_warm:-} > /dev/null
    for ((rep = 1; rep <= reps; rep++)); do
        order="0 1"
        ((rep % 2)) || order="1 0"
        for which in $order; do
            fanout_gateway=${gateways[which]} fanout_measure smartstack "$@" > "$fanout_dir/one" || { fanout_stop || true; echo "no result" >&2; continue; }
            jq -c "select(.clients) + {of: $which, pair: $rep}" "$fanout_dir/one" | tee -a "$results" >&2
        done
    done
    for column in $columns; do
        jq -rs --arg title "$title" --arg column "$column" '
            def median: sort | if length % 2 == 1 then .[length / 2 | floor] else (.[length / 2 - 1] + .[length / 2]) / 2 end;
            def three: . * 1000 | round / 1000;
            [group_by(.pair)[] | select(length == 2) | sort_by(.of) | map(.[$column])] as $pairs
            | if ($pairs | length) == 0 then empty else
                [$pairs[] | select(.[0] > 0) | .[1] / .[0]] as $ratios
                | "| \($title) | \($column) | \([$pairs[][0]] | median | three) | \([$pairs[][1]] | median | three) | \(if ($ratios | length) > 0 then "\($ratios | median | three) | \($ratios | min | three) to \($ratios | max | three)" else "- | -" end) |"
              end' "$results"
    done
    jq -rs --arg title "$title" '[.[] | .lost + .doubled + .wrong_room] | add | if . > 0 then "\($title): \(.) lost, doubled or in a wrong room" else empty end' "$results" >&2
}

compare() {
    local a=${1-} b=${2-} scenarios=S1,S2,S3,S4 gateways=() scenario
    [ $# -ge 2 ] || compare_usage
    shift 2
    while [ $# -gt 0 ]; do
        case $1 in
        --scenarios) scenarios=${2-} ;;
        --reps) reps=${2-} ;;
        *) compare_usage ;;
        esac
        [ $# -ge 2 ] || compare_usage
        shift 2
    done
    [[ $reps =~ ^[1-9][0-9]*$ ]] || compare_usage
    mapfile -t gateways < <(compare_build "$a" && compare_build "$b")
    [ ${#gateways[@]} -eq 2 ] || exit 1
    systems=(smartstack)
    fanout_begin
    printf '%s\n\nA: %s, B: %s; %d pairs\n\n| scenario | figure | A | B | B / A, median of the pairs | least to most |\n|---|---|---:|---:|---:|---|\n' \
        "$(bench_header)" "$a" "$b" "$reps"
    for scenario in ${scenarios//,/ }; do
        (
            trap - EXIT
            source "$bench_dir/scenario-$scenario"
            fanout_run() {
                shift
                compare_run "$scenario" "$@"
            }
            scenario_run
        )
    done
}
