#!/usr/bin/env bash
# Runs a Ceph object store on loopback until standard input closes: one monitor, one OSD in memory, one radosgw.
#
#     testdata/ceph/run.sh FOLDER MONITOR_PORT RADOSGW_PORT
#
# Prints `ready` once radosgw answers and the root user exists. Tied to standard input, so that it
# ends with whoever started it, however that one ended.
set -euo pipefail

folder=$(realpath -m "$1")
monitor_port=$2
radosgw_port=$3

main() {
    stop_daemons
    rm -rf "$folder"
    mkdir -p "$folder"/{monitor,osd,log}
    write_configuration
    export CEPH_CONF=$folder/ceph.conf
    trap stop_daemons EXIT
    trap 'exit 130' INT TERM HUP
    start_monitor
    start_osd
    start_radosgw
    create_root_user
    echo ready
    cat >/dev/null
}

write_configuration() {
    fsid=$(cat /proc/sys/kernel/random/uuid)
    cat >"$folder/ceph.conf" <<CONF
[global]
fsid = $fsid
mon host = [v2:127.0.0.1:$monitor_port]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
public network = 127.0.0.0/8
cluster network = 127.0.0.0/8
# cephx stays: with authentication off, radosgw hangs for minutes at start.
auth allow insecure global id reclaim = false
keyring = $folder/keyring
run dir = $folder
log file = $folder/log/\$name.log
log to stderr = false
pid file =
# A Unix socket's path is short, and this folder's may not be.
admin socket =
crash dir = $folder/log
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon warn on pool no redundancy = false
[mon]
mon data = $folder/monitor
# Otherwise the monitor stops on a disk that is nearly full.
mon data avail crit = 0
[osd]
keyring = $folder/osd/keyring
osd data = $folder/osd
osd objectstore = memstore
memstore device bytes = 1073741824
osd class load list = *
osd class default list = *
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:$radosgw_port
rgw data = $folder
rgw s3 auth use sts = true
rgw sts key = abcdefghijklmnop
# So that a test can watch credentials expire.
rgw sts min session duration = 1
rgw verify ssl = false
rgw enable usage log = false
rgw run sync thread = false
rgw enable gc threads = false
rgw enable lc threads = false
rgw enable quota threads = false
rgw thread pool size = 32
CONF
}

start_monitor() {
    monitor_map=$folder/monmap
    new_key --create-keyring "$folder/keyring" -n mon. --cap mon 'allow *'
    new_key "$folder/keyring" -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
    new_key "$folder/keyring" -n client.rgw --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
    monmaptool --create --clobber --fsid "$fsid" --addv a "[v2:127.0.0.1:$monitor_port]" "$monitor_map" >/dev/null
    ceph-mon --mkfs -i a --monmap "$monitor_map" --keyring "$folder/keyring"
    start_daemon monitor ceph-mon -i a
}

# The monitor learns the OSD's key from `osd new`, and must not know it before.
start_osd() {
    new_key --create-keyring "$folder/osd/keyring" -n osd.0
    uuid=$(cat /proc/sys/kernel/random/uuid)
    key=$(ceph-authtool "$folder/osd/keyring" -n osd.0 --print-key)
    ceph --connect-timeout 60 osd new "$uuid" 0 -i - >/dev/null <<<"{\"cephx_secret\":\"$key\"}"
    ceph-osd -i 0 --mkfs --osd-uuid "$uuid" >"$folder/log/osd-mkfs.out" 2>&1
    start_daemon osd ceph-osd -i 0
    wait_until osd_is_up
}

start_radosgw() {
    start_daemon radosgw radosgw -n client.rgw
    wait_until radosgw_answers
}

create_root_user() {
    timeout 60 radosgw-admin -n client.rgw user create --uid=root1 --display-name=root \
        --access-key=ROOTAK --secret-key=ROOTSK \
        --caps='roles=*;oidc-provider=*;user-policy=*' >"$folder/log/root-user.json"
}

start_daemon() {
    local name=$1
    shift
    "$@" -f </dev/null >"$folder/log/$name.out" 2>&1 &
    echo $! >"$folder/$name.pid"
}

# Newest first: an OSD whose monitor is gone lingers.
stop_daemons() {
    local name
    for name in radosgw osd monitor; do
        stop_daemon "$folder/$name.pid"
    done
}

stop_daemon() {
    local pid
    pid=$(cat "$1" 2>/dev/null) || return 0
    rm -f "$1"
    is_ceph "$pid" && kill "$pid" || return 0
    for _ in {1..50}; do
        is_ceph "$pid" || return 0
        sleep 0.1
    done
    kill -KILL "$pid"
}

# The number in a file left behind by an earlier run may be another process's by now.
is_ceph() { grep -qs -e radosgw -e ceph- "/proc/$1/cmdline"; }
new_key() { ceph-authtool --gen-key "$@" >/dev/null; }
osd_is_up() { ceph osd stat 2>/dev/null | grep -q '1 up'; }
radosgw_answers() { (: <"/dev/tcp/127.0.0.1/$radosgw_port") 2>/dev/null; }

wait_until() {
    for _ in {1..240}; do
        if "$@"; then return; fi
        sleep 0.25
    done
    echo "no answer within a minute: $1; see $folder/log" >&2
    return 1
}

main
