#!/bin/sh
# Replace the replicas of the service by ones of the image and settings of now, without losing a request: REPLICAS new ones
# (or as many as run) beside the old ones, and once all are ready the old ones drain and go. `make roll` builds the image first.
set -eu
cd "$(dirname "$0")/.."

# For the new replicas to be ready, in seconds.
limit=${ROLL_SECONDS:-120}

say() { echo "roll: $*" >&2; }

new() {
    docker compose ps -aq service | grep -vxF "$old"
}

# Several names are one argument each: nothing is quoted here.
give_up() {
    trap '' INT TERM
    say "$1; the old replicas go on serving, and the new ones are removed."
    # A replica that is still starting ignores SIGTERM.
    docker stop -t 10 $(new) >/dev/null || true
    docker rm -f $(new) >/dev/null
    exit 1
}

are_ready() {
    for each in $(new); do
        test "$(docker inspect -f '{{.State.Health.Status}}' "$each")" = healthy || return 1
    done
}

docker compose rm -f service >/dev/null
old=$(docker compose ps -q service)
count=$(echo "$old" | grep -c .) || { say "no replica is running; docker compose up -d starts them."; exit 1; }

replicas=$(docker compose config --environment 2>/dev/null | sed -n 's/^REPLICAS=//p')
replicas=${replicas:-$count}
slots=$(docker compose config proxy | sed -n 's/^ *MAX_REPLICAS: *"\([0-9]*\)".*/\1/p')
if [ $((count + replicas)) -gt "$slots" ]; then
    say "the proxy has $slots places, but needs $((count + replicas)) for $replicas new replicas beside $count: raise MAX_REPLICAS."
    exit 1
fi

trap 'give_up interrupted' INT TERM
say "starting $replicas new"
docker compose up -d --no-deps --no-recreate --scale service=$((count + replicas)) service || give_up "not started"
end=$(($(date +%s) + limit))
until are_ready; do
    if [ "$(date +%s)" -ge "$end" ]; then
        docker logs --tail 10 "$(new | head -n 1)" >&2
        give_up "not ready after $limit s, and said the above"
    fi
    sleep 1
done

# The proxy looks for new addresses twice a second, and asks each three times a second.
sleep 2
trap '' INT TERM
say "stopping $count old"
docker stop $old >/dev/null
docker rm $old >/dev/null
say "done"
