#!/bin/sh
# Makes what docker-compose.yml needs: secrets (mode 0600), data directories, and the variables that point to them.
# What is there already is left as it is. usage: scripts/stack-secrets [DIRECTORY]
# `otelml stack up --docker` runs it too, from an installed package as well: it stands where the package takes it from.
set -eu
directory=${1:-${XDG_STATE_HOME:-$HOME/.local/state}/otelml/docker}
umask 077
mkdir -p "$directory"
directory=$(cd "$directory" && pwd)

# Containers run as this user. Root runs them as nobody in particular, and hands the files over.
uid=$(id -u)
gid=$(id -g)
if [ "$uid" -eq 0 ]; then
  uid=65532
  gid=65532
fi

write() { # write FILE: what comes in, if there is no such file
  if [ -e "$1" ]; then
    cat >/dev/null
    echo "kept:    $1"
  else
    cat >"$1.new"
    chmod 0600 "$1.new"
    mv "$1.new" "$1"
    echo "written: $1"
  fi
}
random() { head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

for part in queue prometheus jaeger loki alertmanager grafana; do
  mkdir -p "$directory/data/$part"
done
mkdir -p "$directory/secrets" "$directory/notify"
for name in ingest_token redaction_key grafana_password grafana_key; do
  random | write "$directory/secrets/$name"
done
printf "STACK_DIR='%s'\nSTACK_UID=%s\nSTACK_GID=%s\n" "$directory" "$uid" "$gid" | write "$directory/compose.env"
if [ "$(id -u)" -eq 0 ]; then
  chown -R "$uid:$gid" "$directory"
fi

cat <<NEXT
start:   docker compose --env-file '$directory/compose.env' up --detach --wait
send:    OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318
         OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer%20\$(cat '$directory/secrets/ingest_token')"
see:     http://127.0.0.1:3000 as admin, with the password in $directory/secrets/grafana_password
NEXT
