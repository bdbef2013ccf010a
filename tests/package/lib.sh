# For installed and packed. Sets build, version, prefix, etc and work, an empty folder that goes with the script.
[ $# -eq 2 ] || { sed -n '2,3s/^# \{0,1\}//p' "$0" >&2; exit 2; }
build=$(cd "$1" && pwd)
version=$2
prefix=$(sed -n 's/^CMAKE_INSTALL_PREFIX:[A-Z]*=//p' "$build/CMakeCache.txt")
[ "$prefix" = /usr ] && etc=/etc || etc=$prefix/etc
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
faults=0

fault() { echo "fault: $*" >&2; faults=$((faults + 1)); }

expect() { # WHAT EXPECTED ACTUAL
    [ "$2" = "$3" ] || { fault "$1"; diff <(echo "$2") <(echo "$3") >&2 || true; }
}

# The files of each package.
files_of() { # PACKAGE
    local shared=$prefix/share
    case $1 in
    common)
        printf '%s\n' "$etc"/smartstack/{smartstack,rules}.yaml "$shared/smartstack/rules.schema.json" \
            "$shared"/smartstack/proto/{client,notification,task_event}.proto "$shared/smartstack/proto/events.d.ts"
        ;;
    gateway | dispatcher)
        printf '%s\n' "$prefix/bin/smartstack-$1" "$prefix/lib/systemd/system/smartstack-$1.service" "$shared/man/man8/smartstack-$1.8"
        ;;
    esac
    echo "$shared/doc/smartstack-$1/copyright"
}

finish() {
    [ "$faults" -eq 0 ] || { echo "$faults faults" >&2; exit 1; }
    echo "all is there"
}
