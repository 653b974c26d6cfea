#!/bin/sh
# One Loki of a ring: loki.yaml with what a ring adds, as flags, which stand above the file. Start three, each with
#   STACK_LOKI_NAME   a name that it keeps over restarts
#   STACK_LOKI_RING   host:port of all of them, with commas: where they gossip
#   STACK_LOKI_GOSSIP this one's port there (7946)
#   STACK_LOKI_SHARED the directory of the chunks and the index, the same for all: with more than one machine, use an
#                     object store instead (-common.storage...: further arguments are passed on)
#   STACK_LOKI_ADDR   this one's address for the others (127.0.0.1)
# and STACK_LOKI_PORT, STACK_LOKI_GRPC_PORT and STACK_LOKI_DIR of its own, as loki.yaml reads them.
# Every line is on three of them, acknowledged when two have it: one may die at any time. Queries ask all.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
address=${STACK_LOKI_ADDR:-127.0.0.1}
name=${STACK_LOKI_NAME:?a name that this Loki keeps}
directory=${STACK_LOKI_DIR:-/loki}
mkdir -p "$directory"
# As a flag it counts twice, and the second time the port is taken; without it, it listens everywhere.
{ cat "$here/../loki.yaml"; printf '\nmemberlist: {bind_addr: ["%s"]}\n' "$address"; } >"$directory/loki-ring.yaml"
exec "${STACK_LOKI:-loki}" -config.file="$directory/loki-ring.yaml" -config.expand-env=true \
  -ring.store=memberlist \
  -distributor.replication-factor=3 \
  -ingester.lifecycler.ID="$name" \
  -ingester.lifecycler.addr="$address" \
  -compactor.ring.store=memberlist \
  -compactor.ring.instance-id="$name" \
  -compactor.ring.instance-addr="$address" \
  -server.grpc-listen-address="$address" \
  -memberlist.nodename="$name" \
  -memberlist.advertise-addr="$address" \
  -memberlist.bind-port="${STACK_LOKI_GOSSIP:-7946}" \
  -memberlist.advertise-port="${STACK_LOKI_GOSSIP:-7946}" \
  -memberlist.join="${STACK_LOKI_RING:?where all of them gossip: host:port,host:port,host:port}" \
  -local.chunk-directory="${STACK_LOKI_SHARED:?the directory of chunks and index that all of them share}" \
  "$@"
