#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# record.sh FILE COMMAND...   writes "PID START" of this process to FILE, then becomes COMMAND
record=$1
shift
if [ -r /proc/$$/stat ]; then
    read -r stat < /proc/$$/stat
    # the fields after "(sh) " begin with the 3rd, the state; the start is the 22nd
    set -f
    # shellcheck disable=SC2086 # to be split into fields
    started=$(set -- ${stat##*) }; echo "${20}")
    set +f
else
    started=$(ps -o lstart= -p $$)
fi
echo "$$ $started" > "$record"
exec "$@"
