#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
#
# Sets everything up and runs every test: units (plain, under ASan and UBSan, under TSan), the checks of this
# folder, end to end. Ends with one line that sums them up. Options go to pytest.
set -euo pipefail
# shellcheck source=devtools/lib.sh
. "$(dirname "$0")/lib.sh"
offer_help "$@"

exec </dev/null
deadline=$((SECONDS + 60 * 60)) # it takes about 20 minutes on two cores
passed=0
failed=0
failures=()

left() { echo $((deadline > SECONDS ? deadline - SECONDS : 1)); }

# Count the results in a file. A run that failed without a failed test in its results (it did not end, or left
# none) counts as one failure.
count() { # heading exit-status file
    local ok=0 bad=0 names='' name
    [ ! -s "$3" ] || read -r ok bad names < <("$top/devtools/count-results.py" "$3")
    if [ "$2" -ne 0 ] && [ "$bad" -eq 0 ]; then
        bad=1 names="(the run itself: exit status $2)"
    fi
    passed=$((passed + ok))
    failed=$((failed + bad))
    [ -z "$names" ] || while IFS= read -r name; do failures+=("$1: $name"); done < <(tr '\t' '\n' <<<"$names")
    note "$ok passed, $bad failed"
}

check() { # name command...: a check passes or fails as a whole
    local name=$1 log=$top/build/check.log
    shift
    step "check: $name"
    if timeout -k 10 "$(left)" "$@" >"$log" 2>&1; then
        passed=$((passed + 1))
        note "passed"
    else
        failed=$((failed + 1))
        failures+=("check: $name")
        cat "$log"
        note "failed"
    fi
}

units() { # heading build-dir wrapper meson-options...
    local heading=$1 dir=$2 wrapper=$3 status=0
    shift 3
    step "unit tests: $heading"
    rm -f "$dir/meson-logs/testlog.json"
    {
        if [ -f "$dir/build.ninja" ]; then
            meson setup --reconfigure "$dir" "$@"
        else
            meson setup "$dir" "$@"
        fi && timeout -k 10 "$(left)" ninja -C "$dir"
    } >build/units.log 2>&1 || {
        status=$?
        cat build/units.log
        count "$heading, build" "$status" /dev/null
        return 0
    }
    if [ -z "$(meson test -C "$dir" --list 2>/dev/null)" ]; then
        note "none"
        return 0
    fi
    # shellcheck disable=SC2086 # words
    timeout -s INT -k 10 "$(left)" $wrapper meson test -C "$dir" --no-rebuild --print-errorlogs \
        >build/units.log 2>&1 || {
        status=$?
        cat build/units.log
    }
    count "$heading" "$status" "$dir/meson-logs/testlog.json"
}

end_to_end() {
    local folders=() dir status=0
    for dir in app/test-vhostx/e2e app/test-vhostx/dts app/test-vhostx/guests; do
        [ -z "$(find "$dir" -name 'test_*.py' 2>/dev/null)" ] || folders+=("$dir")
    done
    [ "${#folders[@]}" -gt 0 ] || return 0
    step "end to end: pytest ${folders[*]}"
    rm -f build/pytest.xml
    VHOSTX_PLUGIN=$top/build/drivers/librte_net_vhostx.so PYTHONDONTWRITEBYTECODE=1 \
        timeout -s INT -k 60 "$(left)" /usr/bin/python3 -m pytest --junitxml="$top/build/pytest.xml" "$@" "${folders[@]}" ||
        status=$?
    count "end to end" "$status" build/pytest.xml
}

"$top/devtools/setup.sh" --tests
cd "$top"

# TSan wants addresses less random than recent kernels make them.
steady=
! setarch -R true 2>/dev/null || steady="setarch -R"

export ASAN_OPTIONS=detect_stack_use_after_return=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1
units "plain" build ""
# With --werror: it takes a whole build to see that gcc has nothing to say, so this one sees to it as well. Optimised
# as little as that needs, and with lines alone to debug by: it takes half the time, and the tests as long.
units "ASan, UBSan, no warning" build-asan "" --werror -Doptimization=1 -Ddebug=true -Dc_args=-g1 \
    -Db_sanitize=address,undefined
units "TSan" build-tsan "$steady" -Doptimization=2 -Ddebug=true -Dc_args=-g1 -Db_sanitize=thread

! command -v clang >/dev/null || check "no warning from clang" devtools/check-warnings.sh clang
check "layers" devtools/check-includes.sh
check "PMD info" devtools/check-plugin.sh pmdinfo
check "loads into testpmd" devtools/check-plugin.sh load
check "in the DPDK tree" devtools/check-graft.sh
check "guides" devtools/build-docs.sh

end_to_end "$@"

if [ "$failed" -gt 0 ]; then
    step "failed"
    printf '    %s\n' "${failures[@]}"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
